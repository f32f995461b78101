"""What waits for the first page: heavy imports, and at the very first start the drawing of the sample.

A minute later every page is quick and has pictures to show.
"""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator

import streamlit as st

from tinymodel import jobs
from tinymodel.data import prepare_sample
from tinymodel.paths import data_folder

LABEL = "Drawing the sample"
PATIENCE = 10  # seconds without a visitor until nobody is waited for

_page_shown = threading.Event()


@contextlib.contextmanager
def page() -> Iterator[None]:
    """Around the drawing of every page: the first one lets what waits in `after_first_page` go on."""
    try:
        yield
    finally:
        _page_shown.set()


def after_first_page() -> None:
    """Wait until somebody has a page before them, or nobody comes: heavy imports would hold it up for seconds."""
    if _page_shown.wait(PATIENCE):
        time.sleep(0.5)  # until the browser has been told all of it


def begin(after: threading.Thread) -> None:
    """Draw the sample as the job that the Data page shows, if there has never been a data folder.

    Whoever removes the sample later has seen it: the folder is there then, and nothing comes back.

    Args:
        after: What has to end before, so that the first page need not share the processor.
    """
    if os.path.lexists(data_folder()):
        return
    # Not with the launcher: its caches would warn that the server is not there yet.
    from components import preparing

    def draw(report: Callable[[float, str], None]) -> str:
        after.join()
        try:
            return prepare_sample(progress=report).name
        except BaseException:
            with contextlib.suppress(OSError):  # stopped half-way or no room: the next start tries
                data_folder().rmdir()  # only if it is empty
            raise

    jobs.submit(preparing.JOB, draw, label=LABEL)


@st.fragment(run_every=1)
def _follow(job: jobs.Job) -> None:
    if not job.active:
        st.rerun()
    st.progress(job.fraction, f"{LABEL}: pictures for every page")


def show() -> None:
    """How far it is, beside whatever page is open, which is drawn anew when the pictures are there."""
    from components import preparing

    job = jobs.find(preparing.JOB)
    if job is not None and job.active and job.label == LABEL:
        _follow(job)
