"""The command line, as another process: what it prints, how it ends."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest

from tinymodel.__main__ import main
from tinymodel.runs import Run

TRAIN = ["train", "--dataset", "small", "--width", "4", "--batch-size", "8", "--precision", "fp32"]


def start(*arguments: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "tinymodel", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_epochs(name: str, count: int) -> Run:
    for _ in range(600):
        try:
            run = Run.open(name)
            if len(run.epochs()) >= count:
                return run
        except ValueError:
            pass
        time.sleep(0.05)
    raise AssertionError("the run made no progress")


@pytest.mark.usefixtures("small_dataset")
def test_train_prints_its_epochs_and_evaluate_agrees(capsys):
    assert main([*TRAIN, "--epochs", "2", "--run", "mine"]) == 0
    out = capsys.readouterr().out
    assert len(re.findall(r"^epoch +\d+ ", out, re.MULTILINE)) == 2
    assert "mine: finished, best validation accuracy" in out
    assert main(["evaluate", "--run", "mine"]) == 0
    top1 = re.search(r"top-1 ([\d.]+)%", capsys.readouterr().out)[1]
    assert float(top1) / 100 == pytest.approx(Run.open("mine").best_accuracy, abs=1e-4)


@pytest.mark.usefixtures("small_dataset")
def test_another_process_can_stop_a_run_and_resume_it():
    process = start(*TRAIN, "--epochs", "500", "--run", "mine")
    wait_for_epochs("mine", 2)
    assert main(["stop", "--run", "mine"]) == 0
    assert process.wait(60) == 0
    run = Run.open("mine")
    assert run.status == "stopped"
    epochs = len(run.epochs())
    process = start("train", "--resume", "mine")
    wait_for_epochs("mine", epochs + 1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    assert run.status == "stopped"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["train"], "Say which data to train on"),
        (["train", "--dataset", "nothing"], "no prepared dataset 'nothing'"),
        (["train", "--dataset", "small", "--classes", "9"], "9 were asked for"),
        (["train", "--dataset", "small", "--classes", "colour 0,zebra"], "no class 'zebra'"),
        (["train", "--dataset", "small", "--classes", "1"], "At least two classes"),
        (["train", "--dataset", "small", "--epochs", "0"], "epochs must be between"),
        (["train", "--dataset", "small", "--run", "../x"], "cannot be the name of a run"),
        (["train", "--resume", "nothing"], "no run 'nothing'"),
        (["stop", "--run", "nothing"], "no run 'nothing'"),
        (["evaluate", "--run", "../../etc"], "cannot be the name of a run"),
        (["export", "--run", "nothing", "--onnx", "x.onnx"], "no run 'nothing'"),
        (["prepare", "--archive", "nowhere.zip"], "nowhere.zip"),
        (["prepare", "--folder", "nowhere"], "nowhere"),
    ],
)
@pytest.mark.usefixtures("small_dataset")
def test_a_mistake_gets_one_sentence_and_status_2(capsys, arguments, sentence):
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert "Traceback" not in error
    assert error.count("\n") == 1
    assert os.listdir(os.environ["TINYMODEL_DATA"]) == ["small"]


@pytest.mark.usefixtures("folders")
def test_the_sample_is_prepared_and_prepared_again_without_harm(capsys, tmp_path):
    assert main(["prepare", "--sample"]) == 0
    assert "10 classes" in capsys.readouterr().out
    assert main(["prepare", "--sample"]) == 0


@pytest.mark.usefixtures("small_dataset")
def test_export_writes_a_file(tmp_path, capsys):
    main([*TRAIN, "--epochs", "1", "--run", "mine"])
    assert main(["export", "--run", "mine", "--onnx", str(tmp_path / "net.onnx")]) == 0
    assert (tmp_path / "net.onnx").stat().st_size > 10_000
