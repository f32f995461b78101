"""Simple classifiers on features, and the ladder they climb."""

import numpy as np
import pytest

from tinymodel.data import open_dataset
from tinymodel.errors import UserError
from tinymodel.representation import ladder
from tinymodel.representation.features import study_run
from tinymodel.representation.ladder import (
    dimensions,
    draw,
    kept_ladder,
    measure_ladder,
    summarize,
)
from tinymodel.representation.probes import classify_by_neighbours, fit_linear


def blobs(count: int, seed: int, dimensions: int = 6, classes: int = 3):
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    centres = np.eye(classes, dimensions) * 4
    return np.float32(centres[labels] + generator.normal(size=(count, dimensions))) + 50, labels


def test_both_classifiers_tell_blobs_apart_that_they_have_not_seen():
    features, labels = blobs(90, 0)
    asked, truth = blobs(300, 1)
    probe = fit_linear(features, labels, 3)
    assert (probe.predict(asked) == truth).mean() > 0.95
    nearest = classify_by_neighbours(features, labels, 3, asked)
    assert (nearest == truth).mean() > 0.95


def test_the_linear_probe_agrees_with_scikit_learn():
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    features, labels = blobs(300, 2)
    asked, _ = blobs(300, 3)
    scaler = StandardScaler().fit(features)
    decay = 0.01 / 6**0.5
    theirs = LogisticRegression(C=1 / (2 * decay * 300), max_iter=500, tol=1e-6)
    theirs.fit(scaler.transform(features), labels)
    ours = fit_linear(features, labels, 3, steps=200)
    assert (ours.predict(asked) == theirs.predict(scaler.transform(asked))).mean() > 0.99


def test_features_that_never_change_do_no_harm():
    features, labels = blobs(60, 4)
    features[:, 3:] = 7
    assert np.isfinite(fit_linear(features, labels, 3).weight).all()


def test_probes_are_tested_on_nothing_they_learned_from(run):
    study = study_run(run)
    dataset = open_dataset("small")
    for labels in (range(3), study.unseen()):
        learn, test = draw(study, labels, seed=1)
        assert not set(study.rows[learn]) & set(study.rows[test])
        assert set(study.labels[learn]) == set(study.labels[test]) == set(labels)
        assert set(dataset.samples["split"].iloc[study.rows[learn]]) == {"train"}
    learn, test = draw(study, range(3), seed=1)
    assert study.validation[test].all()  # of trained classes only images that the network never saw
    assert not set(study.rows[test]) & set(run.train_indices)
    learn, test = draw(study, study.unseen(), seed=1)
    assert not set(study.rows[np.r_[learn, test]]) & set(run.train_indices)


def test_the_ladder_has_every_rung_and_is_kept_with_the_run(run):
    reports = []
    table = measure_ladder(run, lambda fraction, message: reports.append(fraction))
    assert reports == sorted(reports)
    assert 0 <= reports[0] <= reports[-1] <= 1
    counts = table.groupby(["classes", "network", "probe"])["layer"].nunique().to_dict()
    for classes in ("seen", "unseen"):
        for probe in ("linear", "neighbours"):
            assert counts[classes, "pixels", probe] == 1
            assert counts[classes, "trained", probe] == counts[classes, "untrained", probe] == 10
    assert set(table["seed"]) == {0, 1, 2}
    assert table["accuracy"].between(0, 1).all()
    kept = kept_ladder(run)
    assert kept.equals(table.astype(kept.dtypes))
    summary = summarize(kept)
    assert (summary["low"] <= summary["accuracy"]).all()
    assert (summary["high"] >= summary["accuracy"]).all()
    assert (summary["seeds"] == 3).all()


def test_a_ladder_of_older_weights_is_not_shown(run):
    import os

    measure_ladder(run)
    later = (run.folder / "best.pt").stat().st_mtime + 60
    os.utime(run.folder / "best.pt", (later, later))
    assert kept_ladder(run) is None


def test_colours_are_found_in_raw_pixels_and_uncertainty_follows_from_how_many_were_tested(run):
    summary = summarize(measure_ladder(run)).set_index(["classes", "network", "probe", "layer"])
    pixels = summary.loc["unseen", "pixels", "linear", 0]
    assert pixels["accuracy"] == 1  # each class of the small dataset is one colour
    assert pixels["tested"] == 2 * (4 + 3)


def test_a_run_of_too_few_images_is_a_sentence(run, monkeypatch):
    monkeypatch.setattr(ladder, "_usable", lambda study, labels: False)
    with pytest.raises(UserError, match="at least two classes with two images each"):
        measure_ladder(run)


def test_effective_dimensions_stay_below_the_nominal_ones(run):
    table = dimensions(study_run(run))
    assert list(table["nominal"]) == [12288, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32]
    assert (table["effective"] <= table["nominal"]).all()
    assert (table["effective"] >= 1).all()
