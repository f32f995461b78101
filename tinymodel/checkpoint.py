"""Weights on disk: written whole or not at all, read without running anything that is in them."""

import os
import pickle
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import torch

from tinymodel.errors import UserError

FORMAT = 1


def save(state: dict[str, Any], file: Path, keep_as: Path | None = None) -> None:
    """Write `state` (tensors and plain types) to `file`, atomically and durably.

    Args:
        keep_as: Where the file's former content goes, if it had any.
    """
    descriptor, temporary = tempfile.mkstemp(prefix=f".{file.name}-", dir=file.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            torch.save({"format": FORMAT, **state}, stream)
            stream.flush()
            os.fsync(stream.fileno())
        if keep_as is not None and file.exists():
            os.replace(file, keep_as)
        os.replace(temporary, file)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    sync_folder(file.parent)


def sync_folder(folder: Path) -> None:
    """Make renames in `folder` survive a power cut, where the system can (Windows cannot)."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def load(file: Path) -> dict[str, Any]:
    """Read what `save` wrote, onto the CPU.

    Raises:
        UserError: The file is missing, truncated, not one of ours, or holds anything but tensors and plain types.
    """
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise UserError(
            f"There is no checkpoint {file.name} in the run {file.parent.name!r}."
        ) from error
    except pickle.UnpicklingError as error:
        raise UserError(
            f"The file {file.name} of the run {file.parent.name!r} is not a checkpoint of this program and was "
            "not loaded, because it may contain code. Choose another run."
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise UserError(
            f"The checkpoint {file.name} of the run {file.parent.name!r} is damaged and was not loaded. Choose another run, "
            "or resume this one: it falls back to the checkpoint before."
        ) from error
    if not isinstance(state, dict) or "format" not in state:
        raise UserError(
            f"The file {file.name} of the run {file.parent.name!r} is not a checkpoint of this program."
        )
    if state["format"] > FORMAT:
        raise UserError(
            f"The checkpoint {file.name} of the run {file.parent.name!r} was written by a newer version."
        )
    return state
