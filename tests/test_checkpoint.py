"""Checkpoints: whole or not at all, and nothing in them is ever run."""

import os
import pickle

import pytest
import torch

from tinymodel import checkpoint
from tinymodel.errors import UserError

STATE = dict(weights={"a": torch.arange(5.0)}, epoch=3, sums=[1.0, 2.0])


def test_what_was_saved_is_loaded_and_the_former_file_is_kept(tmp_path):
    file, former = tmp_path / "last.pt", tmp_path / "previous.pt"
    checkpoint.save(STATE, file, keep_as=former)
    assert not former.exists()
    checkpoint.save({**STATE, "epoch": 4}, file, keep_as=former)
    assert torch.equal(checkpoint.load(file)["weights"]["a"], STATE["weights"]["a"])
    assert (checkpoint.load(file)["epoch"], checkpoint.load(former)["epoch"]) == (4, 3)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["last.pt", "previous.pt"]


def test_a_full_disk_leaves_the_former_checkpoint(tmp_path, monkeypatch):
    file = tmp_path / "last.pt"
    checkpoint.save(STATE, file)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save({**STATE, "epoch": 9}, file)
    assert checkpoint.load(file)["epoch"] == 3
    assert [item.name for item in tmp_path.iterdir()] == ["last.pt"]


@pytest.mark.parametrize("length", [0, 10, 500, -1])
def test_a_truncated_checkpoint_is_refused(tmp_path, length):
    file = tmp_path / "last.pt"
    checkpoint.save(STATE, file)
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(UserError, match=r"last\.pt of the run .* (is damaged|is not a checkpoint)"):
        checkpoint.load(file)


class Malicious:
    def __reduce__(self):
        return os.mkdir, ("owned",)


@pytest.mark.parametrize(
    "how", [torch.save, lambda value, file: file.write_bytes(pickle.dumps(value))]
)
def test_code_in_a_checkpoint_is_never_run(tmp_path, monkeypatch, how):
    monkeypatch.chdir(tmp_path)
    how(Malicious(), tmp_path / "best.pt")
    with pytest.raises(UserError, match="may contain code"):
        checkpoint.load(tmp_path / "best.pt")
    assert not (tmp_path / "owned").exists()


def test_a_foreign_or_missing_or_newer_file_is_named(tmp_path):
    file = tmp_path / "best.pt"
    with pytest.raises(UserError, match=r"no checkpoint best\.pt"):
        checkpoint.load(file)
    torch.save(torch.zeros(3), file)
    with pytest.raises(UserError, match="not a checkpoint of this program"):
        checkpoint.load(file)
    torch.save({"format": 99}, file)
    with pytest.raises(UserError, match="newer version"):
        checkpoint.load(file)
