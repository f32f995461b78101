"""That nothing outside the two data folders changes."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest


def everything(*folders: Path, but: tuple[Path, ...] = ()) -> dict[str, str]:
    """Path → content, of all files and folders in there, but for those in `but`."""
    found = {}
    for folder in folders:
        for path in folder.rglob("*"):
            if not any(path.is_relative_to(other) for other in but):
                whole = path.is_file() and not path.is_symlink()
                found[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest() if whole else ""
    return found


@pytest.fixture
def private(folders, monkeypatch) -> Iterator[Path]:
    """A home, a working directory and a place for temporary files of its own; at the end nothing is new there."""
    for name, variables in dict(home=("HOME", "USERPROFILE"), tmp=("TMPDIR", "TEMP")).items():
        (folders / name).mkdir()
        for variable in variables:
            monkeypatch.setenv(variable, str(folders / name))
    monkeypatch.setattr("tempfile.tempdir", None)  # read anew
    (folders / "here").mkdir()
    monkeypatch.chdir(folders / "here")
    (folders / "here" / "precious.txt").write_text("as it was")
    but = (folders / "data", folders / "runs")
    before = everything(folders, but=but)
    yield folders
    assert everything(folders, but=but) == before
