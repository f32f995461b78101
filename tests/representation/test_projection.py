"""Maps: what PCA says, points that move little, and neighbours."""

import numpy as np
import pytest

from tinymodel.errors import UserError
from tinymodel.representation.features import study_run
from tinymodel.representation.projection import (
    align,
    effective_dimension,
    neighbours,
    principal_components,
    project,
    unit_spread,
)


def test_principal_components_are_those_of_the_covariance():
    generator = np.random.default_rng(0)
    features = generator.normal(size=(200, 6)) @ np.diag([5, 3, 1, 0.5, 0.1, 0.1])
    points, share = principal_components(np.float32(features), 2)
    values = np.sort(np.linalg.eigvalsh(np.cov(features.T)))[::-1]
    np.testing.assert_allclose(np.sort(points.var(0, ddof=1))[::-1], values[:2], rtol=1e-3)
    assert share == pytest.approx(values[:2].sum() / values.sum(), rel=1e-3)


def test_a_layer_of_one_channel_or_of_equal_images_still_has_a_map():
    points, _ = principal_components(np.float32([[1], [2], [4]]), 3)
    assert points.shape == (3, 3)
    assert not points[:, 1:].any()
    points, share = principal_components(np.ones((7, 5), np.float32), 2)
    assert not points.any()
    assert share == 0


def test_alignment_undoes_a_turn_and_a_mirror_and_changes_no_distance():
    generator = np.random.default_rng(1)
    reference = unit_spread(generator.normal(size=(50, 3)))
    turn, _ = np.linalg.qr(generator.normal(size=(3, 3)))
    np.testing.assert_allclose(align(reference @ turn, reference), reference, atol=1e-6)
    other = unit_spread(generator.normal(size=(50, 3)))
    turned = align(other, reference)
    np.testing.assert_allclose(
        np.linalg.norm(turned[1:] - turned[:-1], axis=1),
        np.linalg.norm(other[1:] - other[:-1], axis=1),
        atol=1e-6,
    )
    assert ((turned - reference) ** 2).sum() <= ((other - reference) ** 2).sum()


@pytest.mark.parametrize(("method", "dimensions"), [("pca", 2), ("pca", 3), ("tsne", 2)])
def test_every_layer_has_its_points_and_they_move_little(run, method, dimensions):
    study = study_run(run)
    chosen = study.of_classes(range(5))
    result = project(study, chosen, dimensions, method)
    assert result.points.shape == (11, 20, dimensions)
    assert np.isfinite(result.points).all()
    np.testing.assert_allclose(result.points.mean(1), 0, atol=1e-3)
    distances = np.linalg.norm(result.points, axis=2)
    np.testing.assert_allclose(np.quantile(distances, 0.95, axis=1), 1, atol=1e-3)
    for before, after in zip(result.points[:-1], result.points[1:], strict=True):
        step = ((after - before) ** 2).sum()
        mirrored = after * [-1, *[1] * (dimensions - 1)]
        assert step <= ((mirrored - before) ** 2).sum() + 1e-5  # the nearest way to lie


def test_too_few_images_are_a_sentence(run):
    study = study_run(run)
    with pytest.raises(UserError, match="at least 5 images; these classes have 4"):
        project(study, study.of_classes([0]), 2)


def test_neighbours_are_the_most_similar_in_direction_about_the_mean():
    features = np.float32([[10, 11], [11, 10], [9, 10], [10, 9]])
    best, similarity = neighbours(np.float32([10, 15]), features, 2)
    assert best[0] == 0
    assert similarity[0] == pytest.approx(1, abs=1e-6)
    assert similarity[1] == pytest.approx(0, abs=1e-6)


def test_effective_dimension_counts_directions():
    generator = np.random.default_rng(2)
    assert effective_dimension(generator.normal(size=(20_000, 8))) == pytest.approx(8, rel=0.01)
    line = generator.normal(size=(500, 1)) @ generator.normal(size=(1, 30))
    assert effective_dimension(line) == pytest.approx(1)
    wide = np.float32(generator.normal(size=(40, 2)) @ generator.normal(size=(2, 6000)))
    assert 1 < effective_dimension(wide) < 2.01
    assert effective_dimension(np.ones((5, 3))) == 0
