"""The background thread that trains, at most one a process, and the word with it: start, pause, stop."""

import atexit
import contextlib
import logging
import os
import sys
import threading

from tinymodel.config import TrainConfig
from tinymodel.errors import UserError
from tinymodel.runs import Run

log = logging.getLogger(__name__)

NICENESS = 10  # of the training thread on Linux: pages answered at p95 17 ms instead of 36, training no slower


class Supervisor:
    """Owns the training thread of this process. Every method may be called from any thread."""

    def __init__(self):
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._run: Run | None = None

    def start(self, config: TrainConfig, name: str | None = None) -> str:
        """Begin a new run in the background and return its name.

        Raises:
            UserError: A run is being trained already, or this one cannot begin (no such dataset, name taken …).
        """
        from tinymodel.training.loop import Training  # imports torch: not before somebody trains

        return self._begin(lambda: Training.create(config, name, epoch_hooks()))

    def resume(self, name: str) -> str:
        """Go on with a stopped, failed or interrupted run. Raises as `start`."""
        from tinymodel.training.loop import Training

        return self._begin(lambda: Training.resume(name, epoch_hooks()))

    def _begin(self, make) -> str:
        with self._lock:
            busy = self.current()
            if busy is not None:
                raise UserError(f"{describe(busy)} Wait for it to end, or stop it first.")
            training = make()
            self._run = training.run
            self._thread = threading.Thread(
                target=self._train, args=(training,), name=f"train {training.run.name}", daemon=True
            )
            self._thread.start()
            return training.run.name

    def _train(self, training) -> None:
        if sys.platform == "linux":
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        try:
            training.train()
        except Exception:  # its message and traceback are in the run folder already
            log.debug("The run %s failed", training.run.name, exc_info=True)

    def current(self) -> Run | None:
        """The run that this process is training or has paused, if any."""
        thread = self._thread
        return self._run if thread is not None and thread.is_alive() else None

    def pause(self) -> None:
        """Ask for a pause; it begins after the batch under way. Without a run nothing happens."""
        self._request("pause")

    def unpause(self) -> None:
        self._request("resume")

    def stop(self) -> None:
        """Ask the run to save itself and end."""
        self._request("stop")

    def _request(self, action: str) -> None:
        run = self.current()
        if run is not None:
            with contextlib.suppress(UserError):  # it ended in between
                run.request(action)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the run to end; returns whether none is left."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout)
        return self.current() is None

    def shutdown(self, timeout: float = 30.0) -> bool:
        """Stop the run, let it write its checkpoint, and wait for it: for the end of the process."""
        self.stop()
        return self.wait(timeout)


def epoch_hooks() -> tuple:
    """What is done after each epoch beside training: the time-lapse."""
    from tinymodel.explain import timelapse

    return (timelapse.record,)


def describe(run: Run) -> str:
    """'The run sample-classroom-1 is training: epoch 3 of 12, about 2 min left.'"""
    progress = run.progress()
    state = "paused" if progress.status == "paused" else "training"
    left = f", {about(progress.seconds_left)} left" if progress.seconds_left else ""
    return f"The run {run.name!r} is {state}: epoch {progress.epoch} of {progress.epochs}{left}."


def duration(seconds: float) -> str:
    """For people: '8 s', '2 min 40 s', '3 h 10 min', '4 days'."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 600:
        return f"{seconds // 60} min {seconds % 60} s" if seconds % 60 else f"{seconds // 60} min"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{round(hours / 24)} days"


def about(seconds: float) -> str:
    """An estimate, no finer than it is: 'a few seconds', 'about 40 s', 'about 3 min', 'about 1 h 20 min'."""
    if seconds < 10:
        return "a few seconds"
    for limit, step in (
        (55, 10),
        (3570, 60),
    ):  # seconds: the largest value and what it is rounded to
        if seconds < limit:
            return f"about {duration(round(seconds / step) * step)}"
    return f"about {duration(round(seconds / 600) * 600)}"


supervisor = Supervisor()
atexit.register(supervisor.shutdown)
