"""What pages say when something is missing, wrong, or takes a while."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import streamlit as st

from components import role
from tinymodel.errors import UserError
from tinymodel.jobs import Job, active
from tinymodel.training.supervisor import about, duration

__all__ = [
    "about",
    "concerns",
    "duration",
    "invite",
    "missing",
    "percent",
    "plain",
    "short",
    "show_error",
    "show_job",
    "user_errors",
]


LINGERS = 60  # seconds


def invite(
    title: str, text: str, *, page: str, label: str, icon: str = ":material/arrow_forward:"
) -> None:
    """An empty state: what this place will show, and the link to where it is made (`page`: "views/data.py")."""
    with st.container(border=True, key=f"invitation-{title}"):
        st.subheader(title, anchor=False)
        st.markdown(text)
        st.page_link(page, label=label, icon=icon)


def missing(title: str, text: str, *, page: str, label: str, **kwargs: str) -> NoReturn:
    """`invite`, and nothing of the page after it: the guard at the beginning of a page."""
    invite(title, text, page=page, label=label, **kwargs)
    st.stop()


def show_error(error: UserError | str) -> None:
    st.error(plain(str(error)), icon=":material/error:")


def plain(text: str) -> str:
    """`text` with nothing in it that Markdown would change: for names and sentences that come from elsewhere."""
    return re.sub(r"([\\`*_\[\]$<>~|#]|:(?=[A-Za-z]))", r"\\\1", text)


@contextmanager
def user_errors() -> Iterator[None]:
    """Show a `UserError` of the block as its one sentence; the page goes on after the block."""
    try:
        yield
    except UserError as error:
        show_error(error)


def concerns(job: Job, mine: bool) -> bool:
    """Whether a page says something of this job: how it failed matters to who asked, and to others for a minute."""
    return job.active or mine or time.monotonic() - job.ended < LINGERS


def show_job(job: Job, *, stoppable: bool = True) -> None:
    """How far a job is, how long it still takes, and a way out; the page reruns once when it has ended.

    A failed job shows its sentence, a stopped one says so, a finished one shows nothing.
    """
    if job.active:
        _follow(job, stoppable)
    elif job.state == "failed":
        show_error(job.error)
    elif job.state == "stopped":
        st.info(f"{job.label}: stopped.", icon=":material/block:")


@st.fragment(run_every=0.7)
def _follow(job: Job, stoppable: bool) -> None:
    if not job.active:
        st.rerun()
    left = job.seconds_left
    text = job.message if left is None else f"{job.message} · {about(left)} left"
    if job.state == "queued" and (before := next(iter(active()), job)) is not job:
        text = f"Waiting for: {before.label} ({percent(before.fraction)})"
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.progress(job.fraction, plain(text))
        if stoppable and role.may_stop(job):
            st.button(
                "Stop",
                key=f"stop-{job.key}",
                icon=":material/stop:",
                on_click=lambda: role.may_stop(job) and job.stop(),
            )


def short(name: str, most: int = 32) -> str:
    """Of a name that no list or legend on a phone has room for, its beginning and its end."""
    return name if len(name) <= most else f"{name[: most // 2]}…{name[-most // 2 + 1 :]}"


def percent(fraction: float | None) -> str:
    """'61.3 %', or a dash if there is none yet."""
    return "–" if fraction is None else f"{100 * fraction:.1f} %"
