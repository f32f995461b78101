"""At the very first start the sample is drawn by itself, so that a minute later every page has pictures to show."""

import contextlib
import os
import threading
from collections.abc import Callable

import streamlit as st

from tinymodel import jobs
from tinymodel.data import prepare_sample
from tinymodel.paths import data_folder

LABEL = "Drawing the sample"


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
