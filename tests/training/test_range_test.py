"""The learning-rate range test: it finds where a network learns, on a fresh one, and touches nothing else."""

import numpy as np
import pytest

from tinymodel.config import TrainConfig
from tinymodel.errors import UserError
from tinymodel.runs import list_runs
from tinymodel.training import range_test as module
from tinymodel.training.range_test import depends_on, range_test, smooth, suggest

SMALL = TrainConfig(
    dataset="small",
    width=2,
    batch_size=12,
    precision="fp32",
    memory_format="channels-last",
    device="cpu",
)


def test_a_rising_rate_learns_then_diverges_and_the_suggestion_lies_between(small_dataset):
    progress = []
    result = range_test(
        SMALL.replace(optimizer="sgd"), lambda fraction, message: progress.append(fraction)
    )
    assert result.field == "learning_rate"
    assert result.rates[0] == pytest.approx(module.LOWEST)
    steps = np.diff(np.log(result.rates))
    assert np.allclose(steps, steps[0])  # geometrically
    assert len(result.rates) == len(result.losses) == len(result.smoothed)
    assert np.isfinite(result.losses).all()
    assert result.smoothed.min() < 0.8 * result.guessing  # three colours are soon learned
    assert result.guessing == pytest.approx(np.log(3))
    assert result.rates[result.smoothed.argmin()] <= result.suggestion <= module.HIGHEST
    assert progress == sorted(progress) and len(progress) == len(result.rates)
    assert list_runs() == []


def test_the_same_test_gives_the_same_numbers_whatever_the_rates_and_length(
    small_dataset, monkeypatch
):
    monkeypatch.setattr(module, "STEPS", 15)
    sgd = SMALL.replace(optimizer="sgd")
    other = sgd.replace(learning_rate=0.01, epochs=99, schedule="per-epoch")
    assert depends_on(sgd) == depends_on(other)
    assert depends_on(sgd) != depends_on(sgd.replace(batch_size=6))
    first, second = range_test(sgd), range_test(other)
    np.testing.assert_allclose(first.losses, second.losses, rtol=1e-3)


def test_with_muon_its_own_rate_is_swept_and_sgds_goes_along(small_dataset, monkeypatch):
    seen = []
    step = module.TrainStep

    class Recorder(step):
        def __call__(self, images, labels, share, *rest):
            result = super().__call__(images, labels, share, *rest)
            seen.append([group["lr"] for o in self.optimizers for group in o.param_groups][:2])
            return result

    monkeypatch.setattr(module, "TrainStep", Recorder)
    monkeypatch.setattr(module, "STEPS", 12)
    result = range_test(SMALL.replace(muon_learning_rate=0.2, learning_rate=0.6))
    assert result.field == "muon_learning_rate"
    muon, sgd = np.array(seen).T
    np.testing.assert_allclose(muon[: len(result.rates)], result.rates)
    np.testing.assert_allclose(sgd, 3 * muon)
    muon_config = SMALL.replace(muon_learning_rate=0.2, learning_rate=0.6)
    assert depends_on(muon_config) == depends_on(
        muon_config.replace(muon_learning_rate=0.1, learning_rate=0.3)
    )
    assert depends_on(muon_config) != depends_on(muon_config.replace(learning_rate=0.3))


def test_a_loss_that_is_no_number_ends_it_and_stays_out(small_dataset, monkeypatch):
    values = iter([2.0] * 20 + [1.5] * 20 + [float("nan")])
    monkeypatch.setattr(module, "_losses", lambda *_: values)
    result = range_test(SMALL)
    assert result.diverged and len(result.losses) == 40
    assert np.isfinite(result.smoothed).all()


def test_a_first_loss_that_is_no_number_is_a_sentence(small_dataset, monkeypatch):
    monkeypatch.setattr(module, "_losses", lambda *_: iter([float("inf")]))
    with pytest.raises(UserError, match="very first loss"):
        range_test(SMALL)


def test_a_loss_that_explodes_ends_it(small_dataset, monkeypatch):
    monkeypatch.setattr(module, "_losses", lambda *_: iter([2.0] * 50 + [9.0] * 50))
    result = range_test(SMALL)
    assert result.diverged and len(result.losses) == 51


def test_it_ends_when_what_was_learned_is_lost(small_dataset, monkeypatch):
    """Without an explosion: three classes are guessed at a loss of 1.1."""
    values = [1.3] * 10 + [0.8] * 30 + [1.25] * 60
    monkeypatch.setattr(module, "_losses", lambda *_: iter(values))
    result = range_test(SMALL)
    assert result.diverged and 40 < len(result.losses) <= 50
    assert result.rates[35] < result.suggestion < result.rates[-1]
    monkeypatch.setattr(module, "_losses", lambda *_: iter([1.3] * 100))
    assert not range_test(SMALL).diverged  # nothing learned, nothing lost


def test_a_stop_ends_it(small_dataset):
    def stop(fraction, message):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        range_test(SMALL, stop)


def test_data_that_is_not_there_is_a_sentence(folders):
    with pytest.raises(UserError, match="no prepared dataset 'small'"):
        range_test(SMALL)


def test_smoothing_does_not_lag():
    peak = np.zeros(41)
    peak[20] = 9
    smoothed = smooth(peak)
    assert smoothed[20] == 1 and np.allclose(smoothed, smoothed[::-1])
    assert np.allclose(smooth(np.full(30, 2.5)), 2.5)  # also at the ends
    assert len(smooth(np.ones(3))) == 3


def test_the_suggestion_is_where_the_loss_is_back_at_guessing():
    rates = np.geomspace(1e-3, 10, 100)
    falls_and_rises = np.r_[np.linspace(2.6, 1.5, 50), np.linspace(1.5, 4, 50)]
    suggestion = suggest(rates, falls_and_rises, guessing=2.3)
    index = np.abs(rates - suggestion).argmin()
    assert index > 50 and falls_and_rises[index - 1] < 2.3 <= falls_and_rises[index]
    only_falls = np.linspace(2.6, 1.5, 100)
    assert suggest(rates, only_falls, guessing=2.3) == 10


def test_nothing_learned_suggests_nothing():
    rates = np.geomspace(1e-3, 10, 100)
    assert suggest(rates, np.full(100, 2.29), guessing=2.3) is None
    assert suggest(rates[:3], np.array([2.3, 2.0, 1.0]), guessing=2.3) is None
