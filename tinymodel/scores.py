"""Measures on predictions: which answers to look at, what is confused with what, how honest the confidence is.

Everything here reads the table that `tinymodel.evaluation` writes; no network, no images, no torch.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from tinymodel.errors import UserError

LUCKY = 0.5  # a right answer less sure than this was luck: all other classes together were likelier
BINS = 15  # of the calibration curve, as Guo et al. 2017 have it


# Single answers


def described(predictions: pd.DataFrame) -> pd.DataFrame:
    """`predictions` with three more columns.

    `right`; `place` of the true class among the top five, from 1, or 0 if it is not there; `margin`, the probability
    of the answer minus that of the runner-up, in [0, 1].
    """
    count = len(predictions)
    top = np.array(predictions["top5"].tolist(), dtype=np.int64).reshape(count, -1)  # (n, k)
    probabilities = np.array(predictions["top5_probabilities"].tolist()).reshape(count, -1)
    hits = top == predictions["label"].to_numpy()[:, None]
    second = probabilities[:, 1] if probabilities.shape[1] > 1 else 0.0
    return predictions.assign(
        right=predictions["label"] == predictions["prediction"],
        place=np.where(hits.any(1), hits.argmax(1) + 1, 0),
        margin=predictions["confidence"] - second,
    )


def suspicious(answers: pd.DataFrame) -> pd.Series:
    """Where the label itself may be wrong: confident disagreements, as in confident learning.

    The network disagrees, at least as sure of its answer as it is on average of pictures that do carry that label
    (Northcutt, Jiang and Chuang, Confident Learning, JAIR 2021, equation 2), and surer than of all others together.
    """
    usual = answers.groupby("label")["true_probability"].mean()
    threshold = answers["prediction"].map(usual).fillna(0).clip(lower=0.5)
    return ~answers["right"] & (answers["confidence"] >= threshold)


KINDS: dict[str, Callable[[pd.DataFrame], pd.Series]] = {
    "mistakes": lambda answers: ~answers["right"],
    "near": lambda answers: ~answers["right"] & (answers["place"] > 0),
    "suspicious": suspicious,
    "lucky": lambda answers: answers["right"] & (answers["confidence"] < LUCKY),
    "right": lambda answers: answers["right"],
    "all": lambda answers: pd.Series(True, answers.index),
}
SORTS: dict[str, Callable[[pd.DataFrame], pd.Series]] = {  # a key that is sorted downwards
    "loss": lambda answers: answers["loss"],
    "sure": lambda answers: answers["confidence"],
    "unsure": lambda answers: -answers["confidence"],
    "margin": lambda answers: -answers["margin"],
    "disagreement": lambda answers: answers["confidence"] - answers["true_probability"],
    "shuffled": lambda answers: pd.Series(
        np.random.default_rng(0).permutation(len(answers)), answers.index
    ),
}


def select(
    answers: pd.DataFrame,
    kind: str = "mistakes",
    *,
    sort: str = "loss",
    true: int | None = None,
    predicted: int | None = None,
    confidence: tuple[float, float] = (0.0, 1.0),
) -> pd.DataFrame:
    """The answers of one kind, in order.

    Args:
        answers: As `described` gives them.
        kind: A key of `KINDS`.
        sort: A key of `SORTS`.
        true, predicted: Only answers about pictures of this label, and only those that say this label.
        confidence: Least and greatest confidence, both included.
    """
    chosen = KINDS[kind](answers)  # of all, before filters: what is suspicious depends on the whole
    chosen &= answers["confidence"].between(*confidence) | (confidence == (0.0, 1.0))
    if true is not None:
        chosen &= answers["label"] == true
    if predicted is not None:
        chosen &= answers["prediction"] == predicted
    rows = answers[chosen]
    order = np.argsort(-SORTS[sort](rows).to_numpy(np.float64), kind="stable")
    return rows.iloc[order].reset_index(drop=True)


def mistakes(
    predictions: pd.DataFrame, true: int | None = None, predicted: int | None = None
) -> pd.DataFrame:
    """The wrong answers, worst first (highest loss); only those of a true and a predicted label, where given."""
    wrong = predictions[predictions["label"] != predictions["prediction"]]
    if true is not None:
        wrong = wrong[wrong["label"] == true]
    if predicted is not None:
        wrong = wrong[wrong["prediction"] == predicted]
    return wrong.sort_values("loss", ascending=False, kind="stable").reset_index(drop=True)


# Whole runs


def accuracy(predictions: pd.DataFrame) -> float:
    """The share of right answers (top-1), in [0, 1]; NaN of no images."""
    return float((predictions["label"] == predictions["prediction"]).mean())


def top5_accuracy(answers: pd.DataFrame) -> float:
    """The share of images whose true class is among the five most probable ones, in [0, 1]; NaN of no images."""
    return float((answers["place"] > 0).mean())


def calibration(predictions: pd.DataFrame, bins: int = BINS) -> pd.DataFrame:
    """How often the network is right when it says how sure it is.

    Returns:
        One row per bin of equal width, `low` < confidence ≤ `high`: `count`, mean `confidence` and `accuracy`, the
        latter two NaN of an empty bin (Guo et al., On Calibration of Modern Neural Networks, ICML 2017, section 2).
    """
    confidence = predictions["confidence"].to_numpy(np.float64)
    right = (predictions["label"] == predictions["prediction"]).to_numpy(np.float64)
    place = np.clip(np.ceil(confidence * bins - 1e-9).astype(int) - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    sums = (np.bincount(place, values, bins) for values in (confidence, right))
    with np.errstate(invalid="ignore"):
        mean_confidence, mean_right = (values / count for values in sums)
    edges = np.linspace(0, 1, bins + 1)
    return pd.DataFrame(
        dict(
            low=edges[:-1],
            high=edges[1:],
            count=count,
            confidence=mean_confidence,
            accuracy=mean_right,
        )
    )


def calibration_error(curve: pd.DataFrame) -> float:
    """Expected calibration error of what `calibration` gave, in [0, 1] (Guo et al. 2017, equation 3)."""
    gaps = (curve["accuracy"] - curve["confidence"]).abs().fillna(0)
    return float((gaps * curve["count"]).sum() / curve["count"].sum())


def per_class(answers: pd.DataFrame, classes: int) -> pd.DataFrame:
    """One row per label, in order.

    `label`, `images`, `right`, `accuracy` and `top5` in [0, 1] (NaN without images), `said` (how often the network
    gave this answer), `precision` (how often that was right, NaN if never said), `mostly` (its most frequent wrong
    answer, -1 if none) and `mostly_count`.
    """
    matrix = confusion(answers, classes)
    images, right, said = matrix.sum(1), matrix.diagonal(), matrix.sum(0)
    near = np.bincount(answers["label"], answers["place"] > 0, classes)
    wrong = _off_diagonal(matrix)
    with np.errstate(invalid="ignore"):
        return pd.DataFrame(
            dict(
                label=np.arange(classes),
                images=images,
                right=right,
                accuracy=right / images,
                top5=near / images,
                said=said,
                precision=right / said,
                mostly=np.where(wrong.any(1), wrong.argmax(1), -1),
                mostly_count=wrong.max(1),
            )
        )


# What is confused with what


def confusion(predictions: pd.DataFrame, classes: int) -> np.ndarray:
    """How often each label got each answer: int64 (classes, classes), a row per true label, a column per answer."""
    cells = predictions["label"].to_numpy() * classes + predictions["prediction"].to_numpy()
    return np.bincount(cells, minlength=classes**2).reshape(classes, classes)


def confused_pairs(matrix: np.ndarray) -> pd.DataFrame:
    """The mistakes of a confusion matrix as pairs, the most frequent first.

    `true`, `predicted`, `count`, `share` of the images of the true label in [0, 1], and `back`, how often the second
    was taken for the first.
    """
    true, predicted = np.nonzero(_off_diagonal(matrix))
    count = matrix[true, predicted]
    pairs = pd.DataFrame(
        dict(
            true=true,
            predicted=predicted,
            count=count,
            share=count / matrix.sum(1)[true],
            back=matrix[predicted, true],
        )
    )
    return pairs.sort_values(
        ["count", "share", "back"], ascending=False, kind="stable", ignore_index=True
    )


def most_confused(matrix: np.ndarray, count: int) -> list[int]:
    """Up to `count` labels, those of the most frequently confused pairs first, then whatever is left."""
    both_ways = np.triu(_off_diagonal(matrix) + _off_diagonal(matrix).T)
    order = np.argsort(-both_ways, axis=None, kind="stable")[: np.count_nonzero(both_ways)]
    in_pairs = np.stack(np.unravel_index(order, matrix.shape), axis=1).ravel()
    return list(dict.fromkeys([*in_pairs.tolist(), *range(len(matrix))]))[:count]


def similar_together(matrix: np.ndarray) -> list[int]:
    """All labels in an order in which those that are taken for one another lie together.

    Hierarchical clustering (average linkage) of how often two labels are confused, either way, as a share of their
    images; the leaves turned so that neighbours are as alike as can be (Bar-Joseph et al., Bioinformatics 2001).
    """
    if len(matrix) < 3:
        return list(range(len(matrix)))
    from scipy.cluster.hierarchy import leaves_list, linkage  # 0.3 s: only where it is needed
    from scipy.spatial.distance import squareform

    shares = _off_diagonal(matrix) / np.maximum(matrix.sum(1, keepdims=True), 1)
    alike = shares + shares.T
    distance = 1 - alike / max(alike.max(), 1e-12)
    np.fill_diagonal(distance, 0)
    tree = linkage(squareform(distance, checks=False), "average", optimal_ordering=True)
    return leaves_list(tree).tolist()


def _off_diagonal(matrix: np.ndarray) -> np.ndarray:
    return matrix - np.diag(matrix.diagonal())


# Two runs


OUTCOMES = ("first", "second", "neither", "both")  # who is right


def compare(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """The answers of two runs to the same images, side by side.

    Returns:
        One row per image: `index`, `label`, `outcome` (one of `OUTCOMES`), and of each run `prediction`,
        `confidence`, `true_probability` and `loss`, ending in `_first` and `_second`.

    Raises:
        UserError: They are about other images, or other labels for them.
    """
    kept = ["prediction", "confidence", "true_probability", "loss"]
    both = first[["index", "label", *kept]].merge(
        second[["index", "label", *kept]],
        on=["index", "label"],
        suffixes=("_first", "_second"),
        validate="one_to_one",
    )
    if not len(first) == len(second) == len(both):
        raise UserError(
            "The two runs were not judged by the same validation images with the same labels, so their answers cannot "
            "be compared one by one."
        )
    right = [both["label"] == both[f"prediction_{which}"] for which in ("first", "second")]
    outcome = np.select([right[0] & right[1], right[0], right[1]], ["both", "first", "second"], "neither")  # fmt: skip
    return both.assign(outcome=outcome)


def chance_of_difference(only_first: int, only_second: int) -> float:
    """How often two equally good runs would differ at least so much: the exact, two-sided test of McNemar (1947).

    Args:
        only_first, only_second: How many images only one of the two gets right.

    Returns:
        The p-value, in (0, 1]; 1 if they never differ.
    """
    total, fewer = only_first + only_second, min(only_first, only_second)
    ways, term = 0, 1  # exact integers: binomial coefficients overflow floats
    for k in range(fewer + 1):
        ways += term
        term = term * (total - k) // (k + 1)
    return min(1.0, 2 * ways / 2**total)


# For other programs


def named(answers: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """The answers with class names instead of labels, plain numbers and a column for each of the top five."""
    top = pd.DataFrame(answers["top5"].tolist(), index=answers.index)
    probabilities = pd.DataFrame(answers["top5_probabilities"].tolist(), index=answers.index)
    table = dict(
        image=answers["index"],
        true=answers["label"].map(names.__getitem__),
        predicted=answers["prediction"].map(names.__getitem__),
        right=answers["right"],
        confidence=answers["confidence"],
        true_probability=answers["true_probability"],
        margin=answers["margin"],
        loss=answers["loss"],
        place_of_true=answers["place"],
    )
    for place in range(top.shape[1]):
        table[f"top{place + 1}"] = top[place].map(names.__getitem__)
        table[f"top{place + 1}_probability"] = probabilities[place]
    return pd.DataFrame(table)
