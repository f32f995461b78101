"""The launcher: `streamlit run app/Home.py`."""

import gc
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module

import anyio.to_thread
import streamlit as st
from components import first_start, insight, live, pictures, presenter, stream, uploads
from starlette.middleware import Middleware
from starlette.routing import Route

from tinymodel import jobs
from tinymodel.training.supervisor import supervisor


@asynccontextmanager
async def lifespan(app: st.App) -> AsyncIterator[None]:
    """At the end the training writes a checkpoint and stops, and so do the jobs."""
    warming = threading.Thread(target=warm_up, daemon=True)
    warming.start()
    first_start.begin(after=warming)
    with stream.closing_on_signals(begin_to_end):
        try:
            yield
        finally:
            await anyio.to_thread.run_sync(end)


def warm_up() -> None:
    """torch and grad-cam take seconds to import: while nobody waits, rather than when a page first needs them."""
    first_start.after_first_page()
    for name in ("tinymodel.training.loop", "pytorch_grad_cam"):
        import_module(name)


def begin_to_end() -> None:
    supervisor.stop()  # both at once, then wait for both
    jobs.stop_all()


def end() -> None:
    begin_to_end()
    supervisor.shutdown()
    gc.freeze()  # else Ctrl-C waits while the interpreter collects all of torch's objects, one by one, several times


# A server that is not at the root of its host (server.baseUrlPath) puts its path before Streamlit's routes alone.
ROUTES = [
    Route(pictures.prefix() + route.path, route.endpoint, methods=list(route.methods))
    for route in (
        *stream.routes,
        *live.routes,
        *pictures.routes,
        *insight.routes,
        *presenter.routes,
    )
]
app = st.App("frame.py", routes=ROUTES, lifespan=lifespan, middleware=[Middleware(uploads.Bounds)])
