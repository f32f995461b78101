"""The run folder: the single source of truth about a training run, whoever writes it.

`checkpoints/<run>/` holds `run.json`, `steps.csv`, `epochs.csv`, `last.pt`, `previous.pt`, `best.pt`,
`predictions.parquet`, `log.txt`, a `lock` held by whoever writes, and a `request` left by whoever wants a pause or stop.
"""

import contextlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import pandas as pd
from filelock import FileLock, Timeout

from tinymodel.config import TrainConfig
from tinymodel.data.prepared import ClassInfo
from tinymodel.errors import UserError
from tinymodel.paths import check_name, runs_folder
from tinymodel.tables import (
    EPOCH_COLUMNS,
    STEP_COLUMNS,
    from_ranges,
    kept,
    read_last,
    read_rows,
    read_table,
)
from tinymodel.tables import to_ranges as to_ranges  # what writes run.json finds it here

FORMAT = 1
ACTIVE = ("running", "paused")
RECENT = 20  # recorded steps that say how fast it is
REQUESTS = ("pause", "stop")
WRITTEN = ("steps.csv", "epochs.csv", "best.pt", "last.pt", "previous.pt", "lock")  # by training
REQUIRED = ("name", "created", "status", "config", "model", "classes", "mean", "std")  # of run.json


@dataclass(frozen=True)
class Progress:
    """How far a run has come. Fractions are in [0, 1], times in seconds, epochs counted from 1."""

    status: str
    message: str
    epoch: int  # the one under way, or the last one
    epochs: int
    epoch_fraction: float
    run_fraction: float
    images_per_second: float | None
    seconds_left: float | None
    val_accuracy: float | None  # of the last finished epoch
    best_accuracy: float | None


# Locks that this process holds, by folder: a lock of one's own need not be tried.
held_here: WeakValueDictionary[Path, FileLock] = WeakValueDictionary()


class Run:
    """A run folder, opened for reading. Everything is read anew, so a `Run` may be kept while it trains."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.name = folder.name

    @classmethod
    def open(cls, name: str) -> "Run":
        """Raises UserError if there is no such run or its `run.json` cannot be read."""
        run = cls(runs_folder() / check_name(name, "run"))
        run.info()
        return run

    def info(self) -> dict[str, Any]:
        """`run.json` as it is now."""
        try:
            info = dict(kept(self.folder / "run.json", _parse_info))
            version = info["format"]
            if missing := [key for key in REQUIRED if key not in info]:
                raise KeyError(missing[0])
        except FileNotFoundError as error:
            raise UserError(
                f"There is no run {self.name!r}; it may have been deleted or renamed."
            ) from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"The run {self.name!r} is damaged: its run.json cannot be read. Delete its folder, or put back a copy."
            ) from error
        if version > FORMAT:
            raise UserError(
                f"The run {self.name!r} was written by a newer version of this program."
            )
        return info

    @cached_property
    def _fixed(self) -> dict[str, Any]:
        """The parts of `run.json` that never change once written."""
        return self.info()

    @cached_property
    def config(self) -> TrainConfig:
        return TrainConfig.from_json(self._fixed["config"])

    @cached_property
    def classes(self) -> tuple[ClassInfo, ...]:
        """In the order of the network's outputs."""
        return tuple(ClassInfo(**item) for item in self._fixed["classes"])

    @property
    def mean(self) -> tuple[float, float, float]:
        """Colour mean that images are normalised with, in [0, 1]."""
        return tuple(self._fixed["mean"])

    @property
    def std(self) -> tuple[float, float, float]:
        return tuple(self._fixed["std"])

    @property
    def created(self) -> datetime:
        """In local time."""
        return datetime.fromisoformat(self._fixed["created"]).astimezone()

    @cached_property
    def train_indices(self) -> np.ndarray:
        """Rows of the dataset trained on: int64, ascending within each class."""
        return from_ranges(self._fixed["train_indices"])

    @cached_property
    def val_indices(self) -> np.ndarray:
        return from_ranges(self._fixed["val_indices"])

    @property
    def status(self) -> str:
        """'running', 'paused', 'stopped', 'failed', 'finished', or 'interrupted' if its writer died."""
        status = self.info()["status"]
        if status in ACTIVE and not self.is_locked():
            status = self.info()["status"]  # it may have ended between the two looks
            return "interrupted" if status in ACTIVE else status
        return status

    @property
    def message(self) -> str:
        """A sentence that belongs to the status: why it failed, or nothing."""
        return self.info().get("message", "")

    def is_locked(self) -> bool:
        """Whether a living process writes this run."""
        if self.folder in held_here:
            return True
        if not (self.folder / "lock").exists():
            return False
        try:
            with FileLock(self.folder / "lock", timeout=0):
                return False
        except Timeout:
            return True
        except OSError:  # a read-only folder: nobody can be writing it
            return False

    def steps(self) -> pd.DataFrame:
        """One row per recorded step: `STEP_COLUMNS`."""
        return read_table(self.folder / "steps.csv", STEP_COLUMNS)

    def epochs(self) -> pd.DataFrame:
        """One row per finished epoch: `EPOCH_COLUMNS`, `seconds` with its validation."""
        return read_table(self.folder / "epochs.csv", EPOCH_COLUMNS)

    def predictions(self) -> pd.DataFrame | None:
        """One row per validation image (see `tinymodel.evaluation`), or None if they are not there, whole."""
        try:
            return pd.read_parquet(self.folder / "predictions.parquet")
        except (OSError, ValueError):  # not there, or damaged: they can be made again
            return None

    @property
    def best_accuracy(self) -> float | None:
        """The highest validation accuracy of a finished epoch, a fraction."""
        epochs = self.epochs()
        return float(epochs["val_accuracy"].max()) if len(epochs) else None

    @property
    def shipped(self) -> bool:
        """Whether it came with the program: something to look at before anybody has trained."""
        return bool(self._fixed.get("shipped", False))

    @property
    def has_weights(self) -> bool:
        return any((self.folder / file).is_file() for file in ("best.pt", "last.pt"))

    def network(self, which: str = "best"):
        """The `BottleneckNet` of the best (or 'last') checkpoint, on the CPU, in eval mode, for this caller alone.

        Raises:
            UserError: There is no checkpoint yet, or it is damaged or of another network.
        """
        from tinymodel import checkpoint  # torch is heavy: readers of tables need not wait for it
        from tinymodel.network import BottleneckNet

        files = (
            ["best.pt", "last.pt", "previous.pt"] if which == "best" else ["last.pt", "previous.pt"]
        )
        found = [self.folder / file for file in files if (self.folder / file).is_file()]
        if not found:
            raise UserError(
                f"The run {self.name!r} has no weights yet; they are saved at the end of its first epoch."
            )
        state = checkpoint.load(found[0])
        network = BottleneckNet(**self._fixed["model"])
        try:
            network.load_state_dict(state.get("averaged") or state["weights"])
        except (RuntimeError, KeyError) as error:
            raise UserError(
                f"The weights in {found[0].name} of the run {self.name!r} are of another network. Choose another run, or "
                "delete this one and train again."
            ) from error
        return network.eval()

    def progress(self) -> Progress:
        """Read from the tables, so it is the same for every process that asks."""
        steps = read_last(self.folder / "steps.csv", STEP_COLUMNS, RECENT)
        epochs = read_rows(self.folder / "epochs.csv", EPOCH_COLUMNS)
        return progress_of(self.info(), self.status, steps, epochs)

    def request(self, action: str) -> None:
        """Ask whoever writes this run for 'pause' or 'stop', or with 'resume' take a pause back.

        Raises:
            UserError: The run is not being trained by anybody.
        """
        if self.status not in ACTIVE:
            raise UserError(f"The run {self.name!r} is not training ({self.status}).")
        file = self.folder / "request"
        if action == "resume":
            if self.requested() != "stop":
                file.unlink(missing_ok=True)
        elif action in REQUESTS:
            write_atomically(file, action)
        else:
            raise ValueError(f"action must be pause, resume or stop, not {action!r}.")

    def requested(self) -> str:
        """'pause', 'stop' or ''."""
        try:
            action = (self.folder / "request").read_text(encoding="utf-8").strip()
        except OSError:
            return ""
        return action if action in REQUESTS else ""

    def size(self) -> int:
        """Bytes on disk."""
        total = 0
        for item in self.folder.rglob("*"):
            with contextlib.suppress(OSError):  # replaced or deleted this moment
                total += item.stat().st_size if item.is_file() else 0
        return total

    def rename(self, name: str) -> "Run":
        """Give the folder another name, at once or not at all, and return the run under it.

        Raises:
            UserError: It is being trained, the name is taken or no name for a folder, or the system refuses.
        """
        target = self.folder.parent / check_name(name, "run")
        if name == self.name:
            return self
        self._refuse_while_locked()
        if target.exists() and not target.samefile(self.folder):  # the same: only the case differs
            raise UserError(f"There is already a run {name!r}. Choose another name.")
        try:
            with FileLock(
                self.folder / "lock", timeout=2
            ) as lock:  # nobody begins to train it meanwhile
                if os.name == "nt":  # which renames no folder with an open file in it
                    lock.release()
                os.rename(self.folder, target)
        except Timeout as error:
            raise UserError(self._busy) from error
        except OSError as error:
            raise UserError(
                f"The run {self.name!r} cannot be renamed ({error.strerror or error}). Close what has its files open and "
                "try again."
            ) from error
        run = Run(target)
        with contextlib.suppress(UserError, OSError):  # the folder's name is the one that counts
            text = json.dumps(run.info() | {"name": name}, indent=1, ensure_ascii=False)
            write_atomically(target / "run.json", text)
        return run

    def delete(self) -> None:
        """Remove the folder. Raises UserError while it is being trained, or if the system refuses."""
        self._refuse_while_locked()
        doomed = Path(tempfile.mkdtemp(prefix=".removing-", dir=self.folder.parent))
        try:
            os.replace(self.folder, doomed / self.name)
        except FileNotFoundError:
            pass  # somebody else was quicker
        except OSError as error:
            raise UserError(
                f"The run {self.name!r} cannot be deleted ({error.strerror or error}). Close what has its files open and "
                "try again."
            ) from error
        finally:
            shutil.rmtree(doomed, ignore_errors=True)

    @property
    def _busy(self) -> str:
        return f"The run {self.name!r} is being trained; stop it first."

    def _refuse_while_locked(self) -> None:
        if self.is_locked():
            raise UserError(self._busy)


def progress_of(
    info: dict[str, Any], status: str, steps: np.ndarray, epochs: np.ndarray
) -> Progress:
    """How far a run is that has this `run.json` and these rows of `STEP_COLUMNS` and `EPOCH_COLUMNS`."""
    step = dict(zip(STEP_COLUMNS, steps.T, strict=True))
    epoch = dict(zip(EPOCH_COLUMNS, epochs.T, strict=True))
    total, per_epoch = info["config"]["epochs"], max(1, info["steps_per_epoch"])
    done = len(epochs)
    last = int(step["step"][-1]) if len(steps) else 0
    fraction = min(1.0, max(0.0, last / per_epoch - done)) if done < total else 1.0
    rate = float(np.nanmedian(step["images_per_second"][-RECENT:])) if len(steps) else None
    left = None
    if status in ACTIVE and rate:
        if done:
            epoch_seconds = float(np.nanmedian(epoch["seconds"][-3:]))
        else:  # before the first validation: about three times as fast as training
            images = info["train_images"] + info["val_images"] / 3
            epoch_seconds = images / rate
        left = max(0.0, epoch_seconds * (total - done - fraction))
    return Progress(
        status=status,
        message=info.get("message", ""),
        epoch=min(total, done + 1),
        epochs=total,
        epoch_fraction=fraction,
        run_fraction=min(1.0, (done + fraction) / total),
        images_per_second=rate,
        seconds_left=left,
        val_accuracy=float(epoch["val_accuracy"][-1]) if done else None,
        best_accuracy=float(np.fmax.reduce(epoch["val_accuracy"])) if done else None,
    )


def _parse_info(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text(encoding="utf-8"))


def list_runs() -> list[Run]:
    """Every run whose `run.json` can be read, newest first."""
    runs = []
    for run in _run_folders():
        if not (run.folder / "run.json").is_file():
            continue
        try:
            runs.append((run.created, run.name, run))
        except (UserError, KeyError, ValueError):
            continue  # another program's folder, or one being deleted
    return [run for _, _, run in sorted(runs, key=lambda entry: entry[:2], reverse=True)]


def damaged_runs() -> list[tuple[Run, str]]:
    """Folders of runs that cannot be read, each with the sentence that says why; they can still be deleted."""
    found = []
    for run in _run_folders():
        if run.is_locked():  # one that begins has no run.json for a moment
            continue
        try:
            if (run.folder / "run.json").is_file():
                _ = run.created, run.config, run.classes
            elif any(file in WRITTEN for file in os.listdir(run.folder)):
                found.append((run, f"The run {run.name!r} has no run.json: it is not whole."))
        except UserError as error:
            found.append((run, str(error)))
        except (KeyError, ValueError, TypeError, AttributeError):
            sentence = f"The run {run.name!r} is damaged: its run.json makes no sense."
            found.append((run, sentence))
        except OSError:
            continue  # being deleted
    return sorted(found, key=lambda entry: entry[0].name)


def _run_folders() -> list[Run]:
    folder = runs_folder()
    try:
        with os.scandir(folder) as items:
            return [
                Run(folder / item.name) for item in items if item.is_dir() and item.name[0] != "."
            ]
    except (FileNotFoundError, NotADirectoryError):
        return []


def write_atomically(file: Path, text: str) -> None:
    """Readers see the old text or the new, never half of it."""
    descriptor, temporary = tempfile.mkstemp(prefix=f".{file.name}-", dir=file.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        for attempt in range(20):
            try:
                os.replace(temporary, file)
                break
            except PermissionError:  # Windows, while somebody reads it
                if attempt == 19:
                    raise
                time.sleep(0.05)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def describe_classes(classes: Sequence[ClassInfo]) -> list[dict[str, str]]:
    return [asdict(item) for item in classes]
