"""The run that comes with the program: it opens, it is small, and it answers where there is no dataset."""

import numpy as np
import pytest

from tinymodel.evaluation import predictions_are_current
from tinymodel.explain.gradcam import explain_run
from tinymodel.paths import ROOT
from tinymodel.runs import Run, list_runs
from tinymodel.scores import accuracy


@pytest.fixture
def shipped(folders, monkeypatch) -> Run:
    """In its place, with no dataset anywhere."""
    monkeypatch.setenv("TINYMODEL_RUNS", str(ROOT / "checkpoints"))
    return next(run for run in list_runs() if run.shipped)


def test_it_is_whole_and_its_tables_and_predictions_agree(shipped):
    assert shipped.status == "finished"
    assert len(shipped.classes) == 200
    epochs, predictions = shipped.epochs(), shipped.predictions()
    assert len(epochs) == shipped.config.epochs
    assert shipped.best_accuracy > 0.5
    assert accuracy(predictions) == pytest.approx(
        shipped.best_accuracy, abs=0.005
    )  # rounded weights
    assert predictions_are_current(shipped)
    files = [
        file
        for file in shipped.folder.iterdir()
        if file.suffix in (".pt", ".csv", ".parquet", ".json")
    ]
    assert sum(file.stat().st_size for file in files) < 30e6


def test_it_says_something_of_any_picture_and_shows_where_it_looked(shipped):
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    found = explain_run(shipped, image)
    assert found.probabilities.shape == (200,)
    assert found.probabilities.sum() == pytest.approx(1, abs=1e-4)
    assert found.heat.shape == (8, 8)
