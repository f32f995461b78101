"""The live path on the server: one reader a run, one event stream a browser tab, no script runs.

The tables that the training loop writes are followed here, whoever writes them, and what is new goes to every
browser that watches (server-sent events). `plotly.min.js` is served from plotly's own package: no network is needed.
"""

import asyncio
import contextlib
import gzip
import json
import logging
import math
import signal
import threading
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from functools import cache
from importlib import resources
from typing import Any

import anyio.to_thread
import plotly
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from tinymodel.errors import UserError
from tinymodel.runs import ACTIVE, Run, list_runs
from tinymodel.tables import TableTail
from tinymodel.training.supervisor import about

log = logging.getLogger(__name__)

LOOK = 0.4  # seconds between two looks at the tables
SEARCH = 1.2  # seconds between two looks for the current run, which reads every run.json
HISTORY = 1500  # points that a latecomer gets of a long run
KEPT = (
    0.9  # of the running averages that are drawn of loss and accuracy: one batch alone says little
)
PLOTLY_URL = f"/live/plotly-{plotly.__version__}.min.js"
EVENTS_URL = "/live/events"


def current_run() -> Run | None:
    """The run that trains now, whoever trains it; else the newest one that was trained here and can be read."""
    runs = [run for run in list_runs() if not run.shipped]
    runs.sort(key=lambda run: run.status not in ACTIVE)
    return next((run for run in runs if _is_readable(run)), None)


def _is_readable(run: Run) -> bool:
    try:
        run.progress()
    except (UserError, KeyError, OSError):
        return False
    return True


def describe(run: Run) -> dict[str, Any]:
    """What cards and progress bars show of a run. `state` changes when pages should be drawn anew."""
    progress = run.progress()
    files = [file for file in ("best.pt", "predictions.parquet") if (run.folder / file).is_file()]
    return dict(
        run=run.name,
        state=":".join([run.name, progress.status, *files]),
        status=progress.status,
        requested=run.requested() if progress.status in ACTIVE else "",
        epoch=progress.epoch,
        epochs=progress.epochs,
        epoch_fraction=progress.epoch_fraction,
        run_fraction=progress.run_fraction,
        images_per_second=progress.images_per_second,
        time_left=None if progress.seconds_left is None else about(progress.seconds_left),
        val_accuracy=progress.val_accuracy,
        best_accuracy=progress.best_accuracy,
    )


class Feed:
    """Follows the tables of one run and answers what came after a position in them."""

    def __init__(self, name: str):
        self.run = Run.open(name)
        self.steps_per_epoch = max(1, self.run.info()["steps_per_epoch"])
        self._lock = threading.Lock()  # read in a worker thread, asked by the event loop
        self._begin()

    def _begin(self) -> None:
        self.generation = uuid.uuid4().hex[:8]  # positions of another one mean nothing
        self.tails = [TableTail(self.run.folder / f"{name}.csv") for name in ("steps", "epochs")]
        self.tables: list[list[list[float]]] = [[], []]
        self.averages = [0.0, 0.0, 0.0]  # of the loss, of the accuracy, and the weight of both

    def read(self) -> None:
        with self._lock:
            news = [tail.read() for tail in self.tails]
            if any(
                reset or (rows and table and rows[0][0] / scale <= table[-1][0])
                for (reset, rows), table, scale in zip(
                    news, self.tables, (self.steps_per_epoch, 1), strict=True
                )
            ):  # a resume has cut them
                self._begin()
                news = [tail.read() for tail in self.tails]
            self.tables[0].extend(map(self._averaged, news[0][1]))
            self.tables[1].extend(news[1][1])

    def _averaged(self, row: list[float]) -> list[float]:
        """A row of the steps as it is drawn: epochs so far, learning rate, averages of loss and accuracy."""
        step, _, rate, *values = row[:5]
        if all(map(math.isfinite, values)):
            new = [*values, 1.0]
            old = self.averages
            self.averages = [KEPT * a + (1 - KEPT) * b for a, b in zip(old, new, strict=True)]
            values = [average / self.averages[2] for average in self.averages[:2]]
        return [step / self.steps_per_epoch, rate, *values]

    def since(self, position: str) -> tuple[str, dict[str, Any] | None]:
        """The position now, and the rows after `position`: all, thinned, if it is of another generation."""
        with self._lock:
            steps, epochs = self.tables
            now = f"{self.generation}.{len(steps)}.{len(epochs)}"
            if position == now:
                return now, None
            generation, *counts = position.split(".")
            reset = generation != self.generation
            first_step, first_epoch = (0, 0) if reset else map(int, counts)
            steps, epochs = steps[first_step:], epochs[first_epoch:]
        stride = -(-len(steps) // HISTORY) or 1
        rows = dict(
            run=self.run.name,
            reset=reset,
            steps=steps[::-1][::stride][::-1],  # the last one is always among them
            epochs=epochs,
        )
        return now, rows


class Hub:
    """The readers, and the loop that lets them look while anybody watches."""

    def __init__(self) -> None:
        self.closing = False
        self.watched: dict[str, int] = {}  # run name → streams that show it
        self.streams = 0
        self.feeds: dict[str, Feed] = {}
        self.statuses: dict[str, dict] = {}
        self.current: str | None = None
        self.gone: set[str] = set()  # of the watched runs: deleted or renamed
        self.teacher: dict[str, Any] | None = None  # the presenter's view, to follow
        self._searched = 0.0
        self._looked = asyncio.Event()
        self._loop: asyncio.Task | None = None

    @contextlib.contextmanager
    def watching(self, names: list[str]) -> Iterator[None]:
        self.streams += 1
        for name in names:
            self.watched[name] = self.watched.get(name, 0) + 1
        self._searched = 0.0
        if self._loop is None or self._loop.done():
            self._looked = asyncio.Event()
            self._loop = asyncio.create_task(self._look_while_watched())
        try:
            yield
        finally:
            self.streams -= 1
            for name in names:
                self.watched[name] -= 1
                if not self.watched[name]:
                    del self.watched[name]

    async def looked(self) -> None:
        """Wait for the end of the look under way or the next one."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._looked.wait(), 5)

    async def _look_while_watched(self) -> None:
        while self.streams and not self.closing:
            try:
                await anyio.to_thread.run_sync(self._look, list(self.watched))
            except Exception:  # one bad look must not end the stream of everybody
                log.exception("Looking at the runs failed")
            self._looked.set()
            self._looked = asyncio.Event()
            await asyncio.sleep(LOOK)
        self._looked.set()  # streams that still wait see that the server closes

    def _look(self, watched: list[str]) -> None:
        for name in watched:
            try:
                if name not in self.feeds:
                    self.feeds[name] = Feed(name)
                self.feeds[name].read()
            except (UserError, KeyError, OSError):  # deleted while it was watched
                self.feeds.pop(name, None)
        for name in set(self.feeds) - set(watched):
            del self.feeds[name]
        if time.monotonic() - self._searched > SEARCH:
            self._searched = time.monotonic()
            run = current_run()
            self.current = run.name if run else None
            shown = {run.name: run} if run else {}
            self.gone = {name for name in watched if not _is_there(name)}
            shown |= {n: feed.run for n, feed in self.feeds.items() if n not in self.gone}
            statuses = {}
            for name, run in shown.items():
                with contextlib.suppress(UserError, KeyError, OSError):
                    statuses[name] = describe(run)
            self.statuses = statuses

    async def events(self, names: list[str], after: dict[str, str]) -> AsyncIterator[str]:
        """Server-sent events: `rows` of the named runs after their positions, and `status` when it changes."""
        positions = {name: after.get(name, "") for name in names}
        told = ""
        with self.watching(names):
            yield "retry: 1000\n\n"
            while not self.closing:
                await self.looked()
                for name in names:
                    if (feed := self.feeds.get(name)) is None:
                        continue
                    positions[name], rows = feed.since(positions[name])
                    if rows:
                        event_id = ",".join(f"{key}:{value}" for key, value in positions.items())
                        yield f"id: {event_id}\n{_event('rows', rows)}"
                shown = {key: value for key, value in self.statuses.items() if key in names}
                current = self.statuses.get(self.current or "")
                gone = [name for name in names if name in self.gone]
                status = _event(
                    "status", dict(current=current, runs=shown, gone=gone, teacher=self.teacher)
                )
                yield status if status != told else ": nothing new\n\n"  # notices a closed tab
                told = status


def _is_there(name: str) -> bool:
    try:
        Run.open(name)
    except UserError:
        return False
    return True


def _event(kind: str, data: dict[str, Any]) -> str:
    return f"event: {kind}\ndata: {json.dumps(_plain(data), separators=(',', ':'))}\n\n"


def _plain(value: Any) -> Any:
    """Numbers with six digits; NaN and infinity, which JSON does not know, as null."""
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


hub = Hub()


async def events(request: Request) -> Response:
    """`?run=a&run=b`; a position to go on from comes as Last-Event-ID or `?after=`."""
    names = list(dict.fromkeys(request.query_params.getlist("run")))[:20]
    text = request.headers.get("last-event-id") or request.query_params.get("after", "")
    after = dict(part.split(":", 1) for part in text.split(",") if part.count(":") == 1)
    after = {name: place for name, place in after.items() if _is_position(place)}
    return StreamingResponse(
        hub.events(names, after),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
    )


def _is_position(text: str) -> bool:
    _, *counts = text.split(".")
    return len(counts) == 2 and all(count.isdecimal() for count in counts)


@cache
def _plotly_gzipped() -> bytes:
    file = resources.files("plotly") / "package_data" / "plotly.min.js"
    return gzip.compress(file.read_bytes(), 6)


async def plotly_js(request: Request) -> Response:
    """Plotly's script as its Python package carries it: 4.8 MB, 1.5 MB over the wire, kept by the browser."""
    content = await anyio.to_thread.run_sync(_plotly_gzipped)
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
    else:
        content = gzip.decompress(content)
    return Response(content, media_type="text/javascript", headers=headers)


routes = [Route(EVENTS_URL, events), Route(PLOTLY_URL, plotly_js)]


@contextlib.contextmanager
def closing_on_signals() -> Iterator[None]:
    """Within the block SIGINT and SIGTERM end every stream; else the server would wait for them for ever."""
    old = {}
    if threading.current_thread() is threading.main_thread():  # elsewhere signals cannot be set

        def close(number: int, frame: Any) -> None:
            hub.closing = True
            if callable(old[number]):
                old[number](number, frame)

        for number in (signal.SIGINT, signal.SIGTERM):
            old[number] = signal.getsignal(number)
            signal.signal(number, close)
    try:
        yield
    finally:
        hub.closing = True
        for number, action in old.items():
            signal.signal(number, action)
