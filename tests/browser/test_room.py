"""A lesson's beginning and end: the first insight after one click, and a server that ends while thirty people watch."""

import contextlib
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import expect

from tinymodel.runs import ACTIVE, Run, list_runs

from .conftest import Server
from .test_live import POINTS

VIEWERS = 30
HEAT = ".tm-insight img.tm-heat"  # as Playwright finds it, in the component's shadow root
# How far the heat maps are from the plain pictures above them: the largest mean difference of their colours, 0 to 255.
DIFFERENCE = """(maps) => Math.max(-1, ...maps.map((heat) => {
    const pixels = (image) => {
        const canvas = Object.assign(document.createElement('canvas'), { width: 64, height: 64 })
        const pen = canvas.getContext('2d')
        pen.drawImage(image, 0, 0, 64, 64)
        return pen.getImageData(0, 0, 64, 64).data
    }
    const plain = heat.previousSibling
    if (!heat.naturalWidth || !plain.naturalWidth) return -1
    const a = pixels(heat), b = pixels(plain)
    return a.reduce((sum, value, i) => sum + Math.abs(value - b[i]), 0) / a.length
}))"""


def wait_for_heat(tab) -> None:
    """Until a heat map is there that is not the plain picture; a single one may be blank this early."""
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        if tab.locator(HEAT).evaluate_all(DIFFERENCE) > 8:
            return
        tab.wait_for_timeout(200)
    raise AssertionError("No heat map came.")


def within(seconds: float) -> float:
    """A bound for a machine with nothing else to do; the work of others, beside a training's, stretches it."""
    return seconds * max(1.0, os.getloadavg()[0] / (2 * os.cpu_count()))


class Room:
    """Folders of its own, in which one server after the other is started."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.server: Server | None = None

    def start(self) -> Server:
        self.server = Server(self.folder / "server.log")
        self.up = time.monotonic()
        return self.server

    def kill(self) -> None:
        if self.server and self.server.process.poll() is None:
            self.server.process.kill()
            self.server.process.wait()


@pytest.fixture(scope="module")
def room(tmp_path_factory) -> Iterator[Room]:
    """For the whole file, whose tests go on where the one before ended: each can also run alone."""
    folder = tmp_path_factory.mktemp("room")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINYMODEL_DATA", str(folder / "data"))
        patch.setenv("TINYMODEL_RUNS", str(folder / "runs"))
        room = Room(folder)
        yield room
        room.kill()


def training_run(room: Room, tab) -> Run:
    """The run that trains on the sample in the room's server: begun with one click, or taken up again."""
    if room.server is None or room.server.process.poll() is not None:
        room.start()
    runs = list_runs()
    if not runs:
        tab.goto(room.server.url)
        tab.get_by_role("button", name="Train on the sample").click(timeout=60_000)
        tab.wait_for_url("**/train?run=*", timeout=180_000)
    else:
        tab.goto(f"{room.server.url}/train?run={runs[0].name}")
        if runs[0].status not in ACTIVE:
            tab.get_by_role("button", name="Resume").click(timeout=60_000)
    tab.wait_for_function(f"({POINTS})() > 0", timeout=180_000)
    (run,) = list_runs()
    return run


@contextlib.contextmanager
def thirty_streams(server: Server, run: Run) -> Iterator[None]:
    """Event streams that have begun."""
    port = int(server.url.rsplit(":", 1)[1])
    ask = f"GET /live/events?run={run.name} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n".encode()
    with contextlib.ExitStack() as stack:
        streams = [
            stack.enter_context(socket.create_connection(("localhost", port), timeout=30))
            for _ in range(VIEWERS)
        ]
        for stream in streams:
            stream.sendall(ask)
        for stream in streams:
            assert b"200" in stream.recv(15)
        yield


def test_first_insight_comes_within_a_minute_of_one_click(room, tab):
    run = training_run(room, tab)
    points = tab.evaluate(POINTS)
    tab.wait_for_function(f"({POINTS})() > {points}", timeout=60_000)
    moving = time.monotonic() - room.up
    if not (run.folder / "timelapse.jsonl").exists():
        expect(tab.get_by_text("The first heat maps come after the first epoch")).to_be_visible()
    wait_for_heat(tab)
    seconds = time.monotonic() - room.up
    print(f"curves move after {moving:.1f} s, first heat map after {seconds:.1f} s of the server")
    assert seconds < within(60)
    assert "epoch" in tab.locator(HEAT).first.get_attribute("alt")
    expect(tab.locator(".tm-insight figcaption").first).to_contain_text("says:")


def test_heat_maps_move_on_after_the_next_epoch_without_a_script_run(room, tab):
    training_run(room, tab)
    strip = tab.locator(".tm-insight")
    wait_for_heat(tab)
    # The page runs again once, when the run has its first weights.
    expect(tab.get_by_role("link", name="Where does it look?")).to_be_visible(timeout=60_000)
    tab.wait_for_timeout(1500)
    epoch, frames = int(strip.get_attribute("data-epoch")), tab.frames_received
    heat = tab.locator(HEAT).first
    heat.evaluate("image => { window.image = image; image.dataset.before = image.src }")
    expect(strip).not_to_have_attribute("data-epoch", str(epoch), timeout=300_000)
    assert heat.evaluate("image => image === window.image && image.dataset.before !== image.src")
    assert tab.frames_received == frames


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_the_server_ends_within_three_seconds_and_its_run_goes_on(room, tab, end):
    run = training_run(room, tab)
    deadline = time.monotonic() + 60
    before = len(run.steps())  # that may be those of the checkpoint it was resumed from
    while len(run.steps()) == before and time.monotonic() < deadline:
        time.sleep(0.1)
    with thirty_streams(room.server, run):
        began = time.monotonic()
        room.server.process.send_signal(end)
        room.server.process.wait(60)
        seconds = time.monotonic() - began
    print(f"{end.name}: the server ended after {seconds:.1f} s")
    assert seconds < within(3)
    assert Run.open(run.name).status == "stopped"
    assert "Traceback" not in room.server.log.read_text()

    steps = len(run.steps())
    tab.goto("about:blank")
    assert training_run(room, tab).name == run.name  # resumed in a new server
    deadline = time.monotonic() + 120
    while len(run.steps()) <= steps and time.monotonic() < deadline:
        time.sleep(0.1)
    table: pd.Series = run.steps()["step"]
    assert len(table) > steps and table.diff().dropna().eq(1).all()  # nothing lost, nothing twice
