"""What the server answers under `/live/`: the events, the script that tabs share, plotly's script, and how many watch."""

import asyncio
import contextlib
import gzip
import hashlib
import signal
import threading
from collections.abc import Callable, Iterator
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import anyio.to_thread
import plotly
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Send

from components.stream import broadcast
from components.stream.feeds import is_position

MOST_NAMES = 20  # runs that one stream may show
LONGEST_NAME = 120
GRACE = (
    2  # seconds for connections at the end; one to a sleeping laptop would keep the server for ever
)

_HUB, _WORKER, _TAB = (
    (Path(__file__).parent / file).read_text(encoding="utf-8")
    for file in ("hub.js", "worker.js", "tab.js")
)
# Of the scripts' content: after an update of the server no new tab talks to an old worker, and no old one to a new.
VERSION = hashlib.sha256((_HUB + _WORKER + _TAB).encode()).hexdigest()[:12]
EVENTS_URL = "/live/events"
STREAMS_URL = "/live/streams"
PLOTLY_URL = f"/live/plotly-{plotly.__version__}.min.js"
WORKER_URL = f"/live/hub-{VERSION}.js"
FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}


async def events(request: Request) -> Response:
    """`?run=a&run=b`; positions to go on from come as `?after=a:…,b:…` or as Last-Event-ID."""
    names = [name for name in request.query_params.getlist("run") if 0 < len(name) <= LONGEST_NAME]
    names = list(dict.fromkeys(names))[:MOST_NAMES]
    text = request.headers.get("last-event-id") or request.query_params.get("after", "")
    after = dict(part.split(":", 1) for part in text.split(",") if part.count(":") == 1)
    after = {name: place for name, place in after.items() if is_position(place)}
    hub = broadcast.hub
    if not hub.has_room_for(names):
        return PlainTextResponse(
            "Too many are watching at this moment; the page tries again by itself.",
            status_code=503,
            headers={"Retry-After": "10"},
        )
    return Events(
        hub.events(names, after),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
    )


class Events(StreamingResponse):
    async def stream_response(self, send: Send) -> None:
        async with contextlib.aclosing(self.body_iterator):  # a viewer who left counts no more
            await super().stream_response(send)


async def streams(request: Request) -> Response:
    """How many event streams are open: for tests and benchmarks, and nothing that a viewer may not know."""
    return JSONResponse(dict(streams=broadcast.hub.streams), headers={"Cache-Control": "no-store"})


async def worker_js(request: Request) -> Response:
    return Response(_HUB + _WORKER, media_type="text/javascript", headers=FOR_EVER)


@cache
def _plotly_gzipped() -> bytes:
    file = resources.files("plotly") / "package_data" / "plotly.min.js"
    return gzip.compress(file.read_bytes(), 6)


async def plotly_js(request: Request) -> Response:
    """Plotly's script as its Python package carries it: 4.8 MB, 1.5 MB over the wire, kept by the browser."""
    content = await anyio.to_thread.run_sync(_plotly_gzipped)
    headers = dict(FOR_EVER)
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
    else:
        content = gzip.decompress(content)
    return Response(content, media_type="text/javascript", headers=headers)


routes = [
    Route(EVENTS_URL, events),
    Route(STREAMS_URL, streams),
    Route(WORKER_URL, worker_js),
    Route(PLOTLY_URL, plotly_js),
]


@contextlib.contextmanager
def closing_on_signals(begin_to_end: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Within the block SIGINT and SIGTERM end every stream; else the server would wait for them for ever.

    `begin_to_end` is called at the same moment in a thread: what takes a while to end need not wait for the streams.
    """
    loop = asyncio.get_running_loop()
    old = {}

    def end() -> None:
        broadcast.hub.close()
        loop.run_in_executor(None, begin_to_end)

    if threading.current_thread() is threading.main_thread():  # elsewhere signals cannot be set

        def close(number: int, frame: Any) -> None:
            broadcast.hub.closing = True
            loop.call_soon_threadsafe(end)  # takes no lock that the interrupted code may hold
            _bound_the_end(old[number])
            if callable(old[number]):
                old[number](number, frame)

        for number in (signal.SIGINT, signal.SIGTERM):
            old[number] = signal.getsignal(number)
            signal.signal(number, close)
    try:
        yield
    finally:
        broadcast.hub.close()
        for number, action in old.items():
            signal.signal(number, action)


def _bound_the_end(handler: Any) -> None:
    """uvicorn, whose handler this is, waits without a bound for connections that take nothing more; Streamlit sets none."""
    config = getattr(getattr(handler, "__self__", None), "config", None)
    if hasattr(config, "timeout_graceful_shutdown"):
        config.timeout_graceful_shutdown = GRACE
