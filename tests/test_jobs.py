"""Jobs: one at a time, quick before slow, shared, stoppable, and never a traceback for the person."""

import threading
import time

import pytest

from tinymodel import jobs
from tinymodel.errors import UserError


@pytest.fixture
def gate():
    """A job that holds the worker until the test lets it go; always let go at the end."""
    event = threading.Event()
    yield event
    event.set()


def hold(gate):
    def work(report):
        while not gate.wait(0.01):
            report(0.5, "holding")
        return "held"

    return work


def unique():
    return object()


def test_a_job_gives_its_result_and_is_shared_by_its_key():
    calls = []
    key = unique()
    jobs_of = [
        jobs.submit(key, lambda report: calls.append(1) or 42, label="Count") for _ in range(5)
    ]
    assert {job.wait(5).result for job in jobs_of} == {42}
    assert len(calls) == 1
    assert jobs.submit(key, lambda report: 43, label="Count").result == 42
    jobs.forget(key)
    assert jobs.submit(key, lambda report: 43, label="Count").wait(5).result == 43


def test_a_stopped_job_ends_at_its_next_report_and_can_be_asked_for_again(gate):
    key = unique()
    job = jobs.submit(key, hold(gate), label="Hold")
    job.stop()
    assert job.wait(5).state == "stopped"
    gate.set()
    assert jobs.submit(key, hold(gate), label="Hold").wait(5).result == "held"


def test_a_job_stopped_before_its_turn_never_runs(gate):
    blocker = jobs.submit(unique(), hold(gate), label="Hold")
    waiting = jobs.submit(unique(), lambda report: pytest.fail("it ran"), label="Never")
    waiting.stop()
    assert waiting.state == "stopped"
    gate.set()
    assert blocker.wait(5).state == "done"
    assert waiting.state == "stopped"


def test_a_quick_job_does_not_wait_for_a_slow_one(gate):
    slow = jobs.submit(unique(), hold(gate), label="Slow")
    quick = jobs.submit(unique(), lambda report: "map", label="Map", quick=True)
    assert quick.wait(5).result == "map"
    assert slow.state == "running"


def test_jobs_run_one_at_a_time():
    running, most = [0], [0]

    def work(report):
        running[0] += 1
        most[0] = max(most[0], running[0])
        time.sleep(0.02)
        running[0] -= 1

    for job in [jobs.submit(unique(), work, label="Work") for _ in range(10)]:
        job.wait(5)
    assert most == [1]


def test_a_failure_becomes_a_sentence():
    def mistake(report):
        raise UserError("The folder is empty.")

    def crash(report):
        raise ZeroDivisionError("division by zero")

    assert jobs.submit(unique(), mistake, label="Look").wait(5).error == "The folder is empty."
    job = jobs.submit(unique(), crash, label="Divide").wait(5)
    assert job.state == "failed"
    assert job.error.startswith("Divide failed: division by zero.")


def test_progress_and_time_left_can_be_read_while_it_runs(gate):
    job = jobs.submit(unique(), hold(gate), label="Hold")
    for _ in range(100):
        if job.fraction == 0.5 and job.seconds_left is not None:
            break
        time.sleep(0.05)
    assert job.message == "holding"
    assert 0.5 < job.seconds_left < 10
    assert job in jobs.active()


def test_a_quick_job_is_not_touched_by_what_the_slow_one_has_switched_on():
    import torch

    inside, asked = threading.Event(), threading.Event()

    def slow(report):
        with torch.inference_mode():
            inside.set()
            asked.wait(5)
            report(0.5, "lets others in")
        return "slow"

    first = jobs.submit(unique(), slow, label="Slow")
    inside.wait(5)
    quick = jobs.submit(
        unique(), lambda report: torch.is_inference_mode_enabled(), label="Quick", quick=True
    )
    asked.set()
    assert quick.wait(5).result is False
    assert first.wait(5).result == "slow"
