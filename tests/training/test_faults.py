"""Real faults: processes killed with SIGKILL, a file system that fills up, checkpoints torn apart, two writers at once."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tinymodel import checkpoint
from tinymodel.config import TrainConfig
from tinymodel.errors import UserError
from tinymodel.runs import Run
from tinymodel.training.loop import Training

CONFIG = dict(
    dataset="small", width=4, epochs=6, batch_size=8, precision="fp32", checkpoint_seconds=1.0
)
TIMES = ["seconds", "images_per_second"]

pytestmark = [
    pytest.mark.usefixtures("small_dataset"),
    pytest.mark.skipif(os.name == "nt", reason="SIGKILL is of Unix"),
]


def child(script: str, *arguments: str) -> subprocess.Popen:
    """A process of its own that runs `script` with the names that these tests import."""
    head = "import os, signal, sys\nfrom tinymodel import checkpoint\nfrom tinymodel.config import TrainConfig\n"
    head += "from tinymodel.training.loop import Training\n"
    return subprocess.Popen(
        [sys.executable, "-c", head + textwrap.dedent(script), *arguments],
        stderr=subprocess.PIPE,
        text=True,
    )


def whole(name: str = "whole") -> Run:
    training = Training.create(TrainConfig(**CONFIG), name)
    training.train()
    return training.run


def resumed(name: str) -> Run:
    Training.resume(name).train()
    return Run.open(name)


def assert_same(one: Run, other: Run) -> None:
    for table in ("steps", "epochs"):
        a, b = (getattr(run, table)().drop(columns=TIMES) for run in (one, other))
        pd.testing.assert_frame_equal(a, b)
    for file in ("last.pt", "best.pt"):
        a, b = (checkpoint.load(run.folder / file)["weights"] for run in (one, other))
        assert all(torch.equal(a[key], b[key]) for key in a), file


KILLED_AT_STEP = """
    import tinymodel.training.loop as loop
    loop.FLUSH_SECONDS = 0.0
    obey = Training._obey
    def die(self):
        obey(self)
        if (self.epoch, self.step) >= eval(sys.argv[1]):
            os.kill(os.getpid(), signal.SIGKILL)
        if (self.epoch, self.step) == (2, 2):
            self._save()
    Training._obey = die
    Training.create(TrainConfig(**eval(sys.argv[2])), "killed").train()
"""


@pytest.mark.parametrize(
    "moment, saved",
    [((1, 5), (1, 0)), ((2, 0), (2, 0)), ((2, 3), (2, 2))],
    ids=["while it judges an epoch", "between two epochs", "in the middle of an epoch"],
)
def test_a_process_killed_at_any_moment_loses_nothing_that_was_saved(moment, saved):
    process = child(KILLED_AT_STEP, repr(moment), repr(CONFIG))
    assert process.wait(90) == -signal.SIGKILL
    run = Run.open("killed")
    assert run.status == "interrupted"  # its lock died with it
    state = checkpoint.load(run.folder / "last.pt")
    assert (state["epoch"], state["step"]) == saved
    assert_same(resumed("killed"), whole())


def test_a_process_killed_while_it_writes_a_checkpoint_leaves_the_one_before_whole():
    process = child(
        """
        save, count = checkpoint.torch.save, 0
        def half(state, stream):
            global count
            count += 1
            if count < 5:  # best.pt and last.pt of two epochs
                return save(state, stream)
            import io
            buffer = io.BytesIO()
            save(state, buffer)
            stream.write(buffer.getvalue()[: len(buffer.getvalue()) // 2])
            stream.flush()
            os.fsync(stream.fileno())
            os.kill(os.getpid(), signal.SIGKILL)
        checkpoint.torch.save = half
        Training.create(TrainConfig(**eval(sys.argv[1])), "killed").train()
        """,
        repr(CONFIG),
    )
    assert process.wait(90) == -signal.SIGKILL
    run = Run.open("killed")
    assert list(
        run.folder.glob(".*.pt-*")
    )  # what it was writing lies beside, and is not taken for a checkpoint
    done = resumed("killed")
    assert_same(done, whole())
    assert not list(done.folder.glob(".*.pt-*"))


def test_a_checkpoint_cut_short_falls_back_and_two_of_them_are_a_sentence():
    process = child(KILLED_AT_STEP, "(2, 3)", repr(CONFIG))
    process.wait(90)
    folder = Run.open("killed").folder
    last, previous = folder / "last.pt", folder / "previous.pt"
    last.write_bytes(last.read_bytes()[:-100])
    assert_same(resumed("killed"), whole())

    again = child(KILLED_AT_STEP.replace('"killed"', '"again"'), "(2, 3)", repr(CONFIG))
    again.wait(90)
    folder = Run.open("again").folder
    for file in (folder / "last.pt", folder / "previous.pt"):
        file.write_bytes(b"PK\x03\x04 not any more")
    with pytest.raises(UserError, match=r"The (file|checkpoint) last\.pt of the run 'again'"):
        Training.resume("again")
    assert not Run.open("again").is_locked()
    assert previous.exists()


@pytest.fixture
def small_file_system(tmp_path, monkeypatch) -> Path:
    """A file system of 8 MB for runs."""
    place = tmp_path / "small"
    place.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)], capture_output=True
    )
    if mount.returncode:
        pytest.skip("mounting a file system needs rights that are not given here")
    monkeypatch.setenv("TINYMODEL_RUNS", str(place))
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_file_system_that_fills_up_pauses_the_run_with_a_sentence(small_file_system, monkeypatch):
    training = Training.create(TrainConfig(**CONFIG), "full")
    filler = small_file_system / "filler"
    validate = Training._validate

    def fill_after_two_epochs(self):
        validate(self)
        if self.epoch == 1:
            with open(filler, "wb") as file:
                while True:
                    try:
                        file.write(bytes(4096))
                        file.flush()
                    except OSError:
                        break

    with monkeypatch.context() as patch:
        patch.setattr(Training, "_validate", fill_after_two_epochs)
        with pytest.raises(OSError, match="No space left"):
            training.train()
    run = training.run
    assert run.status == "stopped"
    assert run.message.startswith("The disk is full. What was saved is kept")
    assert not run.is_locked()
    filler.unlink()
    done = resumed("full")
    monkeypatch.setenv("TINYMODEL_RUNS", str(small_file_system.parent / "runs"))
    assert_same(done, whole())


def test_two_processes_cannot_write_the_same_run():
    process = child(
        'Training.create(TrainConfig(**eval(sys.argv[1])), "mine").train()',
        repr(CONFIG | dict(epochs=500)),
    )
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                if len(Run.open("mine").epochs()):
                    break
            except UserError:
                pass
            time.sleep(0.05)
        with pytest.raises(UserError, match="already being trained, perhaps by another process"):
            Training.resume("mine")
        with pytest.raises(UserError, match="already a run 'mine'"):
            Training.create(TrainConfig(**CONFIG), "mine")
        with pytest.raises(UserError, match="is being trained"):
            Run.open("mine").delete()
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()
    assert Run.open("mine").status == "interrupted"


def test_a_foreign_or_malicious_checkpoint_is_refused_and_its_code_does_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "it ran",))

    run = whole("victim")
    torch.save(dict(format=1, weights=Evil()), run.folder / "best.pt")
    with pytest.raises(UserError, match="was not loaded, because it may contain code"):
        run.network()
    assert not (tmp_path / "it ran").exists()


def test_memory_that_runs_out_suggests_a_batch_size(monkeypatch):
    def hungry(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")

    training = Training.create(TrainConfig(**CONFIG | dict(batch_size=16)), "hungry")
    monkeypatch.setattr("tinymodel.training.loop.TrainStep.__call__", hungry)
    with pytest.raises(torch.OutOfMemoryError):
        training.train()
    assert training.run.status == "failed"
    assert "Start again with batch size 8" in training.run.message


class Killed(BaseException):
    pass


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    cut=st.integers(1, 19),
    seed=st.integers(0, 2**31 - 1),
    optimizer=st.sampled_from(["sgd", "muon"]),
    mix=st.sampled_from(["none", "cutmix", "ricap"]),
    averaging=st.sampled_from([0.0, 0.5]),
    alternating=st.booleans(),
    start_side=st.sampled_from([32, 64]),
)
def test_any_configuration_interrupted_at_any_step_and_resumed_equals_one_never_interrupted(
    cut, seed, optimizer, mix, averaging, alternating, start_side
):
    config = TrainConfig(
        **CONFIG
        | dict(epochs=4, seed=seed, optimizer=optimizer, mix=mix, weight_averaging=averaging)
        | dict(alternating_flip=alternating, start_side=start_side, learning_rate=0.05)
    )
    unbroken = Training.create(config)
    unbroken.train()
    broken = Training.create(config)
    obey = broken._obey

    def interrupt():
        obey()
        if broken.epoch * broken.batches.steps + broken.step == cut:
            broken._save()
            raise Killed

    broken._obey = interrupt
    with pytest.raises(Killed):
        broken.train()
    assert_same(resumed(broken.run.name), unbroken.run)
