"""The five steps of the tour: what to look at on which page, and in which words, whatever there is to show."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import streamlit as st

from components import preparing, replaying, role
from components.messages import percent, plain
from tinymodel import jobs, replay
from tinymodel.data import list_datasets
from tinymodel.errors import UserError
from tinymodel.runs import ACTIVE, Run, list_runs


class Room:
    """What there is to show: each step has words for it, so that none leads nowhere."""

    @cached_property
    def datasets(self) -> list[str]:
        return list_datasets()

    @cached_property
    def runs(self) -> list[Run]:
        """Those to show first: with pictures that are here, best those of the sample; the newest first."""
        return sorted(list_runs(), key=lambda run: (not self.has_pictures(run), run.config.dataset != "sample"))  # fmt: skip

    @cached_property
    def training(self) -> Run | None:
        return next((run for run in self.runs if run.status in ACTIVE), None)

    @cached_property
    def taught(self) -> Run | None:
        """A run with weights: the one in training, as far as it has come, else the first to show."""
        runs = [self.training, *self.runs] if self.training else self.runs
        return next((run for run in runs if run.has_weights), None)

    @property
    def named(self) -> Run | None:
        """The run in the address."""
        return next((run for run in self.runs if run.name == st.query_params.get("run")), None)

    @property
    def watched(self) -> Run | None:
        return self.training or self.taught

    @property
    def drawing(self) -> bool:
        """Whether pictures are being made this moment."""
        job = jobs.find(preparing.JOB)
        return job is not None and job.active

    def has_pictures(self, run: Run) -> bool:
        return run.config.dataset in self.datasets


@dataclass(frozen=True)
class Step:
    """What to look at on one page."""

    page: str
    where: str  # the page's title
    title: str
    words: Callable[[Room], str]
    query: Callable[[Room], dict[str, str]]  # the address of the page
    waits: Callable[[Room], bool] = lambda room: False  # for a button of the page itself


def pictures(room: Room) -> str:
    if room.datasets:
        return (
            "A network learns from examples alone. Leaf through these: all it ever gets are 64 × 64 pixels and a name. "
            "Click one to see where the thing is, and how training changes it."
        )
    if room.drawing:
        return "The pictures are being drawn this moment and appear here by themselves. Wait for them, or go on."
    how = (
        "press “Make the sample”, which takes seconds"
        if role.is_presenter()
        else "the presenter will get some"
    )
    return f"All that a network ever learns from are pictures and their names. There are none yet: {how}."


def start(room: Room) -> str:
    if room.training:
        return f"“{plain(room.training.name)}” is learning right now. Go on to watch it."
    finished = " No time? Go on: a finished training is here." if room.taught else ""
    if not room.datasets:
        return f"Here a training starts, once there are pictures to learn from.{finished}"
    if not role.is_presenter():
        return f"Here the presenter starts a training; look at what can be chosen.{finished}"
    return (
        "Everything has been chosen already. Press “Start training”, below: the network sees every picture, guesses, and is "
        f"corrected, again and again.{finished}"
    )


def watch(room: Room) -> str:
    run = room.named or room.watched
    if run is None:
        return "Nothing has been trained yet. Go back one step and press “Start training”; then the curves grow here."
    text = (
        "Below, the curves: blue is how it does on pictures that it practises with, orange on pictures it has never seen: "
        "that one counts. "
        "Each dot is a round through all pictures (epoch)."
    )
    if run.status in ACTIVE:
        return f"{text} Go on when the first dots are there."
    if replaying.ADDRESS in st.query_params:
        return f"{text} This training has ended and is played back, faster."
    best = _best(run)
    return text if best is None else f"{text} This one reached {percent(best)}."


def looks(room: Room) -> str:
    if room.taught is None:
        return "Where does it look? The heat map comes with the first finished round (epoch). A moment."
    text = "Bright places made it decide. Is the heat on the thing itself, or on what is around it?"
    if not room.has_pictures(room.taught):
        return f"{text} The pictures it learned from are not here, so try a photo of your own."
    return f"{text} Try “Any picture” a few times."


def mistakes(room: Room) -> str:
    if room.taught is None:
        return "Here all its wrong answers will stand, the worst first, once a first round is over."
    return (
        "The worst mistakes come first. Click one: what was it looking at? Would you have known? "
        "Switch on “Your guess first” to find out."
    )


def played_back(room: Room) -> dict[str, str]:
    """The run that trains, else one that has ended, from its beginning."""
    run = room.watched
    if run is None:
        return dict(run="new")
    duration = 0 if room.training else replay.recording(run).duration
    if duration <= 0:
        return dict(run=run.name)
    moment = replay.begin(run.name, replay.usual_speed(duration), time.time())
    return {"run": run.name, replaying.ADDRESS: moment.text}


def study(room: Room) -> dict[str, str]:
    return dict(run=room.taught.name) if room.taught else {}


def one_picture(room: Room) -> dict[str, str]:
    """The picture that it is surest about and right: a first heat map should be one that can be read."""
    if room.taught is None:
        return {}
    if not room.has_pictures(room.taught):
        return dict(run=room.taught.name, source="upload")
    from tinymodel.evaluation import current_predictions  # torch: not for the other steps
    from tinymodel.scores import select

    answers = current_predictions(room.taught)
    best = select(answers, "right", sort="sure") if answers is not None else ()
    image = dict(image=str(best["index"].iloc[0])) if len(best) else {}
    return dict(run=room.taught.name, **image)


STEPS = (
    Step(
        "data",
        "Data",
        "Look at the pictures",
        pictures,
        lambda room: dict(dataset="sample") if "sample" in room.datasets else {},
        lambda room: not room.datasets and not room.drawing and role.is_presenter(),
    ),
    Step(
        "train",
        "Train",
        "Let it learn",
        start,
        lambda room: (
            dict(run="new") | (dict(dataset="sample") if "sample" in room.datasets else {})
        ),
        lambda room: bool(room.datasets) and not room.training and role.is_presenter(),
    ),
    Step(
        "train",
        "Train",
        "Watch it learn",
        watch,
        played_back,
    ),
    Step("gradcam", "Grad-CAM", "See where it looks", looks, one_picture),
    Step("mistakes", "Mistakes", "Find what it gets wrong", mistakes, study),
)


def _best(run: Run) -> float | None:
    try:
        return run.best_accuracy
    except UserError:
        return None
