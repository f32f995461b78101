"""The runs that come with the program: they open, they are small, and they answer where there is no dataset."""

import shutil

import numpy as np
import pytest

from tinymodel.data import sample
from tinymodel.evaluation import predictions_are_current
from tinymodel.explain.gradcam import explain_run
from tinymodel.explain.timelapse import DEFAULT, read_moments, read_pins
from tinymodel.paths import ROOT
from tinymodel.runs import Run, damaged_runs, list_runs
from tinymodel.scores import accuracy

SIZES = {"sample": 2e6, "tiny-imagenet-200": 3e6}  # bytes that a clone of the project has to load
OURS = (".pt", ".csv", ".parquet", ".json", ".jsonl")


@pytest.fixture(params=SIZES)
def shipped(request, folders) -> Run:
    """A copy of it, because a look at it may leave something there; with no dataset anywhere."""
    source = ROOT / "checkpoints" / request.param
    files = [file for file in source.iterdir() if file.suffix in OURS]
    (folders / "runs" / request.param).mkdir(parents=True)
    for file in files:
        shutil.copy2(file, folders / "runs" / request.param)
    return Run.open(request.param)


def test_it_is_whole_and_its_tables_and_predictions_agree(shipped):
    assert shipped.shipped and shipped.status == "finished"
    assert shipped.size() < SIZES[shipped.name]
    assert [run.name for run in list_runs()] == [shipped.name] and not damaged_runs()
    epochs, predictions = shipped.epochs(), shipped.predictions()
    assert len(epochs) == shipped.config.epochs
    assert shipped.best_accuracy > 0.5
    assert accuracy(predictions) == pytest.approx(
        shipped.best_accuracy, abs=0.005
    )  # rounded weights
    assert predictions_are_current(shipped)


def test_its_steps_tell_when_each_was_made_so_it_can_be_played_back(shipped):
    steps, epochs = shipped.steps(), shipped.epochs()
    assert (epochs["seconds"] > 0).all()
    assert (steps["seconds"] > 0).all() and steps["step"].is_monotonic_increasing
    whole = shipped.config.epochs * shipped.info()["steps_per_epoch"]
    assert steps["step"].iloc[-1] == pytest.approx(whole, rel=0.001)  # some rows may be left out
    assert set(steps["epoch"]) == set(epochs["epoch"])


def test_it_says_something_of_any_picture_and_shows_where_it_looked(shipped):
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    found = explain_run(shipped, image)
    assert found.probabilities.shape == (len(shipped.classes),)
    assert found.probabilities.sum() == pytest.approx(1, abs=1e-4)
    assert found.heat.shape == (8, 8)


@pytest.mark.parametrize("shipped", ["sample"], indirect=True)
def test_that_of_the_sample_fits_the_sample_as_it_is_drawn_now(shipped):
    assert shipped.info()["fingerprint"] == sample.fingerprint()
    assert [(item.wnid, item.name) for item in shipped.classes] == [
        (item.wnid, item.name) for item in sample.CLASSES
    ]
    pins, moments = read_pins(shipped), read_moments(shipped)
    assert len(pins) == DEFAULT and set(moments) == set(pins)
    assert all(len(moments[pin]) == shipped.config.epochs for pin in pins)
