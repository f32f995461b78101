"""The one who writes a run folder: creates it, holds its lock, keeps its tables and its status."""

import contextlib
import json
import os
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from filelock import FileLock, Timeout

from tinymodel.errors import UserError
from tinymodel.paths import check_name, runs_folder
from tinymodel.runs import FORMAT, Run, held_here, write_atomically
from tinymodel.tables import EPOCH_COLUMNS, STEP_COLUMNS

RESERVE = 1 << 16  # bytes kept free while a run is written, for its status when the disk is full


class RunWriter:
    """The one who trains: creates the folder, holds its lock, writes tables and status."""

    def __init__(self, run: Run, lock: FileLock):
        self.run = run
        self.folder = run.folder
        self._lock = lock
        held_here[run.folder] = lock
        self._files = {}
        for name, columns in (("steps", STEP_COLUMNS), ("epochs", EPOCH_COLUMNS)):
            file = open(self.folder / f"{name}.csv", "a", encoding="utf-8", newline="")  # noqa: SIM115
            if file.tell() == 0:
                file.write(",".join(columns) + "\n")
                file.flush()
            self._files[name] = file
        for torn in [*self.folder.glob(".*.pt-*"), *self.folder.glob(".run.json-*")]:
            torn.unlink(missing_ok=True)  # what a killed process was writing
        self._reserve = self.folder / ".reserve"
        with contextlib.suppress(OSError):
            self._reserve.write_bytes(bytes(RESERVE))
        (self.folder / "request").unlink(missing_ok=True)

    @classmethod
    def create(cls, info: dict[str, Any], name: str | None = None) -> "RunWriter":
        """Make a new run folder. `info` is `run.json` but for format, name, created and status.

        Raises:
            UserError: A run of this name exists.
        """
        folder = runs_folder()
        folder.mkdir(parents=True, exist_ok=True)
        config = info["config"]
        stem = f"{config['dataset']}-{config['preset']}"[:50]
        names = (
            [check_name(name, "run")]
            if name
            else (f"{stem}-{number}" for number in range(1, 100_000))
        )
        for candidate in names:
            try:
                (folder / candidate).mkdir()
                break
            except FileExistsError:
                continue
        else:
            raise UserError(
                f"There is already a run {name!r}. Choose another name, or delete it first."
            )
        run = Run(folder / candidate)
        lock = FileLock(run.folder / "lock", timeout=0)
        lock.acquire()
        created = datetime.now().astimezone().isoformat(timespec="seconds")
        head = dict(format=FORMAT, name=candidate, created=created, status="running", message="")
        write_atomically(
            run.folder / "run.json", json.dumps(head | info, indent=1, ensure_ascii=False)
        )
        return cls(run, lock)

    @classmethod
    def reopen(cls, name: str) -> "RunWriter":
        """Take over a run that nobody writes. Raises UserError if somebody does."""
        run = Run.open(name)
        lock = FileLock(run.folder / "lock")
        try:
            lock.acquire(timeout=2)  # a reader who looks whether it is held has it for a moment
        except Timeout as error:
            raise UserError(
                f"The run {name!r} is already being trained, perhaps by another process."
            ) from error
        return cls(run, lock)

    def update(self, **changes: Any) -> None:
        """Change entries of `run.json`, atomically."""
        info = self.run.info() | changes
        write_atomically(self.folder / "run.json", json.dumps(info, indent=1, ensure_ascii=False))

    def append(self, table: str, rows: Sequence[Sequence[float]]) -> None:
        """Add rows to 'steps' or 'epochs' and hand them to the operating system."""
        file = self._files[table]
        file.write("".join(",".join(f"{value:.9g}" for value in row) + "\n" for row in rows))
        file.flush()

    def lengths(self) -> dict[str, int]:
        """Bytes of each table now, for the checkpoint; on disk when this returns."""
        for file in self._files.values():
            file.flush()
            os.fsync(file.fileno())
        return {name: file.tell() for name, file in self._files.items()}

    def cut(self, lengths: dict[str, int] | None) -> None:
        """Drop what was written after the checkpoint with these lengths; None: everything but the header."""
        for name, file in self._files.items():
            if lengths is None:
                with open(file.name, "rb") as table:
                    length = len(table.readline())
            else:
                length = lengths[name]
            file.truncate(length)
            file.seek(0, os.SEEK_END)

    def release_reserve(self) -> None:
        """On a full disk: make room for the last words."""
        self._reserve.unlink(missing_ok=True)

    def close(self) -> None:
        self.release_reserve()
        for file in self._files.values():
            with contextlib.suppress(OSError):  # rows that found no room: a resume cuts them anyway
                file.close()
        held_here.pop(self.folder, None)
        self._lock.release()
