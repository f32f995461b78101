"""The launcher: `streamlit run app/Home.py`."""

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module

import anyio.to_thread
import streamlit as st
from components import pictures, stream

from tinymodel import jobs
from tinymodel.training.supervisor import supervisor


@asynccontextmanager
async def lifespan(app: st.App) -> AsyncIterator[None]:
    """At the end the training writes a checkpoint and stops, and so do the jobs."""
    # torch takes seconds to import: now, while nobody waits, rather than when the first page needs it
    threading.Thread(target=import_module, args=["tinymodel.training.loop"], daemon=True).start()
    with stream.closing_on_signals():
        try:
            yield
        finally:
            await anyio.to_thread.run_sync(end)


def end() -> None:
    supervisor.stop()  # both at once, then wait for both
    jobs.stop_all()
    supervisor.shutdown()


app = st.App("frame.py", routes=[*stream.routes, *pictures.routes], lifespan=lifespan)
