"""Sharing with a room: which addresses, said how, and a QR code that cameras can read."""

import re
from xml.etree import ElementTree

import pytest
import segno
from components import role, share
from streamlit.testing.v1 import AppTest


@pytest.fixture
def settings(monkeypatch):
    """The server's settings, to be changed; nobody has typed an address."""
    options = {
        "server.address": "localhost", "server.port": 8501, "server.baseUrlPath": "",
        "server.sslCertFile": None,
    }  # fmt: skip
    known = share.st.get_option
    monkeypatch.setattr(
        share.st, "get_option", lambda name: options[name] if name in options else known(name)
    )
    monkeypatch.setattr(share, "own_addresses", lambda: ["192.168.7.20"])
    monkeypatch.delenv(role.VARIABLE, raising=False)
    return options


@pytest.fixture
def home(folders, settings):
    app = AppTest.from_string("from components import share\nshare.show()", default_timeout=20)
    return app.run


def words(app: AppTest) -> str:
    return " ".join(
        item.value for item in [*app.markdown, *app.warning, *app.subheader, *app.caption]
    )


def test_a_private_server_says_how_to_open_it_with_a_code_to_copy(home):
    shown = home()
    lines = [item.value for item in shown.code]
    assert len(lines) == 2 and all("--server.address 0.0.0.0" in line for line in lines)
    code = re.search(rf'^{role.VARIABLE}="(.+)" streamlit run', lines[0])[1]
    assert len(code) >= role.SHORTEST and code in lines[1]
    assert shown.run().code[0].value == lines[0]  # another one each time could not be copied


def test_who_has_a_code_already_is_not_offered_one(home, monkeypatch):
    monkeypatch.setenv(role.VARIABLE, "a code that is long")
    assert [item.value for item in home().code] == [share.OPEN]


def test_an_open_server_shows_the_address_and_warns_without_a_code(home, settings, monkeypatch):
    settings["server.address"] = "0.0.0.0"
    shown = home()
    assert "http://192.168.7.20:8501" in words(shown)
    assert "no presenter code is set" in shown.warning[0].value
    monkeypatch.setenv(role.VARIABLE, "a code that is long")
    assert not home().warning


def test_without_a_network_it_says_so(home, settings, monkeypatch):
    settings["server.address"] = ""
    monkeypatch.setattr(share, "own_addresses", list)
    shown = home()
    assert "in no network" in words(shown) and not shown.button


@pytest.mark.parametrize(
    ("address", "hosts"),
    [
        ("localhost", None), ("127.0.0.1", None), ("::1", None),
        ("", ["192.168.7.20"]), (None, ["192.168.7.20"]), ("0.0.0.0", ["192.168.7.20"]),
        ("::", ["192.168.7.20"]), ("10.1.2.3", ["10.1.2.3"]), ("teacher.school", ["teacher.school"]),
    ],
)  # fmt: skip
def test_where_the_server_listens(settings, address, hosts):
    settings["server.address"] = address
    assert share.listened_hosts() == hosts


def test_the_address_has_scheme_port_and_path(settings, monkeypatch):
    monkeypatch.setattr(share, "visited_url", lambda: None)
    settings |= {"server.address": "", "server.port": 9000, "server.baseUrlPath": "/lab/"}
    assert share.urls() == ["http://192.168.7.20:9000/lab"]
    settings |= {"server.sslCertFile": "x.pem", "server.baseUrlPath": ""}
    monkeypatch.setattr(share, "own_addresses", lambda: ["fd00::2"])
    assert share.urls() == ["https://[fd00::2]:9000"]


@pytest.mark.parametrize(
    ("url", "known"),
    [
        ("http://localhost:8501/train", None),
        ("http://127.0.0.1:8501", None),
        ("http://teacher.local:8501/mistakes?run=x", "http://teacher.local:8501"),
        ("https://lab.school.org/", "https://lab.school.org"),
        ("http://[fd00::2]:8501/", "http://[fd00::2]:8501"),
        ("http://<b>x</b>:8501/", None),
        ("http://me:secret@host:8501/", "http://host:8501"),
        (None, None),
    ],
)
def test_the_address_that_somebody_has_typed_is_known_to_work(settings, monkeypatch, url, known):
    monkeypatch.setattr(type(share.st.context), "url", property(lambda self: url))
    assert share.visited_url() == known


class Probe:
    """A datagram socket of a computer in one network and no other; sending is an error."""

    def __init__(self, family, kind):
        assert kind == share.socket.SOCK_DGRAM

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def connect(self, place):
        if ":" in place[0]:
            raise OSError("no IPv6 here")
        self.mine = {"192.0.2.1": "10.0.0.5", "10.42.0.2": "10.42.0.1"}.get(place[0], "127.0.0.1")

    def getsockname(self):
        return self.mine, 1


def test_own_addresses_are_found_without_sending_anything(monkeypatch):
    monkeypatch.setattr(share.socket, "socket", Probe)
    assert share.own_addresses() == ["10.0.0.5", "10.42.0.1"]


def test_a_qr_code_is_dark_on_white_with_a_quiet_zone():
    """Read back from the drawing, module by module."""
    url = "http://192.168.7.20:8501"
    picture = ElementTree.fromstring(share.qr_code(url))
    space = "{http://www.w3.org/2000/svg}"
    side = int(picture.get("viewBox").split()[2])
    ground, lines = picture.iter(f"{space}path")
    assert ground.get("fill") == "#fff" and ground.get("d") == f"M0 0h{side}v{side}h-{side}z"
    assert lines.get("stroke") == "#000"
    matrix = segno.make(url, error="m", micro=False).matrix
    assert side == len(matrix) + 8
    drawn = [[0] * side for _ in range(side)]
    x = y = 0.0
    for step, numbers in re.findall(r"([Mmh])([^Mmhz]+)", lines.get("d")):
        values = [float(n) for n in re.findall(r"-?\d*\.?\d+", numbers)]
        if step == "h":
            for place in range(int(x), int(x + values[0])):
                drawn[int(y)][place] = 1
            x += values[0]
        else:
            x, y = values if step == "M" else (x + values[0], y + values[1])
    assert [row[4:-4] for row in drawn[4:-4]] == [list(row) for row in matrix]


def test_suggested_codes_are_long_enough_and_differ():
    made = {share.suggest_code() for _ in range(20)}
    assert len(made) == 20 and all(len(code) >= role.SHORTEST for code in made)
    assert all(re.fullmatch(r"[a-z-]+-\d{4}", code) for code in made)
