"""The background thread: one run at a time, obedient, and never lost."""

import subprocess
import sys
import threading
import time

import pytest

from tinymodel.config import TrainConfig
from tinymodel.errors import UserError
from tinymodel.runs import Run
from tinymodel.training.supervisor import Supervisor, about, duration


@pytest.fixture
def supervisor(small_dataset):
    supervisor = Supervisor()
    yield supervisor
    assert supervisor.shutdown(10)


def config(**changes) -> TrainConfig:
    values = dict(dataset="small", width=4, epochs=500, batch_size=8, precision="fp32")
    return TrainConfig(**values | changes)


def wait_for(condition, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def test_a_second_start_is_refused_and_says_what_runs(supervisor):
    name = supervisor.start(config())
    with pytest.raises(UserError, match=f"The run '{name}' is training: epoch 1 of 500"):
        supervisor.start(config())
    assert supervisor.current().name == name
    supervisor.stop()
    assert supervisor.wait(5)
    assert Run.open(name).status == "stopped"
    assert supervisor.current() is None


def test_thirty_simultaneous_starts_begin_one_run(supervisor):
    started, refused = [], []

    def press():
        try:
            started.append(supervisor.start(config()))
        except UserError as error:
            refused.append(error)

    threads = [threading.Thread(target=press) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(started) == 1
    assert len(refused) == 29


def test_stop_and_resume_go_on_with_the_same_run(supervisor):
    name = supervisor.start(config())
    run = Run.open(name)
    wait_for(lambda: len(run.epochs()) >= 2)
    supervisor.stop()
    began = time.monotonic()
    assert supervisor.wait(5)
    assert time.monotonic() - began < 2
    epochs = len(run.epochs())
    assert supervisor.resume(name) == name
    wait_for(lambda: len(run.epochs()) > epochs)
    assert run.status == "running"


def test_pause_and_unpause(supervisor):
    run = Run.open(supervisor.start(config()))
    wait_for(lambda: len(run.steps()) > 0)
    supervisor.pause()
    wait_for(lambda: run.status == "paused", 2)
    supervisor.unpause()
    wait_for(lambda: run.status == "running", 2)


def test_an_exception_becomes_a_failed_run_and_frees_the_place(supervisor, monkeypatch):
    from tinymodel.training import loop

    def explode(self):
        raise RuntimeError("the wheels came off")

    monkeypatch.setattr(loop.Training, "_train_epoch", explode)
    name = supervisor.start(config())
    assert supervisor.wait(10)
    run = Run.open(name)
    assert run.status == "failed"
    assert "the wheels came off" in run.message
    assert "Traceback" in (run.folder / "log.txt").read_text()
    assert not run.is_locked()


def test_a_run_that_cannot_begin_leaves_no_folder(supervisor):
    with pytest.raises(UserError, match="no prepared dataset 'nothing'"):
        supervisor.start(config(dataset="nothing"))
    with pytest.raises(UserError, match="has 3 classes; 9 were asked for"):
        supervisor.start(config(classes=9))
    assert supervisor.current() is None


def test_the_end_of_the_process_saves_the_run(small_dataset):
    script = (
        "from tinymodel.config import TrainConfig\n"
        "from tinymodel.training.supervisor import supervisor\n"
        "import time\n"
        "name = supervisor.start(TrainConfig(dataset='small', width=4, epochs=500, batch_size=8, precision='fp32'))\n"
        "while len(supervisor.current().epochs()) < 2: time.sleep(0.05)\n"
        "print(name)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    run = Run.open(done.stdout.strip())
    assert run.status == "stopped"
    assert (run.folder / "last.pt").exists()


def test_durations_are_words_for_people():
    assert [duration(s) for s in (0.4, 8, 60, 160, 1500, 11400, 400000)] == [
        "0 s",
        "8 s",
        "1 min",
        "2 min 40 s",
        "25 min",
        "3 h 10 min",
        "5 days",
    ]


def test_estimates_are_no_finer_than_they_are():
    assert [about(s) for s in (0.4, 12, 54, 58, 196, 3560, 3590, 4700, 200000)] == [
        "a few seconds",
        "about 10 s",
        "about 50 s",
        "about 1 min",
        "about 3 min",
        "about 59 min",
        "about 1 h",
        "about 1 h 20 min",
        "about 2 days",
    ]
