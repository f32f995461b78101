"""The estimate before Start: measured once, remembered, and used for the choice of precision."""

import time

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
    assert any("Measuring fp32" in message for message in reports)
    monkeypatch.setattr(measure, "measure", None)  # measuring again would fail
    assert measure.estimate(config) == first
    longer = measure.estimate_cached(config.replace(epochs=20))
    assert longer.seconds == pytest.approx(10 * first.seconds)
    assert measure.estimate_cached(config.replace(width=8)) is None


def slowed(monkeypatch, seconds: dict[str, float], refused: tuple[str, ...] = ()) -> None:
    """Make training steps take these seconds in each format, and fail in those refused."""

    def step(config, classes, device, precision, count):
        def once(number):
            if precision in refused:
                raise RuntimeError("not implemented for this type")
            time.sleep(seconds[precision] * (20 if number == 1 else 1))  # busy for a moment

        return once

    monkeypatch.setattr(measure, "_training_step", step)
    monkeypatch.setattr(measure, "SECONDS", 0.05)


def test_the_fastest_format_is_chosen_and_written_to_the_run(config, monkeypatch):
    slowed(
        monkeypatch, dict(fp32=0.002, bf16=0.01, fp16=0.02)
    )  # a machine without bf16 instructions
    training = Training.create(config)
    training.train()
    assert training.run.info()["precision"] == "fp32"


def test_a_moment_in_which_the_machine_is_busy_does_not_decide(config, monkeypatch):
    slowed(monkeypatch, dict(fp32=0.01, bf16=0.002, fp16=0.02))
    speed = measure.measure(config, 3)
    assert speed.precision == "bf16"
    assert speed.tried["bf16"] > 8 / 0.01


def test_a_format_the_device_cannot_do_is_left_out(config, monkeypatch):
    slowed(monkeypatch, dict(fp32=0.002), refused=("bf16", "fp16"))
    assert measure.estimate(config).precision == "fp32"
    slowed(monkeypatch, {}, refused=("fp32", "bf16", "fp16"))
    with pytest.raises(RuntimeError, match="not implemented"):
        measure.measure(config, 3)


def test_a_stop_is_obeyed_while_measuring(config, monkeypatch):
    slowed(monkeypatch, dict(fp32=0.01, bf16=0.01))
    training = Training.create(config)
    training.run.request("stop")
    monkeypatch.setattr(measure, "_remember", lambda *_: pytest.fail("it measured to the end"))
    training.train()
    assert training.run.status == "stopped"
    Training.resume(training.run.name).writer.close()


def test_a_format_that_was_asked_for_is_the_only_one_measured(config, monkeypatch):
    monkeypatch.setattr(measure, "SECONDS", 0.05)
    assert measure.estimate(config.replace(precision="bf16")).precision == "bf16"
