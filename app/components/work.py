"""A page that needs the result of a job waits for it here."""

from collections.abc import Callable, Hashable
from typing import Any

import streamlit as st

from components import role
from components.messages import show_job
from tinymodel import jobs


def result_of(
    key: Hashable,
    function: Callable[[Callable[[float, str], None]], Any],
    *,
    label: str,
    quick: bool = False,
) -> Any:
    """The result of a job (see `tinymodel.jobs.submit`); until it is there the page ends with its progress.

    A failed or stopped job does not begin again by itself, or its failure would come round for ever: it offers a
    button. A quick one is waited for, so that the page does not flicker.
    """
    job = jobs.find(key)
    if job is None or job.state not in ("failed", "stopped"):
        job = jobs.submit(key, function, label=label, quick=quick, owner=role.me())
    if quick and job.wait(0.15).active:
        with st.spinner(f"{label} …"):
            job.wait(20)  # seconds: behind a slow job it may take a few; loading grad-cam too
    if job.state != "done":
        show_job(job)
        if not job.active:
            st.button("Try again", icon=":material/refresh:", on_click=jobs.forget, args=(key,))
        st.stop()
    return job.result
