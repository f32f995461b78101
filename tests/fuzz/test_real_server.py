"""Nonsense sent to a real server: into its routes, its addresses and its widgets. It answers, and goes on answering.

The server runs from a copy of the program, with a home of its own: whatever changes outside the two data folders is seen.
"""

import asyncio
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from browser.conftest import Server
from conftest import SENT, write_scored_run, write_small_dataset

from tinymodel.data import open_dataset
from tinymodel.paths import ROOT

from . import bad, talk, test_command_line, test_reading
from .conftest import everything

STREAMS, ROUTES, UPLOADS, WIDGET, ADDRESSES = 500, 1000, 600, 50, 180
AT_ONCE = 20  # requests
TABS = 3
PAGES = ("", "data", "network", "train", "runs", "gradcam", "looks", "timelapse", "mistakes", "confusion", "compare",
         "bottleneck", "glossary")  # fmt: skip
REPLAYS = ["10x-since-1764031234.5", "20x-at-1.5", "1x-at-999999999999", "100x-since-0", "7x-at-1"]
UPLOADER = "A picture from your device"
TROUBLE = re.compile(r"Traceback|Uncaught|Error\b|Exception\b|CRITICAL|has no attribute")


class Fuzzed:
    """The server, and what must not change around it."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.log = folder / "server.log"
        for part in ("app", "tinymodel"):
            shutil.copytree(
                ROOT / part, folder / "project" / part, ignore=shutil.ignore_patterns("__pycache__")
            )
        for name in ("home", "tmp"):
            (folder / name).mkdir()
        self.server = Server(
            self.log,
            folder / "project" / "app" / "Home.py",
            HOME=str(folder / "home"),
            TMPDIR=str(folder / "tmp"),
            MPLCONFIGDIR=str(folder / "home"),  # which would be made in a temporary folder
            PYTHONPATH=str(folder / "project"),
            PYTHONDONTWRITEBYTECODE="1",
            TINYMODEL_DATA=str(folder / "data"),
            TINYMODEL_RUNS=str(folder / "runs"),
        )
        self.port = self.server.port
        self.seen = 0

    def around(self) -> dict[str, str]:
        but = (self.folder / "data", self.folder / "runs", self.log)
        return everything(self.folder, but=but)

    def check(self, where: object) -> None:
        """It lives, and has nothing to complain of."""
        assert self.server.process.poll() is None, where
        text = self.log.read_text("utf-8", "replace")
        news, self.seen = text[self.seen :], len(text)
        found = TROUBLE.search(news)
        assert not found, (where, news[max(0, found.start() - 2000) :][:6000])

    def memory(self) -> int:
        """Bytes, where the system tells."""
        status = Path(f"/proc/{self.server.process.pid}/status")
        if not status.is_file():
            return 0
        return int(re.search(r"VmRSS:\s+(\d+) kB", status.read_text())[1]) * 1000


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory) -> Iterator[Fuzzed]:
    folder = tmp_path_factory.mktemp("fuzzed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINYMODEL_DATA", str(folder / "data"))
        patch.setenv("TINYMODEL_RUNS", str(folder / "runs"))
        run = write_scored_run(write_small_dataset("six", classes=6, train=2, val=15), "scored")
        write_scored_run(open_dataset("six"), "other", seed=1)
        (run.folder / "pins.json").write_text("[12, 13]")
    fuzzed = Fuzzed(folder)
    try:
        talk.run(warm(fuzzed))
        before = fuzzed.around()
        yield fuzzed
        talk.run(still_well(fuzzed))
        fuzzed.check("at the end")
        assert fuzzed.around() == before
        assert fuzzed.memory() < 3e9
    finally:
        fuzzed.server.process.kill()
        fuzzed.server.process.wait()


async def warm(fuzzed: Fuzzed) -> None:
    """Everything is imported, and what libraries keep in a home folder is there."""
    tab = talk.Tab(fuzzed.port, "gradcam", "run=scored")
    await tab.open()
    await tab.run()
    assert not tab.exceptions
    await tab.close()


async def still_well(fuzzed: Fuzzed) -> None:
    assert (await talk.ask(fuzzed.port, "/_stcore/health"))[0] == 200
    tab = talk.Tab(fuzzed.port, "mistakes", "run=scored")
    await tab.open()
    assert not tab.exceptions and any(re.fullmatch(r"\d+ of 90", text) for text in tab.texts)
    await tab.close()


async def in_groups(inputs: Iterator, send, fuzzed: Fuzzed, at_once: int = AT_ONCE) -> None:
    """Several at a time; after each group the server is looked at."""
    inputs = list(inputs)
    for start in range(0, len(inputs), at_once):
        group = inputs[start : start + at_once]
        await asyncio.gather(*(send(where, value) for where, value in group))
        fuzzed.check(group)


def test_there_are_more_than_five_thousand():
    read, typed = test_reading, test_command_line
    files = read.PICTURES + read.ZIPS + read.PREPARED + read.RUNS
    words = typed.TYPED + typed.PROCESSES
    assert STREAMS + ROUTES + UPLOADS + WIDGET + ADDRESSES + files + words > 5000


# Plain requests


REPLAYED = [f"scored@{text}" for text in REPLAYS]


def stream_request(rng: np.random.Generator) -> tuple[str, dict[str, str]]:
    """Target and headers for the event stream."""
    names = ("run", "after", "x", "last-event-id")
    position = f"scored:{bad.text(rng)}.{bad.text(rng)}.{rng.integers(-3, 10**9)}"
    after = [position, "scored:a.1.1", "scored:a.1.1,other:b.9.9"]
    good = dict(run=["scored", *REPLAYED, f"scored@{bad.text(rng)}"], after=after)
    head = {}
    if rng.integers(2):
        head["Last-Event-ID"] = " ".join(bad.text(rng).split())[:1000]
    return "/live/events?" + bad.address(rng, names, good)[:6000], head


def route_request(rng: np.random.Generator) -> tuple[str, str, dict[str, str], bytes]:
    """Method, target, headers and body for any other route, or one that is near to it."""

    def some(*good: str) -> str:
        chosen = good[rng.integers(len(good))] if rng.integers(2) else bad.text(rng)[:1500]
        return quote(chosen, safe="/" if rng.integers(4) == 0 else "")

    number = some("0", "1", "-1", "9" * 25, "9" * 5000)
    targets = (
        f"/live/pictures/{some('six')}/{some('small-6-2-15')}/{number}.png",
        f"/live/insight/{some('scored')}/{number}.json",
        f"/live/{some('streams', 'events', 'hub-x.js')}",
        f"/{some('data', 'runs', 'media')}",
        f"/_stcore/{some('stream', 'health', 'metrics', 'bidi-components')}",
        f"/_stcore/upload_file/{some('nobody')}/{some('x')}",
        f"/media/{some('x.png')}",
        f"/component/{some('crop')}",
        f"/static/{some('index.html')}",
        f"/presenter/{some('enter')}",
        f"/live/{some('presenter')}",
    )
    methods = ("GET", "GET", "GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE")
    body = bad.value(rng) if rng.integers(3) == 0 else None
    head = {"Content-Type": ("application/json", "text/html", "x")[rng.integers(3)]} if body else {}
    return (
        methods[rng.integers(len(methods))],
        targets[rng.integers(len(targets))],
        head,
        str(body or "").encode(),
    )


def test_event_stream(fuzzed):
    async def send(where: str, request) -> None:
        target, head = request
        status, said = await talk.ask(fuzzed.port, target, head=head, stay=0.6)
        assert status in (200, 400, 414, 431, 503), (where, target[:300], status, said[:300])
        assert status != 503 or b"tries again by itself" in said, (where, said[:300])

    talk.run(in_groups(bad.each(STREAMS, 11, stream_request), send, fuzzed, 60))
    SENT["requests to the event stream"] += STREAMS


def test_other_routes(fuzzed):
    async def send(where: str, request) -> None:
        method, target, head, body = request
        stay = 0.6 if target.startswith("/live/events") else 30
        status, said = await talk.ask(fuzzed.port, target, method, head, body, stay)
        assert 200 <= status < 500, (where, method, target[:300], status, said[:300])
        assert b"Traceback" not in said, (where, said)

    talk.run(in_groups(bad.each(ROUTES, 12, route_request), send, fuzzed))
    SENT["requests to other routes"] += ROUTES


# Uploads


def upload(rng: np.random.Generator) -> tuple[str, str, str, bytes]:
    """Session ('' for the own one), file id, kind and body of what is sent to the upload route."""
    name = bad.text(rng)[:3000]
    kind, body = talk.multipart(name, bad.picture(rng))
    match rng.integers(6):
        case 0:
            body = bad.broken(rng, body)
        case 1:
            kind = " ".join(bad.text(rng)[:200].split())
        case 2:
            body = body.replace(
                b'name="file"', b'name="' + bad.text(rng)[:50].encode("utf-8", "replace")
            )
        case 3:
            body = body.replace(b"--x--", b"--x\r\n") + body
    session = "" if rng.integers(4) else quote(bad.text(rng)[:300], safe="") or "x"
    return session, quote(bad.text(rng)[:300], safe="") or "x", kind, body


def test_upload_route(fuzzed):
    async def all_of_them() -> None:
        tab = talk.Tab(fuzzed.port, "gradcam", "run=scored&source=upload")
        await tab.open()
        head = await tab.token()

        async def send(where: str, request) -> None:
            session, file_id, kind, body = request
            target = f"/_stcore/upload_file/{session or tab.session}/{file_id}"
            own = head | {"Content-Type": kind}
            status, said = await talk.ask(fuzzed.port, target, "PUT", own, body)
            assert status == 204 or 400 <= status < 500, (
                where,
                target[:200],
                kind,
                status,
                said[:300],
            )

        await in_groups(bad.each(UPLOADS, 13, upload), send, fuzzed)

        # A class that sends at the same moment, and one who announces more than there is room for
        kind, body = talk.multipart("photo.png", bytes(1_000_000))
        others = [talk.Tab(fuzzed.port, "gradcam", "run=scored&source=upload") for _ in range(4)]
        await asyncio.gather(*(other.open() for other in others))
        sent = [others[number % 4].put(f"at-once-{number}", kind, body) for number in range(31)]
        assert set(await asyncio.gather(*sent)) == {204}
        for session in (tab.session, "nobody"):
            target = f"/_stcore/upload_file/{session}/huge"
            large = head | {"Content-Type": kind, "Content-Length": str(10**10)}
            status, _ = await talk.ask(fuzzed.port, target, "PUT", large, body)
            assert status in (400, 413)
        status, _ = await talk.ask(
            fuzzed.port,
            f"/_stcore/upload_file/{tab.session}/x",
            "PUT",
            {"Content-Type": kind},
            body,
        )
        assert status == 403  # without the token of a page of ours
        for other in (tab, *others):
            await other.close()

    talk.run(all_of_them())
    SENT["uploads"] += UPLOADS


def test_photographs_through_the_widget(fuzzed):
    async def all_of_them() -> None:
        tab = talk.Tab(fuzzed.port, "gradcam", "run=scored&source=upload")
        await tab.open()
        inputs = bad.each(WIDGET, 14, lambda rng: (bad.text(rng)[:500], bad.picture(rng)))
        for number, (where, (name, data)) in enumerate(inputs):
            if UPLOADER not in tab.elements:  # the one before was a picture
                await tab.close()
                tab = talk.Tab(fuzzed.port, "gradcam", "run=scored&source=upload")
                await tab.open()
            status = await tab.send_file(UPLOADER, name, data, number)
            assert status == 204 and not tab.exceptions, (where, name, tab.exceptions)
            assert tab.errors or UPLOADER not in tab.elements, (where, name)
            assert all(len(said) < 1000 for said in tab.errors), (where, tab.errors)
            fuzzed.check(where)
        await tab.close()

    talk.run(all_of_them())
    SENT["photographs through the widget"] += WIDGET


# Addresses of pages

NAMES = ("about", "after", "averaged", "bars", "beside", "changes", "class", "classes", "confidence", "count", "dataset",
         "draw", "early", "epoch", "field", "guess", "heat", "image", "images", "k", "late", "layer", "map", "method",
         "order", "other", "page", "part", "pick", "pin", "probe", "run", "runs", "rung", "sanity", "scale", "shots", "show",
         "sort", "source", "split", "target", "that", "this", "tour", "view", "follow", "replay", "speed")  # fmt: skip
GOOD = dict(
    run=["scored", "other", "new"],
    runs=["scored,other"],
    dataset=["six"],
    image=["0", "12", "40"],
    source=["upload", "mistakes", "class"],
    view=["layers", "methods", "contrast", "many", "see", "measure", "teach", "widen"],
    layer=["stage1.block2", "block1", "first"],
    page=["1", "2"],
    epoch=["1"],
    replay=REPLAYS,
)
# `class` and `classes` are those of the dataset
GOOD["class"] = GOOD["classes"] = GOOD["pick"] = ["n00000000", "n00000001,n00000002"]


def page_address(rng: np.random.Generator) -> tuple[str, str]:
    page = PAGES[rng.integers(len(PAGES))]
    query = bad.address(rng, NAMES, GOOD)
    return page, query if rng.integers(3) else f"run=scored&{query}"


def test_addresses_of_pages(fuzzed):
    async def visit(inputs: list) -> None:
        tab = talk.Tab(fuzzed.port, "", "")
        await tab.open()
        for where, (page, query) in inputs:
            await tab.visit(page, query)
            assert not tab.exceptions, (where, page, query, tab.exceptions)
            assert all(len(said) < 2000 for said in tab.errors), (where, page, query, tab.errors)
            fuzzed.check((where, page, query))
        await tab.close()

    async def all_of_them() -> None:
        inputs = list(bad.each(ADDRESSES, 15, page_address))
        await asyncio.gather(*(visit(inputs[number::TABS]) for number in range(TABS)))

    talk.run(all_of_them())
    SENT["addresses of pages"] += ADDRESSES
