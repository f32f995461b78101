"""Nonsense on the command line: exit status 2 and one sentence, whatever is typed."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from conftest import SENT

from tinymodel.__main__ import main

from . import bad

TYPED, PROCESSES = 1200, 4

# Values that no option takes: option → what may stand behind it.
WRONG = {
    "--dataset": ("nope", "../six", "", "a\x00b", "nul", "x" * 300),
    "--resume": ("nope", "../scored", "scored/..", ".", "scored"),  # the last one is finished
    "--preset": ("fastest", "", "Classroom"),
    "--classes": ("0", "1", "99", "nobody", ",", "fish,fish", "9" * 5000, "²"),
    "--hold-out-classes": ("6", "-1", "99", "nobody"),
    "--per-class": ("0", "-3", "many", "1.5", "9" * 30),
    "--width": ("0", "-1", "9999", "wide", ""),
    "--epochs": ("0", "-1", "1e3", "9" * 5000, "NaN"),
    "--batch-size": ("0", "1", "99999"),
    "--seed": ("-1", str(2**40), "x"),
    "--device": ("tpu", "cuda:0", ""),
    "--precision": ("fp8", ""),
    "--run": ("../x", "a/b", ".", "con", "é", "x" * 61, "scored"),  # the last one is taken
    "--set": (
        "x",
        "=",
        "epochs=",
        "epochs=[1]",
        "nope=1",
        "mix=soup",
        "flip=NaN",
        "width=1e400",
        "skip=1",
        "classes={}",
        "classes=[1]",
        "seed=" + "9" * 5000,
        "dataset=six",
        "label_smoothing=null",
    ),
}


def arguments(rng: np.random.Generator) -> list[str]:
    """One of the commands, with something wrong in it."""
    match rng.integers(7):
        case 0:
            words = [
                "prepare",
                "train",
                "stop",
                "evaluate",
                "export",
                "--set",
                "--run",
                "-h=1",
                "--",
            ]
            typed = [words[i] for i in rng.integers(len(words), size=2)]
            return [*typed, bad.text(rng), "--no-such-option"]
        case 1:
            option = ("--archive", "--folder")[rng.integers(2)]
            places = (
                "no/such/place",
                "precious.txt",
                ".",
                "/dev/null",
                "~nobody-here",
                bad.text(rng),
            )
            return [
                "prepare",
                option,
                places[rng.integers(len(places))],
                "--name",
                bad.text(rng) + "/",
            ]
        case 2:
            command = ("stop", "evaluate")[rng.integers(2)]
            return [command, "--run", "no-" + bad.text(rng).lstrip("-")]
        case 3:
            places = ("no/such/folder/x.onnx", ".", "/dev/full/x", "a\x00b", "x" * 300)
            return ["export", "--run", "scored", "--onnx", places[rng.integers(len(places))]]
        case _:
            option = list(WRONG)[rng.integers(len(WRONG))]
            value = WRONG[option][rng.integers(len(WRONG[option]))]
            before = [] if option in ("--resume", "--dataset") else ["--dataset", "six"]
            typed = ["train", *before, f"{option}={value}"]
            return [*typed, f"--set={bad.text(rng)}"] if rng.integers(4) == 0 else typed


@pytest.fixture(autouse=True)
def signals():
    """The commands take them over."""
    old = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, action in old.items():
        signal.signal(number, action)


def is_one_sentence(said: str) -> bool:
    return said.startswith("tinymodel: ") and said.count("\n") == 1 and said.strip().isprintable()


def test_typed_in_one_process(private, scored_run, capsys):
    for where, typed in bad.each(TYPED, 5, arguments):
        try:
            status = main(typed)
        except SystemExit as ended:
            status = ended.code
        said = capsys.readouterr().err
        assert status == 2 and is_one_sentence(said), (where, typed, status, said)
    SENT["command lines"] += TYPED


def test_typed_in_processes_of_their_own(private, scored_run):
    environment = dict(os.environ, PYTHONDONTWRITEBYTECODE="1")
    for where, typed in bad.each(PROCESSES, 6, arguments):
        typed = [word.replace("\x00", "") for word in typed]  # no system passes that on
        done = subprocess.run(
            [sys.executable, "-m", "tinymodel", *typed],
            env=environment,
            capture_output=True,
            timeout=120,
        )
        said = done.stderr.decode("utf-8", "replace")
        assert done.returncode == 2 and is_one_sentence(said), (where, typed, said)
    SENT["processes"] += PROCESSES
