"""The download against a server of our own that breaks, lies, or is not there."""

import hashlib
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from tinymodel.data import tiny_imagenet
from tinymodel.data.tiny_imagenet import download
from tinymodel.errors import UserError

CONTENT = np.random.default_rng(0).bytes(3_000_000)


class Server(BaseHTTPRequestHandler):
    """Serves `content`, but breaks each of the first connections after so many bytes of it."""

    content = CONTENT
    breaks: tuple[int, ...] = ()
    ranges = True
    asked: list[str | None]

    def do_GET(self):
        wanted = self.headers.get("Range")
        self.asked.append(wanted)
        start = int(re.match(r"bytes=(\d+)-", wanted)[1]) if wanted and self.ranges else 0
        body = self.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        number = len(self.asked) - 1
        if number < len(self.breaks):
            body = body[: self.breaks[number]]
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    """The class of a running server, and the constants of the download changed to it."""
    kind = type("Server", (Server,), dict(asked=[]))
    http = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setenv("no_proxy", "*")
    address = f"http://127.0.0.1:{http.server_port}/tiny-imagenet-200.zip"
    monkeypatch.setattr(tiny_imagenet, "URL", address)
    monkeypatch.setattr(tiny_imagenet, "SIZE", len(CONTENT))
    monkeypatch.setattr(tiny_imagenet, "MD5", hashlib.md5(CONTENT).hexdigest())
    monkeypatch.setattr(tiny_imagenet, "PAUSE", 0.01)
    yield kind
    http.shutdown()
    http.server_close()


def test_download_arrives_with_progress_and_is_not_fetched_twice(server, tmp_path):
    seen = []
    file = download(tmp_path / "new", lambda *report: seen.append(report))
    assert file == tmp_path / "new" / "tiny-imagenet-200.zip" and file.read_bytes() == CONTENT
    fractions = [fraction for fraction, _ in seen]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0 and len(fractions) > 5
    assert seen[-1][1] == "Downloaded 3 MB of 3 MB"
    assert download(tmp_path / "new") == file
    assert server.asked == [None]
    assert [item.name for item in file.parent.iterdir()] == [file.name]


def test_broken_connection_is_taken_up_where_it_broke(server, tmp_path):
    server.breaks = (1_000_000, 500_000)
    assert download(tmp_path).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=1000000-", "bytes=1500000-"]


def test_stopped_download_goes_on_at_the_next_call(server, tmp_path):
    class Stopped(Exception):
        pass

    def stop(fraction, message):
        if fraction > 0.5:
            raise Stopped

    with pytest.raises(Stopped):
        download(tmp_path, stop)
    assert [item.name for item in tmp_path.iterdir()] == ["tiny-imagenet-200.zip.part"]
    have = (tmp_path / "tiny-imagenet-200.zip.part").stat().st_size
    assert 0.5 * len(CONTENT) < have < len(CONTENT)
    assert download(tmp_path).read_bytes() == CONTENT
    assert server.asked == [None, f"bytes={have}-"]


def test_server_that_cannot_resume_sends_everything_again(server, tmp_path):
    server.ranges, server.breaks = False, (1_000_000,)
    assert download(tmp_path).read_bytes() == CONTENT


def test_connection_that_breaks_for_good_gives_up_and_keeps_what_came(server, tmp_path):
    server.breaks = (700_000, *[0] * 100)
    with pytest.raises(UserError, match=r"often down.*local copy"):
        download(tmp_path)
    assert len(server.asked) == 1 + tiny_imagenet.RETRIES
    assert (tmp_path / "tiny-imagenet-200.zip.part").stat().st_size == 700_000


def test_wrong_content_is_refused_and_deleted(server, tmp_path):
    server.content = CONTENT[::-1]
    with pytest.raises(UserError, match=r"not the official archive.*MD5.*local copy"):
        download(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_page_instead_of_the_archive_is_refused(server, tmp_path):
    server.content = b"<html>this site has moved</html>"
    with pytest.raises(UserError, match=r"offers 32 bytes rather than 3,000,000.*local copy"):
        download(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_no_connection_says_that_the_address_is_often_down(server, tmp_path, monkeypatch):
    monkeypatch.setattr(tiny_imagenet, "URL", "http://127.0.0.1:9/tiny-imagenet-200.zip")
    with pytest.raises(UserError) as caught:
        download(tmp_path)
    sentence = str(caught.value)
    assert "often down" in sentence and "ask for a local copy" in sentence and "refused" in sentence
    assert list(tmp_path.iterdir()) == []


def test_too_little_space_is_said_before_the_download(server, tmp_path, monkeypatch):
    monkeypatch.setattr("tinymodel.data.disk.free_bytes", lambda: 1_000_000)
    with pytest.raises(UserError, match=r"The download needs 3 MB .* only 1 MB are free"):
        download(tmp_path)
    assert server.asked == []


def test_official_address_size_and_checksum():
    assert tiny_imagenet.URL == "http://cs231n.stanford.edu/tiny-imagenet-200.zip"
    assert tiny_imagenet.SIZE == 248_100_043
    assert tiny_imagenet.MD5 == "90528d7ca1a48142e341f4ef8d21d0de"
