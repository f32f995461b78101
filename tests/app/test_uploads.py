"""What a browser may send: how much of it, under which names, and what becomes of the memory."""

import asyncio
import io
import struct
import tracemalloc
import zipfile
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from components import uploads
from PIL import Image

from tinymodel.data.decoding import Unreadable, decode, decode_whole
from tinymodel.data.file_tree import FileTree, open_zip
from tinymodel.errors import UserError


@pytest.fixture
def storage(monkeypatch) -> dict:
    """What Streamlit holds: session → file id → file."""
    held = {}
    runtime = SimpleNamespace(uploaded_file_mgr=SimpleNamespace(file_storage=held))
    monkeypatch.setattr(uploads.Runtime, "instance", lambda: runtime)
    return held


def put(bounds, session="one", length: bytes | None = b"1000", method="PUT", path=None):
    """The status of an upload of this length."""
    answers = []
    headers = [(b"content-length", length)] if length is not None else []
    path = path or f"/_stcore/upload_file/{session}/some-id"
    scope = dict(type="http", method=method, path=path, headers=headers)

    async def send(message) -> None:
        answers.append(message)

    asyncio.run(bounds(scope, None, send))
    return answers[0]["status"], answers[-1].get("body", b"").decode()


async def streamlit_itself(scope, receive, send) -> None:
    await send(dict(type="http.response.start", status=204, headers=[]))


def files(*sizes: int) -> dict:
    return {str(i): SimpleNamespace(data=range(size)) for i, size in enumerate(sizes)}


def test_one_session_holds_only_so_many_files(storage):
    bounds = uploads.Bounds(streamlit_itself)
    storage["one"] = files(*[1] * (uploads.MOST_FILES - 1))
    assert put(bounds)[0] == 204
    storage["one"] = files(*[1] * uploads.MOST_FILES)
    status, said = put(bounds)
    assert status == 413 and "Reload it" in said
    assert put(bounds, "another")[0] == 204
    assert put(bounds, method="DELETE")[0] == 204
    assert put(bounds, path="/data")[0] == 204


def test_neither_a_session_nor_a_room_fills_the_memory(storage):
    bounds = uploads.Bounds(streamlit_itself)
    storage["one"] = files(uploads.MOST_OF_ONE - 500)
    assert put(bounds)[0] == 413
    assert put(bounds, length=b"400")[0] == 204
    for number in range(uploads.MOST_OF_ALL // uploads.MOST_OF_ONE + 1):
        storage[f"student {number}"] = files(uploads.MOST_OF_ONE)
    status, said = put(bounds, "late")
    assert status == 413 and "Try again" in said


@pytest.mark.parametrize("length", [None, b"-5", b"many", b"9" * 40])
def test_who_does_not_say_how_much_comes_is_taken_to_send_the_most(storage, length):
    bounds = uploads.Bounds(streamlit_itself)
    storage["one"] = files(uploads.MOST_OF_ONE - uploads.ZIP * uploads.MB + 1)
    assert put(bounds, length=length)[0] == 413


def test_uploads_on_their_way_count_until_they_have_ended(storage):
    seen = []

    async def slow(scope, receive, send) -> None:
        seen.append({session: list(sizes) for session, sizes in bounds.coming.items()})
        raise ConnectionError("the browser went away")

    bounds = uploads.Bounds(slow)
    with pytest.raises(ConnectionError):
        put(bounds)
    assert seen == [{"one": [1000]}] and bounds.coming == {}


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("cat.png", "cat.png"),
        ("../../etc/passwd", "../../etc/passwd"),  # shown, never opened
        ("a\nb\x00c\u202egnp.exe", "a b c gnp.exe"),
        ("", "without a name"),
        ("x" * 5000 + ".jpeg", "x" * 68 + "…" + "x" * 6 + ".jpeg"),
    ],
)
def test_names_are_one_short_line(name, shown):
    assert uploads.title(SimpleNamespace(name=name)) == shown


def test_a_file_larger_than_its_widget_said_is_a_sentence():
    data = bytes(21 * 1024 * 1024)
    file = SimpleNamespace(name="big.png", size=len(data), getvalue=lambda: data)
    with pytest.raises(UserError, match="22 MB, and 20 MB is the most"):
        uploads.content(file, uploads.PHOTO)


def png(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it has so many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(100_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels)


@pytest.mark.parametrize("size", [(30_000, 30_000), (8_000, 8_000), (2**31 - 1, 2**31 - 1)])
@pytest.mark.parametrize("read", [decode, lambda data: decode_whole(data, 1600)])
def test_a_small_file_with_very_many_pixels_is_refused_before_it_is_unpacked(size, read):
    tracemalloc.start()
    with pytest.raises(Unreadable, match="megapixels"):
        read(png(*size))
    assert tracemalloc.get_traced_memory()[1] < 5e6
    tracemalloc.stop()


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


NOISE = Image.effect_noise((96, 80), 90)
TURNED = Image.Exif()
TURNED[274] = 6  # a quarter turn


@pytest.mark.parametrize(
    ("data", "shape", "several"),
    [
        (encoded(NOISE.convert("CMYK"), "JPEG"), (80, 96), False),
        (encoded(NOISE.convert("RGB"), "JPEG", exif=TURNED), (96, 80), False),
        (encoded(NOISE.convert("P"), "PNG", transparency=3), (80, 96), False),
        (encoded(NOISE.convert("LA"), "PNG"), (80, 96), False),
        (encoded(NOISE.convert("I;16"), "PNG"), (80, 96), False),
        (encoded(NOISE, "GIF", save_all=True, append_images=[NOISE.rotate(9)]), (80, 96), True),
        (encoded(Image.fromarray(np.full((80, 96), np.nan, np.float32)), "TIFF"), (80, 96), False),
    ],
    ids=["cmyk", "exif", "palette and alpha", "grey and alpha", "16 bits", "gif", "not numbers"],
)
def test_every_kind_of_photograph_becomes_rgb(data, shape, several):
    image, found = decode_whole(data, 1600)
    assert image.shape == (*shape, 3) and image.dtype == np.uint8 and found == several
    assert decode(data).shape == (64, 64, 3)


@pytest.mark.parametrize(
    "data",
    [b'<svg xmlns="http://www.w3.org/2000/svg"/>', encoded(NOISE, "EPS"), b"<html>", b"\x00" * 99],
    ids=["svg", "eps", "html", "zeros"],
)
def test_what_is_no_photograph_is_not_given_to_another_program(data):
    with pytest.raises(Unreadable, match="not an image that can be read"):
        decode_whole(data, 1600)


def test_a_zip_with_millions_of_entries_is_refused_before_they_are_listed():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for number in range(300):
            archive.writestr(f"cat/{number}.png", b"")
    with pytest.raises(zipfile.BadZipFile, match="table of contents"):
        open_zip(stream, most=10_000)
    content = bytearray(stream.getvalue())
    place = content.rfind(b"PK\x05\x06") + 12
    content[place : place + 4] = (200_000_000).to_bytes(4, "little")
    with pytest.raises(UserError, match="table of contents has 200 MB"):
        FileTree(io.BytesIO(content), "pets.zip")


@pytest.mark.parametrize(
    "path", ["~nobody-here/x", "a\0b", "x" * 300, "/" * 9000 + "x", "nowhere", "\ud800"]
)
def test_paths_that_no_system_knows_are_a_sentence(path):
    with pytest.raises(UserError, match="There is no file or folder"):
        FileTree(Path(path))
