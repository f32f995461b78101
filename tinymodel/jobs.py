"""Everything but training that takes time: one worker, a queue, progress, stop, shared and kept results.

One worker, because thirty people who ask for a heat map must not start thirty teams of threads. Quick jobs go
before slow ones, and a slow job lets waiting quick ones in whenever it reports its progress.
"""

import itertools
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

from tinymodel.errors import UserError

log = logging.getLogger(__name__)

KEEP = 256  # finished jobs whose results are kept, least recently asked for go first


class JobStopped(Exception):
    """Raised inside a job's function, by its own `report`, once somebody pressed stop."""


@dataclass(eq=False)
class Job:
    """One piece of work. Pages read its fields; only the worker writes them."""

    key: Hashable
    label: str
    function: Callable[[Callable[[float, str], None]], Any]
    quick: bool
    owner: str = ""  # who asked for it first
    state: str = "queued"  # queued, running, done, failed, stopped
    fraction: float = 0.0  # in [0, 1]
    message: str = "Waiting for its turn"
    result: Any = None
    error: str = ""  # one sentence for the person, if it failed
    started: float = 0.0  # seconds, time.monotonic
    ended: float = 0.0  # the same
    _stop: threading.Event = field(default_factory=threading.Event, repr=False)
    _ended: threading.Event = field(default_factory=threading.Event, repr=False)

    @property
    def active(self) -> bool:
        return self.state in ("queued", "running")

    @property
    def seconds_left(self) -> float | None:
        """An estimate from the progress so far; None while there is too little to say."""
        elapsed = time.monotonic() - self.started
        if self.state != "running" or self.fraction < 0.02 or elapsed < 1:
            return None
        return elapsed * (1 - self.fraction) / self.fraction

    def stop(self) -> None:
        """Ask it to end; it ends at its next report of progress, at once if it has not begun."""
        self._stop.set()
        self.message = "Stopping"
        with _wake:
            if self.state == "queued":
                _end(self, "stopped")

    def wait(self, timeout: float | None = None) -> "Job":
        """Block for at most `timeout` seconds until it has ended, and return it either way."""
        self._ended.wait(timeout)
        return self


_wake = threading.Condition(threading.RLock())
_queue: list[tuple[bool, int, Job]] = []
_jobs: OrderedDict[Hashable, Job] = OrderedDict()
_count = itertools.count()
_worker: threading.Thread | None = None


def submit(
    key: Hashable,
    function: Callable[[Callable[[float, str], None]], Any],
    *,
    label: str,
    quick: bool = False,
    owner: str = "",
) -> Job:
    """Queue `function(report)` and return its job; the same key gives the same job, running or done.

    Args:
        key: What makes two requests the same: name every input that the result depends on.
        function: Called in the worker with `report(fraction, message)`, which raises `JobStopped` on stop.
        label: What is being done, for people.
        quick: Whether it takes well under a second and may go before slow jobs.
        owner: Who asks, if it matters who may stop it.
    """
    global _worker
    with _wake:
        job = _jobs.get(key)
        if job is not None and job.state not in ("failed", "stopped") and not job._stop.is_set():
            _jobs.move_to_end(key)
            return job
        job = Job(key, label, function, quick, owner)
        _jobs[key] = job
        _queue.append((not quick, next(_count), job))
        _queue.sort(key=lambda entry: entry[:2])
        for old in [k for k, j in _jobs.items() if not j.active][: max(0, len(_jobs) - KEEP)]:
            del _jobs[old]
        if _worker is None or not _worker.is_alive():
            _worker = threading.Thread(target=_work, name="jobs", daemon=True)
            _worker.start()
        _wake.notify_all()
        return job


def find(key: Hashable) -> Job | None:
    """The job of this key, in whatever state, if it is still known."""
    return _jobs.get(key)


def forget(key: Hashable) -> None:
    """Drop a finished job, so that the next `submit` of its key works anew."""
    with _wake:
        if key in _jobs and not _jobs[key].active:
            del _jobs[key]


def active() -> list[Job]:
    """Jobs that run or wait, the running one first."""
    with _wake:
        running = [job for job in _jobs.values() if job.state == "running"]
        return running + [job for _, _, job in _queue]


def stop_all(timeout: float = 5.0) -> None:
    """Ask every job to end and wait for at most `timeout` seconds: for the end of the process."""
    for job in active():
        job.stop()
    deadline = time.monotonic() + timeout
    for job in active():
        job.wait(max(0.0, deadline - time.monotonic()))


def _next(quick_only: bool) -> Job | None:
    with _wake:
        while _queue:
            slow, _, job = _queue[0]
            if slow and quick_only:
                return None
            _queue.pop(0)
            if job.state == "queued":
                job.state, job.started = "running", time.monotonic()
                return job
        return None


def _work() -> None:
    while True:
        job = _next(quick_only=False)
        if job is not None:
            _run(job)
            continue
        with _wake:
            if not _queue:
                _wake.wait()


def _run(job: Job) -> None:
    def report(fraction: float, message: str = "") -> None:
        if job._stop.is_set():
            raise JobStopped
        job.fraction = min(1.0, max(0.0, fraction))
        job.message = message or job.message
        if not job.quick:
            while (other := _next(quick_only=True)) is not None:
                # In a thread of its own: whatever this job has switched on for its thread (torch's inference mode,
                # autocast) must not reach the other. One at a time all the same.
                thread = threading.Thread(target=_run, args=(other,), name="quick job", daemon=True)
                thread.start()
                thread.join()

    try:
        report(0.0, job.label)
        job.result = job.function(report)
        _end(job, "done")
    except JobStopped:
        _end(job, "stopped")
    except UserError as error:
        job.error = str(error)
        _end(job, "failed")
    except Exception as error:
        log.exception("%s failed", job.label)
        job.error = f"{job.label} failed: {error or type(error).__name__}. The log has the details."
        _end(job, "failed")


def _end(job: Job, state: str) -> None:
    job.state = state
    job.ended = time.monotonic()
    job.fraction = 1.0 if state == "done" else job.fraction
    job.function = None  # it may hold a dataset or a network
    job._ended.set()
