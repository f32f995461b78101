"""Heat maps for a page, as jobs: each map is computed once and kept, whoever asks for it."""

import time
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from components import role
from components.image_picker import Subject
from components.messages import show_job
from tinymodel import jobs
from tinymodel.evaluation import weights_version
from tinymodel.explain.gradcam import ALL_METHODS, SLOW_METHODS, Explanation, explain_run_layers
from tinymodel.runs import Run

LABEL = "Asking the network where it looked"
KEEP = 64  # results of one's own photo, the oldest go first


@dataclass(frozen=True, eq=False)
class Question:
    """What to ask about one image: one pass through the network."""

    subject: Subject
    layers: tuple[str, ...]
    method: str = "gradcam"
    target: int | None = None  # None: the network's own answer

    @property
    def slow(self) -> bool:
        return self.method in SLOW_METHODS


def ask(run: Run, questions: Sequence[Question]) -> list[list[Explanation]]:
    """An explanation for each layer of each question. Until all are there the page ends with their progress.

    Slow methods begin once somebody has pressed a button.
    """
    found: list[list[Explanation] | None] = [own(_key(run, q)) for q in questions]
    waiting = [i for i, answer in enumerate(found) if answer is None]
    if idle := [
        questions[i]
        for i in waiting
        if questions[i].slow and jobs.find(_key(run, questions[i])) is None
    ]:
        offer_slow(run, idle)
        st.stop()
    started = {i: _submit(run, questions[i]) for i in waiting}
    _wait(started, questions)
    for i, job in started.items():
        if job.state != "done":
            show_job(job)
            if not job.active:
                st.button(
                    "Try again", icon=":material/refresh:", on_click=jobs.forget, args=(job.key,)
                )
            st.stop()
        found[i] = job.result
        if questions[i].subject.photo is not None:
            keep_own(job.key, job.result)
    return found


def offer_slow(run: Run, questions: Sequence[Question]) -> None:
    """Say what a slow method costs, and the button that begins it."""
    names = list(dict.fromkeys(ALL_METHODS[q.method].title for q in questions))
    verb = "asks" if len(names) == 1 else "ask"
    st.warning(
        f"**{' and '.join(names)} {verb} the network hundreds of times** instead of once: seconds with a small network, "
        "a minute with the full-size one. You see how far it is and can stop it; everything quick goes before it.",
        icon=":material/hourglass_top:",
    )
    st.button(
        "Compute it" if len(questions) == 1 else f"Compute these {len(questions)} maps",
        type="primary",
        icon=":material/play_arrow:",
        on_click=lambda: [_submit(run, question) for question in questions],
    )


def answered(run: Run, question: Question) -> bool:
    """Whether its answer is there already."""
    key = _key(run, question)
    job = jobs.find(key)
    return own(key) is not None or (job is not None and job.state == "done")


def _submit(run: Run, question: Question) -> jobs.Job:
    """A failed or stopped one does not begin again by itself."""
    key = _key(run, question)
    job = jobs.find(key)
    if job is not None and job.state in ("failed", "stopped"):
        return job
    pixels = question.subject.pixels
    choices = dict(layers=question.layers, method=question.method, target=question.target)
    return jobs.submit(
        key,
        lambda report: explain_run_layers(
            run, pixels, report=report if question.slow else None, **choices
        ),
        label=ALL_METHODS[question.method].title if question.slow else LABEL,
        quick=not question.slow,
        owner=role.me(),
    )


def _wait(started: dict[int, jobs.Job], questions: Sequence[Question]) -> None:
    """Wait for the quick ones, so that the page does not flicker; say how far it is when that takes long."""
    quick = [job for i, job in started.items() if not questions[i].slow]
    patience, place = time.monotonic() + 0.3, None
    for number, job in enumerate(quick):
        if job.wait(max(0.0, patience - time.monotonic())).active:
            place = place or st.empty()
            place.progress(number / len(quick), f"{LABEL}: {number + 1} of {len(quick)}")
            job.wait(20)  # seconds: behind a slow job it may take a few; loading grad-cam too
    if place:
        place.empty()


def _key(run: Run, question: Question) -> Hashable:
    subject = question.subject
    choices = (question.layers, question.method, question.target)
    version = weights_version(run)
    return ("gradcam", str(run.folder), version, owner(subject), subject.digest, *choices)


# One's own photo: what is computed from it goes from the jobs, which all share, into the session of its owner.


def owner(subject: Subject) -> str:
    """Part of a job's key: of one's own photo a word that nobody else knows, else nothing."""
    if subject.photo is None:
        return ""
    return role.me()


def own(key: Hashable) -> Any:
    """What this session keeps under this key, or None."""
    return st.session_state.get("own-photo-results", {}).get(key)


def keep_own(key: Hashable, result: Any) -> None:
    kept = st.session_state.setdefault("own-photo-results", OrderedDict())
    kept[key] = result
    jobs.forget(key)
    while len(kept) > KEEP:
        kept.popitem(last=False)
