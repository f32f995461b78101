"""Freed memory is kept for the next step where the C library can be told so, and left alone elsewhere."""

import ctypes
import subprocess
import sys

import pytest

from tinymodel import memory

STEPS = """
import threading, resource{first}

def step():
    kept = [b"x" * (n << 20) for n in (32, 32, 16, 16, 8, 4)]  # MB, as activations
    while kept:
        kept.pop()

def work():
    for _ in range(4):
        step()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4):
        step()
    print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) // 4)

thread = threading.Thread(target=work)  # as the one that trains
thread.start()
thread.join()
"""


def page_faults(first: str) -> int:
    code = STEPS.format(first=first)
    return int(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)


@pytest.mark.skipif(memory._glibc() is None, reason="needs glibc")
def test_a_step_after_the_first_takes_no_new_memory_from_the_system():
    with_us, without = page_faults(", tinymodel"), page_faults("")
    assert with_us < 50
    assert without > 10 * with_us + 50  # in pages of 4 kB about 26,000


def test_other_systems_are_left_alone(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: pytest.fail("the C library was touched"))
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not memory.keep_freed_memory()
    assert not memory.give_back()


def test_other_c_libraries_are_left_alone(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())  # as musl: knows none of these
    assert not memory.keep_freed_memory()
    assert not memory.give_back()


@pytest.mark.skipif(memory._glibc() is None, reason="needs glibc")
def test_a_choice_already_made_stands(monkeypatch):
    monkeypatch.setenv("MALLOC_ARENA_MAX", "2")
    assert not memory.keep_freed_memory()
