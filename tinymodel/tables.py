"""The tables of a run folder: plain CSV that grows while somebody reads it; and rows of a dataset, written short."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from tinymodel.errors import UserError

STEP_COLUMNS = (
    "step",
    "epoch",
    "lr",
    "train_loss",
    "train_accuracy",
    "seconds",
    "images_per_second",
)
EPOCH_COLUMNS = (
    "epoch",
    "lr",
    "seconds",
    "train_loss",
    "train_accuracy",
    "val_loss",
    "val_accuracy",
    "images_per_second",
)


def read_table(file: Path, columns: Sequence[str]) -> pd.DataFrame:
    """A table of numbers; a torn last line, as a killed process leaves it, is ignored."""
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        content = b""
    whole = content[: content.rfind(b"\n") + 1]
    if not whole.strip():
        return pd.DataFrame({column: pd.Series(dtype=float) for column in columns})
    try:
        return pd.read_csv(io.BytesIO(whole))
    except ValueError as error:  # of which pandas' and Unicode's errors are kinds
        raise UserError(
            f"The table {file.name} of the run {file.parent.name!r} is damaged; delete the run's folder, or put back a "
            "copy of the table."
        ) from error


class TableTail:
    """Follows a growing table: the rows that came since the last look, without reading the file again."""

    def __init__(self, file: Path):
        self.file = file
        self.position = 0

    def read(self) -> tuple[bool, list[list[float]]]:
        """Returns (reset, rows): `reset` is True if the table became shorter, then `rows` are all it has."""
        try:
            size = self.file.stat().st_size
            reset = size < self.position
            if reset:
                self.position = 0
            if size == self.position:
                return reset, []
            with open(self.file, "rb") as stream:
                stream.seek(self.position)
                content = stream.read(size - self.position)
        except FileNotFoundError:
            return False, []
        whole = content[: content.rfind(b"\n") + 1]
        lines = whole.decode("utf-8", errors="replace").splitlines()
        if self.position == 0:
            lines = lines[1:]  # the header
        self.position += len(whole)
        rows = []
        for line in lines:
            try:
                rows.append([float(value) for value in line.split(",")])
            except ValueError:
                continue
        return reset, rows


def to_ranges(indices: np.ndarray) -> list[list[int]]:
    """Indices in order as [start, stop) pairs: a few numbers instead of 80,000."""
    if not len(indices):
        return []
    breaks = np.flatnonzero(np.diff(indices) != 1) + 1
    starts, stops = indices[np.r_[0, breaks]], indices[np.r_[breaks - 1, len(indices) - 1]] + 1
    return [[int(a), int(b)] for a, b in zip(starts, stops, strict=True)]


def from_ranges(ranges: list[list[int]]) -> np.ndarray:
    return np.concatenate([np.arange(a, b) for a, b in ranges] or [np.arange(0)]).astype(np.int64)
