"""Playing a run that has ended back, at 1 to 100 times its speed: a pure function of an address and the clock.

A `Replay` says which moment of a run is seen now. Its text stands in the address of the page, so everybody who opens
the address sees the same moment; nothing is stored. A `Recording` says what the tables held at a moment.

Moments are seconds of training from its beginning, as the tables have them: pauses, and the time between a stop and
its resume, are not in them, so a resumed run plays through without a gap.
"""

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tinymodel.errors import UserError
from tinymodel.runs import Progress, Run, progress_of
from tinymodel.tables import EPOCH_COLUMNS, STEP_COLUMNS

SPEEDS = (1, 2, 5, 10, 20, 50, 100)
USUAL_LENGTH = (
    60  # seconds that a replay takes at the most, if it need not be faster than the fastest speed
)

_TEXT = re.compile(r"(\d{1,3})x-(since|at)-(\d{1,12}(?:\.\d{1,3})?)", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Replay:
    """A run as it was: it plays since `began`, or stands still at `at`."""

    run: str
    speed: int
    began: float | None = (
        None  # seconds on the server's clock (epoch), when the training's moment was 0
    )
    at: float | None = None  # seconds of training

    @classmethod
    def parse(cls, run: str, text: str) -> "Replay":
        """The replay of `run` that an address names: '20x-since-1764031234.5' or '20x-at-12.5'.

        Raises:
            UserError: It is no such text.
        """
        match = _TEXT.fullmatch(text)
        if not match or int(match[1]) not in SPEEDS:
            raise UserError(
                "This address names no moment of a replay that can be shown. Press “Play it again” to begin anew."
            )
        speed, kind, seconds = int(match[1]), match[2], float(match[3])
        moment = dict(began=seconds) if kind == "since" else dict(at=seconds)
        return cls(run=run, speed=speed, **moment)

    @property
    def text(self) -> str:
        """For the address."""
        if self.at is None:
            return f"{self.speed}x-since-{self.began:.3f}"
        return f"{self.speed}x-at-{self.at:.3f}"

    @property
    def key(self) -> str:
        """The name under which the event stream knows it; runs have no '@' in theirs."""
        return f"{self.run}@{self.text}"

    @classmethod
    def of_key(cls, key: str) -> "Replay | None":
        """None if it is the name of a run. Raises as `parse`."""
        run, at, text = key.partition("@")
        return cls.parse(run, text) if at else None

    @property
    def playing(self) -> bool:
        return self.at is None

    def moment(self, now: float) -> float:
        """Seconds of training that have been played at `now` (seconds, epoch); not bounded by the run's end."""
        return self.at if self.at is not None else max(0.0, (now - self.began) * self.speed)

    def paused(self, now: float, duration: float) -> "Replay":
        return replace(self, began=None, at=min(self.moment(now), duration))

    def going_on(self, now: float) -> "Replay":
        return replace(self, began=now - self.moment(now) / self.speed, at=None)

    def moved(self, moment: float, now: float) -> "Replay":
        """At another moment, playing or standing still as before."""
        if not self.playing:
            return replace(self, at=moment)
        return replace(self, began=now - moment / self.speed)

    def at_speed(self, speed: int, now: float) -> "Replay":
        """At another speed, at the same moment."""
        return replace(self, speed=speed).moved(self.moment(now), now)


def begin(run: str, speed: int, now: float) -> Replay:
    """From the first step, now."""
    return Replay(run=run, speed=speed, began=now)


def usual_speed(duration: float) -> int:
    """The slowest speed at which a training of `duration` seconds plays in about a minute."""
    return next((speed for speed in SPEEDS if duration / speed <= USUAL_LENGTH), SPEEDS[-1])


class Recording:
    """The tables of a run that has ended, and when each of their rows was written."""

    def __init__(
        self, info: dict[str, Any], status: str, steps: pd.DataFrame, epochs: pd.DataFrame
    ):
        self.info, self.status = info, status
        self.steps, self.epochs = steps.to_numpy(), epochs.to_numpy()
        self.step_times, self.epoch_times = row_times(steps, epochs)
        self.duration = float(max([*self.step_times[-1:], *self.epoch_times[-1:]], default=0.0))

    def rows(self, moment: float) -> tuple[int, int]:
        """How many rows of the steps and of the epochs there were."""
        return tuple(
            int(np.searchsorted(times, moment, side="right"))
            for times in (self.step_times, self.epoch_times)
        )

    def progress(self, replay: Replay, now: float) -> Progress:
        """How the run stood at the replay's moment; `seconds_left` as the one who watches will wait."""
        moment = replay.moment(now)
        if moment >= self.duration:
            return progress_of(self.info, self.status, self.steps, self.epochs)
        steps, epochs = self.rows(moment)
        status = "running" if replay.playing else "paused"
        progress = progress_of(self.info, status, self.steps[:steps], self.epochs[:epochs])
        return replace(progress, seconds_left=(self.duration - moment) / replay.speed)


def recording(run: Run) -> Recording:
    """Of a run that has ended; read once, as long as its tables stay as they are.

    Raises:
        UserError: Its tables are damaged.
    """
    marks = []
    for name in ("steps.csv", "epochs.csv", "run.json"):
        try:
            about = (run.folder / name).stat()
            marks.append((about.st_mtime_ns, about.st_size))
        except FileNotFoundError:
            marks.append(None)
    return _recording(str(run.folder), tuple(marks))


@lru_cache(maxsize=8)
def _recording(folder: str, marks: tuple) -> Recording:
    run = Run(Path(folder))
    try:
        steps = run.steps()[list(STEP_COLUMNS)].astype(float)
        epochs = run.epochs()[list(EPOCH_COLUMNS)].astype(float)
        return Recording(run.info(), run.status, steps, epochs)
    except (KeyError, ValueError) as error:  # a column that is missing, or holds words
        raise UserError(
            f"The tables of the run {run.name!r} are damaged: it cannot be played back."
        ) from error


def row_times(steps: pd.DataFrame, epochs: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """When the rows were written: float64 (steps,) and (epochs,), seconds of training from its beginning, never falling.

    `seconds` of a step is the clock of the whole training at that step; `seconds` of an epoch is how long it took, with
    its validation. So an epoch's row was written when all epochs so far had taken their time, after its last step and
    before the next one's first. Numbers that say otherwise (no numbers, a clock that goes back) are moved, in that order.
    """
    step_times = np.maximum.accumulate(_finite(steps["seconds"])) if len(steps) else np.zeros(0)
    epoch_times = np.cumsum(np.maximum(0, _finite(epochs["seconds"])))
    bounds = np.searchsorted(_finite(steps["epoch"]), _finite(epochs["epoch"]), side="right")
    written = 0.0
    for i, bound in enumerate(bounds):
        first = bounds[i - 1] if i else 0
        step_times[first:bound] = np.maximum(step_times[first:bound], written)
        latest = step_times[bound - 1] if bound else 0.0
        written = epoch_times[i] = max(written, latest, epoch_times[i])
    last = bounds[-1] if len(bounds) else 0
    step_times[last:] = np.maximum(step_times[last:], written)
    return step_times, epoch_times


def _finite(column: pd.Series) -> np.ndarray:
    return np.nan_to_num(column.to_numpy(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
