"""Which answers are picked, what is confused with what, and how honest the confidence is: against plain arithmetic."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from tinymodel import scores
from tinymodel.errors import UserError


def predictions_of(probabilities: np.ndarray, labels: np.ndarray) -> pd.DataFrame:
    """The table that `evaluate` gives, of probabilities (n, classes)."""
    top = np.argsort(-probabilities, axis=1, kind="stable")[:, :5]
    rows = np.arange(len(labels))
    return pd.DataFrame(
        dict(
            index=rows + 100,
            label=labels,
            prediction=top[:, 0],
            confidence=probabilities[rows, top[:, 0]],
            true_probability=probabilities[rows, labels],
            loss=-np.log(probabilities[rows, labels]),
            top5=list(top),
            top5_probabilities=list(np.take_along_axis(probabilities, top, 1)),
        )
    )


@pytest.fixture
def answers() -> pd.DataFrame:
    """2,000 answers of a network that knows something about eight classes, and is right about half the time."""
    generator = np.random.default_rng(1)
    labels = generator.integers(0, 8, 2000)
    logits = generator.normal(size=(2000, 8)) * 1.5
    logits[np.arange(2000), labels] += 2
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return scores.described(predictions_of(probabilities, labels))


def test_margin_and_place_of_the_true_class():
    probabilities = np.array([[0.5, 0.3, 0.1, 0.06, 0.03, 0.01]] * 3)
    answers = scores.described(predictions_of(probabilities, np.array([0, 2, 5])))
    assert answers["right"].tolist() == [True, False, False]
    assert answers["place"].tolist() == [1, 3, 0]
    assert answers["margin"].tolist() == pytest.approx([0.2] * 3)


def test_a_network_of_one_class_has_a_margin():
    answers = scores.described(predictions_of(np.ones((2, 1)), np.zeros(2, dtype=int)))
    assert answers["margin"].tolist() == [1, 1]


def test_near_misses_are_wrong_with_the_truth_in_the_top_five(answers):
    near = scores.select(answers, "near")
    expected = [
        row.index_
        for row in answers.rename(columns=dict(index="index_")).itertuples()
        if row.label != row.prediction and row.label in row.top5
    ]
    assert sorted(near["index"]) == expected
    assert 0 < len(near) < len(scores.select(answers, "mistakes"))


def test_lucky_hits_are_right_and_unsure(answers):
    lucky = scores.select(answers, "lucky", sort="unsure")
    assert lucky["right"].all()
    assert lucky["confidence"].max() < 0.5
    assert lucky["confidence"].is_monotonic_increasing
    assert len(lucky) == (answers["right"] & (answers["confidence"] < 0.5)).sum()


@pytest.mark.parametrize(
    ("sort", "column", "rising"),
    [("loss", "loss", False), ("sure", "confidence", False), ("margin", "margin", True)],
)
def test_answers_come_in_the_order_that_was_asked_for(answers, sort, column, rising):
    ordered = scores.select(answers, "mistakes", sort=sort)[column]
    assert ordered.is_monotonic_increasing if rising else ordered.is_monotonic_decreasing
    assert len(ordered) == (answers["label"] != answers["prediction"]).sum()


def test_shuffling_loses_nothing_and_is_the_same_every_time(answers):
    one, two = (scores.select(answers, "all", sort="shuffled")["index"].tolist() for _ in range(2))
    assert one == two
    assert one != answers["index"].tolist()
    assert sorted(one) == answers["index"].tolist()


def test_filters_of_class_pair_and_confidence(answers):
    chosen = scores.select(answers, "mistakes", true=2, predicted=5, confidence=(0.4, 0.6))
    wanted = answers[
        (answers["label"] == 2)
        & (answers["prediction"] == 5)
        & (answers["confidence"] >= 0.4)
        & (answers["confidence"] <= 0.6)
    ]
    assert sorted(chosen["index"]) == sorted(wanted["index"])
    assert len(chosen)
    assert len(scores.select(answers, "all", true=2)) == (answers["label"] == 2).sum()


def test_a_planted_wrong_label_is_the_first_suspect():
    probabilities = np.full((40, 2), 0.2)
    labels = np.repeat([0, 1], 20)
    probabilities[np.arange(40), labels] = 0.8
    probabilities[7] = [0.03, 0.97]  # says 1 loudly, and is labelled 0
    probabilities[8] = [0.45, 0.55]  # a hesitant mistake
    answers = scores.described(predictions_of(probabilities, labels))
    suspects = scores.select(answers, "suspicious", sort="disagreement")
    assert suspects["index"].tolist() == [107]


def test_contradiction_counts_only_where_the_network_is_as_sure_as_usual_and_surer_than_not():
    probabilities = np.full((40, 3), 0.05)
    labels = np.repeat([0, 1], 20)
    probabilities[np.arange(40), labels] = 0.9
    probabilities[7] = [0.28, 0.7, 0.02]  # less sure of 1 than it usually is
    probabilities[8] = [
        0.3,
        0.2,
        0.5 - 1e-6,
    ]  # of 2 it is never sure, but all others together are likelier
    answers = scores.described(predictions_of(probabilities, labels))
    assert scores.select(answers, "suspicious").empty
    assert scores.select(
        answers, "suspicious", true=0
    ).empty  # a filter does not change what is usual


def test_top_5_accuracy_counts_every_place(answers):
    hits = [row.label in row.top5 for row in answers.itertuples()]
    assert scores.top5_accuracy(answers) == pytest.approx(np.mean(hits))
    assert scores.accuracy(answers) == pytest.approx((answers["place"] == 1).mean())


@pytest.fixture
def predictions() -> pd.DataFrame:
    return pd.DataFrame(
        dict(
            index=[10, 11, 12, 13, 14],
            label=[0, 0, 1, 2, 2],
            prediction=[0, 1, 2, 1, 1],
            loss=[0.1, 2.0, 5.0, 1.0, 3.0],
        )
    )


def test_mistakes_come_worst_first(predictions):
    assert scores.mistakes(predictions)["index"].tolist() == [12, 14, 11, 13]
    assert scores.accuracy(predictions) == pytest.approx(0.2)


def test_mistakes_can_be_filtered_by_true_and_predicted_class(predictions):
    assert scores.mistakes(predictions, predicted=1)["index"].tolist() == [14, 11, 13]
    assert scores.mistakes(predictions, true=0)["index"].tolist() == [11]
    assert scores.mistakes(predictions, true=2, predicted=1)["index"].tolist() == [14, 13]
    assert scores.mistakes(predictions, true=0, predicted=2).empty


# Confusion


def test_the_confusion_matrix_counts_every_image_once(answers):
    matrix = scores.confusion(answers, 8)
    expected = np.zeros((8, 8), dtype=int)
    for row in answers.itertuples():
        expected[row.label, row.prediction] += 1
    np.testing.assert_array_equal(matrix, expected)


def test_pairs_are_the_cells_beside_the_diagonal(answers):
    matrix = scores.confusion(answers, 8)
    pairs = scores.confused_pairs(matrix)
    assert pairs["count"].sum() == len(scores.mistakes(answers))
    assert pairs["count"].is_monotonic_decreasing
    first = pairs.iloc[0]
    true, predicted = int(first["true"]), int(first["predicted"])
    assert first["count"] == matrix[true, predicted] == (matrix - np.diag(np.diag(matrix))).max()
    assert first["share"] == pytest.approx(matrix[true, predicted] / matrix[true].sum())
    assert first["back"] == matrix[predicted, true]


def test_the_most_confused_classes_are_those_of_the_strongest_pairs():
    matrix = np.diag([20] * 8)
    matrix[6, 2], matrix[2, 6], matrix[0, 4], matrix[1, 7] = 5, 4, 7, 1
    assert sorted(scores.most_confused(matrix, 2)) == [2, 6]  # 5 + 4 either way are more than 7
    assert sorted(scores.most_confused(matrix, 4)) == [0, 2, 4, 6]
    assert sorted(scores.most_confused(matrix, 8)) == list(range(8))
    assert len(scores.most_confused(matrix, 100)) == 8


def test_classes_that_are_confused_lie_together():
    """Forty families of five classes, shuffled: each family comes out in one piece."""
    generator = np.random.default_rng(0)
    family = generator.permutation(np.repeat(np.arange(40), 5))
    matrix = generator.poisson(0.02, (200, 200)) + 3 * (family[:, None] == family)
    np.fill_diagonal(matrix, 30)
    order = scores.similar_together(matrix)
    assert sorted(order) == list(range(200))
    changes = np.count_nonzero(np.diff(family[order]))
    assert changes == 39
    assert np.count_nonzero(np.diff(family)) > 150  # it was not so before


def test_a_chain_of_confusions_is_laid_out_as_a_chain():
    chain = [0, 3, 1, 4, 2]  # each is confused with the next, a little more than the one before
    matrix = np.diag([50] * 5)
    for count, (one, other) in enumerate(pairwise(chain), 6):
        matrix[one, other] = count
    assert scores.similar_together(matrix) in (chain, chain[::-1])


@pytest.mark.parametrize("classes", [1, 2, 3, 6])
def test_classes_without_confusion_still_have_an_order(classes):
    assert sorted(scores.similar_together(np.diag([4] * classes))) == list(range(classes))


def test_results_per_class(answers):
    table = scores.per_class(answers, 9)  # a ninth class without images
    assert np.isnan(table["accuracy"].iloc[8])
    assert table["mostly"].iloc[8] == -1
    third = answers[answers["label"] == 2]
    row = table.iloc[2]
    assert row["images"] == len(third)
    assert row["accuracy"] == pytest.approx(third["right"].mean())
    assert row["top5"] == pytest.approx((third["place"] > 0).mean())
    said = answers[answers["prediction"] == 2]
    assert row["precision"] == pytest.approx(said["right"].mean())
    wrong = third[~third["right"]]["prediction"].value_counts()
    assert row["mostly_count"] == wrong.iloc[0] == (wrong[row["mostly"]])


# Calibration


def test_calibration_error_of_guo_et_al_by_hand():
    frame = pd.DataFrame(
        dict(
            label=[0, 0, 0, 0, 0],
            prediction=[0, 1, 0, 0, 1],
            confidence=[0.95, 0.95, 0.60, 1.0, 1 / 15],
        )
    )
    curve = scores.calibration(frame)
    assert len(curve) == 15
    assert curve["count"].sum() == 5
    assert curve["count"].iloc[0] == 1  # a bin has its upper edge: 1/15 is in the first
    assert curve["count"].iloc[8] == 1  # and 9/15 in the ninth
    assert curve["count"].iloc[14] == 3
    expected = (3 * abs(2 / 3 - (0.95 + 0.95 + 1) / 3) + abs(1 - 0.6) + abs(0 - 1 / 15)) / 5
    assert scores.calibration_error(curve) == pytest.approx(expected)


def test_an_honest_network_has_almost_no_calibration_error():
    generator = np.random.default_rng(3)
    confidence = generator.uniform(0.2, 1, 100_000)
    right = generator.uniform(size=100_000) < confidence
    honest = pd.DataFrame(dict(label=0, prediction=np.where(right, 0, 1), confidence=confidence))
    assert scores.calibration_error(scores.calibration(honest)) < 0.01
    boastful = honest.assign(confidence=confidence**0.5)
    assert scores.calibration_error(scores.calibration(boastful)) > 0.1


# Two runs


def test_every_image_of_two_runs_has_one_outcome(answers):
    other = answers.copy()
    other["prediction"] = np.roll(answers["prediction"], 1)
    table = scores.compare(answers, other)
    right = [answers["label"] == frame["prediction"] for frame in (answers, other)]
    counts = table["outcome"].value_counts()
    assert set(counts.index) == set(scores.OUTCOMES)
    assert counts["both"] == (right[0] & right[1]).sum()
    assert counts["first"] == (right[0] & ~right[1]).sum()
    assert counts["second"] == (~right[0] & right[1]).sum()
    assert counts.sum() == len(answers)


def test_the_order_of_the_images_does_not_matter(answers):
    shuffled = answers.sample(frac=1, random_state=0)
    assert set(scores.compare(answers, shuffled)["outcome"]) <= {"both", "neither"}


@pytest.mark.parametrize(
    "change",
    [
        lambda frame: frame.iloc[:-1],
        lambda frame: frame.assign(index=frame["index"] + 1),
        lambda frame: frame.assign(label=7 - frame["label"]),
    ],
)
def test_runs_of_other_images_or_labels_are_not_compared(answers, change):
    with pytest.raises(UserError, match="not judged by the same validation images"):
        scores.compare(answers, change(answers))


def test_the_test_of_mcnemar_against_known_values():
    assert scores.chance_of_difference(0, 0) == 1
    assert scores.chance_of_difference(5, 5) == 1
    assert scores.chance_of_difference(0, 5) == pytest.approx(2 / 32)
    assert scores.chance_of_difference(9, 1) == pytest.approx(22 / 1024)
    assert 0 < scores.chance_of_difference(1500, 1200) < 1e-7  # as the normal approximation says
