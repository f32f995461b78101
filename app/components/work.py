"""A page that needs the result of a job waits for it here."""

from collections.abc import Callable, Hashable
from typing import Any
from uuid import uuid4

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


def result_of_mine(
    key: Hashable, function: Callable[[Callable[[float, str], None]], Any], **options: Any
) -> Any:
    """`result_of`, kept by this browser session alone: the list of jobs holds nothing of it, also if the tab is closed.

    Of what is asked with one kind of key (its first part) the session keeps the latest.
    """
    mine = st.session_state.setdefault(f"mine-{key[0]}", {})  # the job holds it, not the session
    shared = (*key, st.session_state.setdefault("mine", uuid4().hex))  # with nobody

    def work(report: Callable[[float, str], None]) -> None:
        found = function(report)
        mine.clear()
        mine[key] = found

    if key not in mine:
        if (job := jobs.find(shared)) and job.state == "done":  # its result has made room since
            jobs.forget(shared)
        result_of(shared, work, **options)
    jobs.forget(shared)
    return mine[key]
