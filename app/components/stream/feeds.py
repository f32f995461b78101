"""What is drawn of a run: its tables, followed while they grow, and what came after a position in them."""

import json
import math
import threading
import time
import uuid
from functools import lru_cache
from typing import Any

from tinymodel.replay import Recording, Replay, recording
from tinymodel.runs import Run
from tinymodel.tables import TableTail

HISTORY = 1500  # points that a latecomer gets of a long run: more than a curve has pixels
KEPT = (
    0.9  # of the running averages that are drawn of loss and accuracy: one batch alone says little
)


class Drawn:
    """Rows as they are drawn, in two lists that only grow, and the news since a position in them.

    A position is 'generation.steps.epochs'; one of another generation means nothing here, and gets everything.
    """

    def __init__(self, name: str):
        self.name = name
        self._lock = threading.Lock()  # changed in a worker thread, asked by the event loop
        self.steps: list[list[float]] = []  # epochs so far, learning rate, loss, accuracy
        self.epochs: list[list[float]] = []  # as in the table
        self.shown = (0, 0)  # how many of each
        self.generation = ""
        self._told: dict[str, str] = {}  # position → news, while nothing is newer
        self._begin()

    def _begin(self) -> None:
        self.generation = uuid.uuid4().hex[:8]

    def read(self) -> None:
        """Look for new rows. Called in a worker thread."""
        raise NotImplementedError

    def news(self, position: str) -> tuple[str, str]:
        """The position now, and the event that brings a browser there from `position`, or ''.

        Browsers at the same position share one text: thirty of them cost one encoding.
        """
        with self._lock:
            now = f"{self.generation}.{self.shown[0]}.{self.shown[1]}"
            if position == now:
                return now, ""
            if position not in self._told:
                if len(self._told) >= 50:  # of invented positions there is no end
                    self._told.clear()
                self._told[position] = event("rows", self._since(position, now))
            return now, self._told[position]

    def _since(self, position: str, now: str) -> dict[str, Any]:
        generation, *counts = position.split(".")
        reset = generation != self.generation
        first_step, first_epoch = (0, 0) if reset else map(int, counts)
        steps = self.steps[first_step : self.shown[0]]
        stride = -(-len(steps) // HISTORY) or 1
        return dict(
            run=self.name,
            reset=reset,
            position=now,
            steps=steps[::-1][::stride][::-1],  # the last one is always among them
            epochs=self.epochs[first_epoch : self.shown[1]],
        )

    def _show(self, steps: int, epochs: int) -> None:
        if (steps, epochs) != self.shown:
            self.shown = (steps, epochs)
            self._told.clear()


class Feed(Drawn):
    """Follows the tables of one run on disk, whoever writes them."""

    def __init__(self, name: str):
        self.run = Run.open(name)
        self.averaging = Averaging(self.run.info())
        super().__init__(name)

    def _begin(self) -> None:
        super()._begin()
        self.tails = [TableTail(self.run.folder / f"{name}.csv") for name in ("steps", "epochs")]
        self.steps, self.epochs = [], []
        self.averaging.begin()
        self._show(0, 0)
        self._told.clear()

    def read(self) -> None:
        with self._lock:
            news = [tail.read() for tail in self.tails]
            per_epoch = self.averaging.steps_per_epoch
            if any(
                reset or (rows and table and rows[0][0] / scale <= table[-1][0])
                for (reset, rows), table, scale in zip(
                    news, (self.steps, self.epochs), (per_epoch, 1), strict=True
                )
            ):  # a resume has cut them
                self._begin()
                news = [tail.read() for tail in self.tails]
            self.steps.extend(map(self.averaging.row, news[0][1]))
            self.epochs.extend(news[1][1])
            self._show(len(self.steps), len(self.epochs))


class ReplayFeed(Drawn):
    """The same of a run that is played back: as many rows as there were at the moment that is seen now."""

    def __init__(self, replay: Replay):
        self.replay = replay
        self.recording = recording(Run.open(replay.run))
        super().__init__(replay.key)
        self.steps, self.epochs = _drawn(self.recording)

    def read(self) -> None:
        with self._lock:
            self._show(*self.recording.rows(self.replay.moment(time.time())))


@lru_cache(maxsize=8)
def _drawn(tables: Recording) -> tuple[list[list[float]], list[list[float]]]:
    averaging = Averaging(tables.info)
    return [averaging.row(row) for row in tables.steps.tolist()], tables.epochs.tolist()


class Averaging:
    """Rows of steps.csv as they are drawn: epochs so far, learning rate, running averages of loss and accuracy."""

    def __init__(self, info: dict[str, Any]):
        self.steps_per_epoch = max(1, info["steps_per_epoch"])
        self.begin()

    def begin(self) -> None:
        self.averages = [0.0, 0.0, 0.0]  # of the loss, of the accuracy, and the weight of both

    def row(self, row: list[float]) -> list[float]:
        step, _, rate, *values = row[:5]
        if all(map(math.isfinite, values)):
            new = [*values, 1.0]
            old = self.averages
            self.averages = [KEPT * a + (1 - KEPT) * b for a, b in zip(old, new, strict=True)]
            values = [average / self.averages[2] for average in self.averages[:2]]
        return [step / self.steps_per_epoch, rate, *values]


def is_position(text: str) -> bool:
    _, *counts = text.split(".")
    return len(counts) == 2 and all(
        count.isascii() and count.isdecimal() and len(count) < 12 for count in counts
    )


def event(kind: str, data: dict[str, Any]) -> str:
    """A server-sent event."""
    return f"event: {kind}\ndata: {json.dumps(_plain(data), separators=(',', ':'))}\n\n"


def _plain(value: Any) -> Any:
    """Numbers with six digits; NaN and infinity, which JSON does not know, as null."""
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value
