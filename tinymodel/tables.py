"""The tables of a run folder: plain CSV that grows while somebody reads it; and rows of a dataset, written short."""

import io
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

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
        table = kept(file, _parse, columns)
    except FileNotFoundError:
        table = _no_rows(columns)
    return table.copy(deep=False)  # pandas copies what its owner changes


def read_last(file: Path, columns: Sequence[str], rows: int) -> np.ndarray:
    """The last rows of such a table, float64 (rows, columns), at the same cost however long it is.

    For what is asked at every click, so without pandas.

    Raises:
        UserError: The table is damaged.
    """
    try:
        with open(file, "rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - rows * WIDEST_ROW))
            content = stream.read()
    except FileNotFoundError:
        content = b""
    whole = content[: content.rfind(b"\n") + 1]
    lines = whole.splitlines()[1:]  # without the header, or what is left of a row
    try:
        values = [[float(value) for value in line.split(b",")] for line in lines[-rows:]]
        return np.array(values, dtype=float).reshape(len(values), len(columns))
    except ValueError:  # other columns, or damaged: what can be said is said there
        return read_rows(file, columns)[-rows:]


def read_rows(file: Path, columns: Sequence[str]) -> np.ndarray:
    """The whole table as float64 (rows, columns), not to be changed. Raises UserError if it is damaged."""
    try:
        return kept(file, _parse_rows, columns)
    except FileNotFoundError:
        return np.empty((0, len(columns)))


WIDEST_ROW = 200  # bytes, of numbers with nine digits
KEPT = 512  # files, run.json of every run among them
_files: dict[tuple, tuple[tuple, Any]] = {}  # pages read each several times a run of theirs
_lock = threading.Lock()


def kept(file: Path, parse: Callable[..., Any], *arguments: Any) -> Any:
    """What `parse(file, *arguments)` makes of a file, made again only after the file was changed or replaced.

    The same object for everybody: to be read, not to be changed. Raises what `parse` raises, and OSError.
    """
    about = file.stat()
    stamp = about.st_ino, about.st_size, about.st_mtime_ns
    key = file, parse
    with _lock:
        known, made = _files.get(key, (None, None))
    if known != stamp:
        made = parse(file, *arguments)
        with _lock:
            _files.pop(key, None)
            _files[key] = stamp, made
            while len(_files) > KEPT:
                del _files[next(iter(_files))]
    return made


def _no_rows(columns: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame({column: pd.Series(dtype=float) for column in columns})


def _parse(file: Path, columns: Sequence[str]) -> pd.DataFrame:
    content = file.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if not whole.strip():
        return _no_rows(columns)
    try:
        return pd.read_csv(io.BytesIO(whole))
    except ValueError as error:  # of which pandas' and Unicode's errors are kinds
        raise _damaged(file) from error


def _parse_rows(file: Path, columns: Sequence[str]) -> np.ndarray:
    try:
        return _parse(file, columns)[list(columns)].to_numpy(dtype=float)
    except (KeyError, ValueError) as error:
        raise _damaged(file) from error


def _damaged(file: Path) -> UserError:
    return UserError(
        f"The table {file.name} of the run {file.parent.name!r} is damaged; delete the run's folder, or put back a copy "
        "of the table."
    )


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
