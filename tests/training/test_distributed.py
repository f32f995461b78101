"""Two processes that train together, as torchrun starts them, equal one."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tinymodel import checkpoint
from tinymodel.runs import Run
from tinymodel.training.loop import Training

# Layer norm: batch norm would see other batches in two processes. 36 images in batches of 10 do not divide evenly.
RECIPE = [
    *("--dataset", "small", "--width", "4", "--batch-size", "10", "--precision", "fp32"),
    *("--set", "norm=layer", "--set", "affine=0.5", "--set", "learning_rate=0.005"),
]


# The command line, but after its first epoch it waits to be stopped.
WAITING = """
import sys
import time

from tinymodel.__main__ import main
from tinymodel.training import supervisor


def wait(run, epoch, network):
    while epoch == 1 and not run.requested():
        time.sleep(0.01)


hooks = supervisor.epoch_hooks
supervisor.epoch_hooks = lambda: (*hooks(), wait)
sys.exit(main())
"""


def train(*arguments: str, processes: int = 1, script: Path | None = None) -> subprocess.Popen:
    command, program = [sys.executable], [str(script)] if script else ["-m", "tinymodel"]
    if processes > 1:  # the "--": torchrun would take --run for an option of its own
        command += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        program.insert(-1, "--")
    return subprocess.Popen(
        [*command, *program, "train", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def trained(name: str, *arguments: str, processes: int = 1) -> Run:
    out, err = (process := train(*arguments, processes=processes)).communicate(timeout=120)
    assert process.returncode == 0, err
    assert f"{name}: finished" in out
    return Run.open(name)


def assert_equal_within_rounding(one: Run, other: Run) -> None:
    for column in ("train_loss", "train_accuracy", "lr"):
        assert np.allclose(one.steps()[column], other.steps()[column], rtol=2e-3), column
    for column in ("val_loss", "val_accuracy", "train_loss"):
        assert np.allclose(one.epochs()[column], other.epochs()[column], rtol=2e-3), column
    first, second = (checkpoint.load(run.folder / "last.pt")["weights"] for run in (one, other))
    for key, value in first.items():
        assert np.allclose(value, second[key], atol=2e-3), key


@pytest.mark.usefixtures("small_dataset")
def test_two_processes_learn_what_one_learns_and_either_can_take_up_the_others_run(tmp_path):
    recipe = [*RECIPE, "--epochs", "3", "--set", "optimizer=sgd"]
    alone = trained("alone", *recipe, "--run", "alone")
    together = trained("together", *recipe, "--run", "together", processes=2)
    assert together.info()["processes"] == 2
    assert len(together.predictions()) == 12
    assert sorted(together.predictions()["index"]) == sorted(alone.predictions()["index"])
    assert_equal_within_rounding(alone, together)

    # Taken up in the middle by the other number of processes
    script = tmp_path / "waiting.py"
    script.write_text(WAITING)
    for name, processes in (("from-two-to-one", 1), ("from-one-to-two", 2)):
        process = train(*recipe, "--run", name, processes=3 - processes, script=script)
        stop_after_first_epoch(name, process)
        assert trained(name, "--resume", name, processes=processes).status == "finished"
        assert_equal_within_rounding(alone, Run.open(name))


def stop_after_first_epoch(name: str, process: subprocess.Popen) -> None:
    """End it while it waits for that."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(ValueError):  # the run does not exist yet
            if len(Run.open(name).epochs()):
                break
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=120)
    assert Run.open(name).status == "stopped"


@pytest.mark.usefixtures("small_dataset")
def test_a_mistake_is_one_sentence_not_one_of_each_process_nor_a_hang():
    process = train(*RECIPE, "--batch-size", "2", "--set", "no_such=1", processes=2)
    _, err = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "There is no value 'no_such' to set" in err


@pytest.mark.usefixtures("small_dataset")
def test_norm_statistics_are_the_same_in_every_process_when_they_are_saved():
    recipe = [*RECIPE[:8], "--epochs", "1", "--set", "norm=batch"]
    run = trained("batch", *recipe, "--run", "batch", processes=2)
    weights = checkpoint.load(run.folder / "best.pt")["weights"]
    judged = run.predictions()
    from tinymodel.evaluation import evaluate_run

    again = evaluate_run(run).set_index("index").loc[judged["index"]]
    assert np.allclose(again["loss"], judged["loss"], atol=1e-4)  # each predicted its half
    assert all(value.isfinite().all() for value in weights.values())


def test_alone_nothing_of_this_is_used(small_dataset, monkeypatch):
    import torch.distributed as dist

    monkeypatch.setattr(dist, "init_process_group", lambda *_, **__: pytest.fail("not alone"))
    from tinymodel.config import TrainConfig

    training = Training.create(TrainConfig(dataset="small", width=4, epochs=1, precision="fp32"))
    training.train()
    assert training.team.world == 1
