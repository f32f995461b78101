"""Disk space, and folders that appear and disappear whole."""

import errno
import os
import shutil
import tempfile
from pathlib import Path

from filelock import FileLock, Timeout

from tinymodel.errors import UserError
from tinymodel.paths import data_folder

MOVE = "choose another disk with the environment variable TINYMODEL_DATA"


def free_bytes() -> int:
    """Bytes free where datasets are kept."""
    folder = data_folder().absolute()
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def check_space(needed: int, what: str) -> None:
    """Raise a UserError if fewer than `needed` bytes are free for datasets."""
    if (free := free_bytes()) < needed:
        raise UserError(
            f"{what} needs {format_bytes(needed)} of disk space and only {format_bytes(free)} are free: make room, "
            f"or {MOVE}."
        )


def disk_full(error: BaseException | None) -> bool:
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def format_bytes(count: int) -> str:
    """'1.35 GB', '248 MB', '12 kB'."""
    for unit, size in (("GB", 10**9), ("MB", 10**6)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count / 1000:.0f} kB"


class Workplace:
    """A new folder beside `target`, where it can be made in peace; `put_in_place` gives it its name.

    A lock that dies with the process tells work that is going on from what a killed process left behind: the latter is
    deleted by whoever makes the next workplace there.

    Raises:
        UserError: Nothing can be written there.
    """

    def __init__(self, target: Path):
        self.target = target
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            _sweep(target.parent)
            prefix = f".preparing-{target.name}-"
            descriptor, name = tempfile.mkstemp(".lock", prefix, target.parent)
            os.close(descriptor)
            self._lock = FileLock(name)
            self._lock.acquire(timeout=5)
            self.folder = Path(name).with_suffix("")
            self.folder.mkdir()
        except OSError as error:
            raise UserError(
                f"Nothing can be written to the folder {str(target.parent)!r} ({error.strerror or error}): make room "
                f"or give permission there, or {MOVE}."
            ) from error

    def put_in_place(self) -> None:
        """Rename it to its target, replacing what is there; after a failure that is as it was."""
        old = set_aside(self.target) if self.target.exists() else None
        try:
            os.replace(self.folder, self.target)
        except OSError:
            if old:
                os.replace(old / self.target.name, self.target)
            raise
        finally:
            if old:
                shutil.rmtree(old, ignore_errors=True)

    def close(self) -> None:
        """Delete what was not put in place."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.release()
        Path(self._lock.lock_file).unlink(missing_ok=True)


def set_aside(folder: Path) -> Path:
    """Move a folder out of everybody's sight at once, to be deleted; returns the folder it is in now."""
    aside = Path(tempfile.mkdtemp(prefix=f".removing-{folder.name}-", dir=folder.parent))
    try:
        os.replace(folder, aside / folder.name)
    except OSError:
        aside.rmdir()
        raise
    return aside


def _sweep(folder: Path) -> None:
    for item in folder.glob(".removing-*"):
        shutil.rmtree(item, ignore_errors=True)
    for item in folder.glob(".preparing-*.lock"):
        try:
            with FileLock(item, timeout=0):
                shutil.rmtree(item.with_suffix(""), ignore_errors=True)
            item.unlink(missing_ok=True)
        except (Timeout, OSError):
            continue  # its process lives
