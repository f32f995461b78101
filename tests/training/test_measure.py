"""The estimate before Start: measured once, remembered, and used for the choice of precision."""

import pytest

from tinymodel.config import TrainConfig
from tinymodel.training import measure
from tinymodel.training.loop import Training


@pytest.fixture
def config(small_dataset):
    return TrainConfig(dataset="small", width=4, epochs=2, batch_size=8)


def test_an_estimate_is_measured_once_and_remembered(config, monkeypatch):
    monkeypatch.setattr(measure, "SECONDS", 0.05)
    assert measure.estimate_cached(config) is None
    reports = []
    first = measure.estimate(config, lambda fraction, message: reports.append(message))
    assert first.seconds == pytest.approx(
        2 * (36 / first.images_per_second + 12 / measure.recall(config).forward)
    )
    assert len(reports) == len(measure.CANDIDATES[first.device])
    monkeypatch.setattr(measure, "measure", None)  # measuring again would fail
    assert measure.estimate(config) == first
    longer = measure.estimate_cached(config.replace(epochs=20))
    assert longer.seconds == pytest.approx(10 * first.seconds)
    assert measure.estimate_cached(config.replace(width=8)) is None


def test_the_fastest_format_is_chosen_and_written_to_the_run(config, monkeypatch):
    speeds = dict(fp32=100.0, bf16=70.0, fp16=50.0)  # a machine without bf16 instructions
    monkeypatch.setattr(
        measure, "_train_speed", lambda c, n, device, precision, b: speeds[precision]
    )
    monkeypatch.setattr(measure, "SECONDS", 0.05)
    training = Training.create(config)
    training.train()
    assert training.run.info()["precision"] == "fp32"


def test_a_format_the_device_cannot_do_is_left_out(config, monkeypatch):
    def speed(config, classes, device, precision, count):
        if precision != "fp32":
            raise RuntimeError("not implemented for this type")
        return 100.0

    monkeypatch.setattr(measure, "_train_speed", speed)
    monkeypatch.setattr(measure, "SECONDS", 0.05)
    assert measure.estimate(config).precision == "fp32"


def test_a_format_that_was_asked_for_is_the_only_one_measured(config, monkeypatch):
    monkeypatch.setattr(measure, "SECONDS", 0.05)
    assert measure.estimate(config.replace(precision="bf16")).precision == "bf16"
