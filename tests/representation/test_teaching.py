"""New classes for an old network, and the run that comes of it."""

import numpy as np
import pytest
import torch

from tinymodel.data import open_dataset
from tinymodel.data.batches import normalize
from tinymodel.errors import UserError
from tinymodel.evaluation import evaluate_run
from tinymodel.explain.gradcam import explain_run
from tinymodel.representation.features import study_run, unseen_classes
from tinymodel.representation.teaching import OWN, save, stack, teach, try_out
from tinymodel.runs import Run, list_runs
from tinymodel.scores import accuracy

LAYER = "stage1.residual2"


def photographs(colour: tuple[int, int, int], count: int) -> np.ndarray:
    noise = np.random.default_rng(0).integers(-20, 20, (count, 64, 64, 3))
    return np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)


def test_two_classes_never_seen_are_taught_from_five_images(run):
    study = study_run(run)
    lesson = teach(run, study, LAYER, [3, 4], {}, shots=5)
    assert [item.name for item in lesson.classes] == ["colour 3", "colour 4"]
    assert len(lesson.train_rows) == 10
    assert len(lesson.test_rows) == 2 * (4 + 6)  # of 12 the second half
    assert not set(lesson.train_rows) & set(lesson.test_rows)
    assert lesson.accuracy == 1
    first, last = lesson.history.iloc[0], lesson.history.iloc[-1]
    assert first["train_loss"] == pytest.approx(np.log(2), rel=1e-3)
    assert last["train_loss"] < 0.5 * first["train_loss"]
    assert last["val_accuracy"] == lesson.accuracy


def test_another_draw_learns_from_other_images(run):
    study = study_run(run)
    first, second = (teach(run, study, LAYER, [3, 4], {}, shots=3, draw=draw) for draw in (0, 1))
    assert set(first.train_rows) != set(second.train_rows)
    own = {"red": photographs((220, 30, 30), 4), "blue": photographs((30, 30, 220), 4)}
    first, second = (teach(run, None, LAYER, [], own, shots=2, draw=draw) for draw in (0, 1))
    assert not np.array_equal(first.own_learned, second.own_learned)


def test_the_stacked_network_says_what_the_lesson_says(run):
    study = study_run(run)
    lesson = teach(run, study, LAYER, [3, 4], {}, shots=3)
    network = stack(lesson)
    assert list(network.blocks())[-1] == LAYER
    images = open_dataset("small").images[lesson.test_rows]
    with torch.no_grad():
        logits = network(normalize(torch.from_numpy(images), run.mean, run.std))
    assert np.array_equal(logits.argmax(1).numpy(), lesson.predictions)
    (found,) = try_out(lesson, images[:1])
    assert found.prediction == lesson.predictions[0]
    assert found.heat.shape == (32, 32)


def test_a_lesson_is_saved_as_a_run_that_can_be_opened_explained_and_evaluated(run):
    lesson = teach(run, study_run(run), LAYER, [3, 4], {}, shots=5)
    saved = save(lesson, "new-colours")
    assert {item.name for item in list_runs()} == {run.name, "new-colours"}
    saved = Run.open(saved.name)
    assert saved.status == "finished"
    assert saved.info()["stacked_on"]["layer"] == LAYER
    assert saved.info()["model"]["depth"] == 4
    assert accuracy(saved.predictions()) == lesson.accuracy
    assert saved.best_accuracy == pytest.approx(lesson.accuracy)
    assert len(saved.steps()) == 30
    assert saved.progress().run_fraction == 1
    assert len(evaluate_run(saved)) == len(lesson.test_rows)
    image = open_dataset("small").images[lesson.test_rows[0]]
    assert explain_run(saved, image, layer=LAYER).probabilities.shape == (2,)
    assert study_run(saved).layers[-1] == LAYER
    with pytest.raises(UserError, match="already a run 'new-colours'"):
        save(lesson, "new-colours")
    assert save(lesson).name == f"{run.name}-taught-1"


def test_what_the_frozen_blocks_have_seen_is_not_called_unseen_later(run):
    saved = save(teach(run, study_run(run), LAYER, [3, 4], {}, shots=5))
    assert unseen_classes(saved, open_dataset("small")) == ()


def test_photographs_are_taught_without_a_dataset_and_not_kept(run):
    own = {"red": photographs((220, 30, 30), 7), "blue": photographs((30, 30, 220), 6)}
    lesson = teach(run, None, LAYER, [], own, shots=5)
    assert len(lesson.own_tests) == 3
    assert lesson.accuracy == 1
    saved = save(lesson)
    assert saved.config.dataset == OWN
    assert len(saved.predictions()) == 0
    assert len(saved.val_indices) == 0
    files = {file.name for file in saved.folder.iterdir()}
    assert files <= {
        "run.json",
        "steps.csv",
        "epochs.csv",
        "best.pt",
        "predictions.parquet",
        "lock",
    }
    assert sum(file.stat().st_size for file in saved.folder.iterdir()) < 200_000
    found = explain_run(saved, photographs((30, 30, 220), 1)[0], layer=LAYER)
    assert saved.classes[found.prediction].name == "blue"


def test_photographs_and_classes_of_the_dataset_go_together(run):
    lesson = teach(run, study_run(run), LAYER, [3], {"white": photographs((250, 250, 250), 3)}, 5)
    assert [item.name for item in lesson.classes] == ["colour 3", "white"]
    assert lesson.accuracy == 1
    assert not len(lesson.own_tests)  # all three were learned from
    assert save(lesson).config.dataset == "small"


def test_without_anything_to_test_there_is_no_accuracy(run):
    own = {"red": photographs((220, 30, 30), 1), "blue": photographs((30, 30, 220), 1)}
    lesson = teach(run, None, LAYER, [], own, shots=5)
    assert lesson.accuracy is None
    assert save(lesson).best_accuracy is None


@pytest.mark.parametrize(
    ("labels", "own", "sentence"),
    [
        ([3], {}, "at least two classes to tell apart"),
        ([3], {"empty": np.zeros((0, 64, 64, 3), np.uint8)}, "'empty' has no picture yet"),
    ],
)
def test_one_class_or_none_is_a_sentence(run, labels, own, sentence):
    with pytest.raises(UserError, match=sentence):
        teach(run, study_run(run), LAYER, labels, own, shots=1)
