"""Where datasets, runs and the genuine archive lie. Read anew on every call, so that tests can move them."""

import os
import re
from pathlib import Path

from tinymodel.errors import UserError

ROOT = Path(__file__).resolve().parent.parent


def data_folder() -> Path:
    """The folder of prepared datasets: `TINYMODEL_DATA`, or `data/` beside the package."""
    return Path(os.environ.get("TINYMODEL_DATA") or ROOT / "data")


def runs_folder() -> Path:
    """The folder of training runs: `TINYMODEL_RUNS`, or `checkpoints/` beside the package."""
    return Path(os.environ.get("TINYMODEL_RUNS") or ROOT / "checkpoints")


def archive_path() -> Path:
    """The genuine archive for tests and benchmarks: `TINY_IMAGENET_ARCHIVE`, or its place beside the repository."""
    default = ROOT.parent / "shared" / "data" / "tiny-imagenet-200.zip"
    return Path(os.environ.get("TINY_IMAGENET_ARCHIVE") or default)


def check_name(name: str, what: str) -> str:
    """Return `name` if it is safe as a folder name on every platform.

    Raises:
        UserError: It is empty, too long, or has characters other than letters, digits, '.', '_' and '-'.
    """
    reserved = re.fullmatch(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?", name)
    if (
        reserved
        or not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,59}", name)
        or name.endswith(".")
    ):
        raise UserError(
            f"{name[:80]!r} cannot be the name of a {what}: use 1 to 60 letters, digits, '.', '_' or '-', "
            "beginning with a letter, a digit or '_'."
        )
    return name
