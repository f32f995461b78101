"""Cascading randomisation: layers forget from the top, the map falls apart, the network stays as it was."""

import numpy as np
import pytest
import torch

from tinymodel.explain import sanity
from tinymodel.network import BottleneckNet

MEAN, STD = (0.48, 0.45, 0.40), (0.28, 0.27, 0.28)


@pytest.fixture
def network() -> BottleneckNet:
    torch.manual_seed(0)
    return BottleneckNet(classes=4, width=4).eval()


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)


def test_layers_become_random_one_after_the_other_from_the_top(network):
    before = {name: value.clone() for name, value in network.state_dict().items()}
    names = []
    for name in sanity.randomize(network):
        names.append(name)
        changed = {
            key.rpartition(".conv")[0] or key.rpartition(".")[0]
            for key, value in network.state_dict().items()
            if value.ndim > 1 and not torch.equal(value, before[key])
        }
        assert changed == set(names)
    assert names == ["classifier", *reversed(network.blocks())]


def test_the_check_leaves_the_network_as_it_was(network, image):
    before = {name: value.clone() for name, value in network.state_dict().items()}
    sanity.check(network, image, MEAN, STD, draws=1)
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])
    assert all(not module._forward_hooks for module in network.modules())


def test_the_cascade_has_a_step_for_every_layer_and_reports_each(network, image):
    said = []
    found = sanity.check(
        network, image, MEAN, STD, draws=2, report=lambda fraction, text: said.append(fraction)
    )
    assert [step.layer for step in found.steps] == ["original", "classifier", *reversed(network.blocks())]  # fmt: skip
    assert len(said) == 2 * 11
    assert said == sorted(said)
    assert all(len(step.rank_correlation) == len(step.ssim) == 2 for step in found.steps[1:])
    assert found.steps[0].rank_correlation == (1.0,)


def test_a_map_that_depends_on_the_weights_falls_apart_and_one_that_does_not_stays(
    network, image, monkeypatch
):
    found = sanity.check(network, image, MEAN, STD)
    left = [value for step in found.steps[1:] for value in step.rank_correlation]
    assert abs(np.nanmean(left)) < 0.4

    real = sanity.explain
    fixed = np.arange(64, dtype=np.float32).reshape(8, 8)

    def stubborn(*arguments, **choices):
        from dataclasses import replace

        return replace(real(*arguments, **choices), signed=fixed)

    monkeypatch.setattr(sanity, "explain", stubborn)
    found = sanity.check(network, image, MEAN, STD, draws=1)
    assert all(step.rank_correlation[0] == pytest.approx(1) for step in found.steps)
    assert all(step.ssim[0] == pytest.approx(1) for step in found.steps)


def test_rank_correlation_asks_for_the_order_alone():
    heat = np.random.default_rng(0).random((8, 8))
    assert sanity.rank_correlation(heat, heat**3) == pytest.approx(1)
    assert sanity.rank_correlation(heat, -heat) == pytest.approx(-1)
    assert np.isnan(sanity.rank_correlation(heat, np.zeros((8, 8))))


def test_ssim_is_one_for_the_same_map_at_any_strength_and_lower_for_another():
    generator = np.random.default_rng(0)
    heat, other = generator.random((2, 8, 8)).astype(np.float32)
    assert sanity.ssim(heat, 5 * heat) == pytest.approx(1)
    assert sanity.ssim(heat, other) < 0.6
    assert np.isnan(sanity.ssim(heat, np.zeros((8, 8), np.float32)))


def test_ssim_agrees_with_its_formula_in_one_window():
    """Wang et al. 2004, equation 13, by hand on a map that is one window."""
    generator = np.random.default_rng(1)
    first, second = generator.random((2, 64, 64)).astype(np.float32)
    first[0, 0] = second[0, 0] = 1  # the maximum, to which they are scaled
    x, y = (image[:7, :7].astype(float) for image in (first, second))
    covariance = ((x - x.mean()) * (y - y.mean())).mean()
    c1, c2 = 0.01**2, 0.03**2
    expected = (2 * x.mean() * y.mean() + c1) * (2 * covariance + c2)
    expected /= (x.mean() ** 2 + y.mean() ** 2 + c1) * (x.var() + y.var() + c2)
    corner_first, corner_second = np.zeros((2, 64, 64), np.float32)
    corner_first[:7, :7], corner_second[:7, :7] = first[:7, :7], second[:7, :7]
    windows = 58 * 58
    # Only the windows that touch the corner differ from 1; take the one that is the corner.
    total = sanity.ssim(corner_first, corner_second) * windows
    others = sum(
        _window(corner_first, corner_second, row, column)
        for row in range(7)
        for column in range(7)
        if (row, column) != (0, 0)
    )
    assert total - others - (windows - 49) == pytest.approx(expected, abs=1e-3)


def _window(first: np.ndarray, second: np.ndarray, row: int, column: int) -> float:
    x, y = (image[row : row + 7, column : column + 7].astype(float) for image in (first, second))
    covariance = ((x - x.mean()) * (y - y.mean())).mean()
    c1, c2 = 0.01**2, 0.03**2
    top = (2 * x.mean() * y.mean() + c1) * (2 * covariance + c2)
    return top / ((x.mean() ** 2 + y.mean() ** 2 + c1) * (x.var() + y.var() + c2))
