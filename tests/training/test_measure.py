"""The estimate before Start: measured once, remembered, and used for the choice of precision."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from tinymodel.config import TrainConfig
from tinymodel.precision import MEMORY_FORMATS
from tinymodel.training import measure
from tinymodel.training.loop import Training
from tinymodel.training.recipe import TrainStep, make_network


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
    assert any(message.startswith("Measuring") and "fp32" in message for message in reports)
    monkeypatch.setattr(measure, "measure", None)  # measuring again would fail
    assert measure.estimate(config) == first
    longer = measure.estimate_cached(config.replace(epochs=20))
    assert longer.seconds == pytest.approx(10 * first.seconds)
    assert measure.estimate_cached(config.replace(width=8)) is None


def slowed(monkeypatch, seconds: dict[str, float], refused=(), busy: float = 1) -> list[str]:
    """Make training steps take these seconds in each format, or fail; returns the formats of the steps taken.

    `busy` is how many times longer a step takes in the first turn that counts.
    """
    taken, now = [], [0.0]

    def perf_counter():  # a clock of its own: however busy this machine is, the test says the same
        now[0] += 1e-7
        return now[0]

    def step(config, classes, device, format, count):
        def once(number):
            taken.append(str(format))
            if format.precision in refused:
                raise RuntimeError("not implemented for this type")
            now[0] += seconds[str(format)] * (busy if number == 1 else 1)

        return once

    monkeypatch.setattr(measure, "time", SimpleNamespace(perf_counter=perf_counter))
    monkeypatch.setattr(measure, "_training_step", step)
    monkeypatch.setattr(measure, "SECONDS", 0.05)
    return taken


NO_BF16 = {  # a machine without bf16 instructions
    "fp32 channels-last": 0.002,
    "fp32 contiguous": 0.003,
    "bf16 channels-last": 0.01,
    "bf16 contiguous": 0.02,
}


def test_the_fastest_formats_are_chosen_and_written_to_the_run(config, monkeypatch):
    slowed(monkeypatch, NO_BF16)
    training = Training.create(config)
    assert training.run.info()["memory_format"] == "auto"
    training.train()
    info = training.run.info()
    assert (info["precision"], info["memory_format"]) == ("fp32", "channels-last")
    assert training.learner.network.first.conv2.weight.is_contiguous(
        memory_format=torch.channels_last
    )

    slowed(monkeypatch, NO_BF16 | {"fp32 contiguous": 0.001})
    training = Training.create(config.replace(batch_size=9))
    training.train()
    info = training.run.info()
    assert (info["precision"], info["memory_format"]) == ("fp32", "contiguous")
    assert training.learner.network.first.conv2.weight.is_contiguous()


@pytest.mark.parametrize("number", range(4))
def test_whichever_format_is_fastest_is_chosen(config, monkeypatch, number):
    fastest = list(NO_BF16)[number]
    slowed(monkeypatch, dict.fromkeys(NO_BF16, 0.004) | {fastest: 0.002})
    speed = measure.measure(config, 3)
    assert f"{speed.precision} {speed.memory_format}" == fastest
    assert set(speed.tried) == set(NO_BF16)


def test_formats_that_are_as_fast_give_way_to_the_more_exact(config, monkeypatch):
    slowed(monkeypatch, dict.fromkeys(NO_BF16, 0.004) | {"bf16 channels-last": 0.0039})
    assert measure.choose_formats(config, 3)["precision"] == "fp32"


def test_a_moment_in_which_the_machine_is_busy_does_not_decide(config, monkeypatch):
    slowed(monkeypatch, dict.fromkeys(NO_BF16, 0.01) | {"bf16 channels-last": 0.002}, busy=20)
    speed = measure.measure(config, 3)
    assert speed.precision == "bf16"
    assert speed.tried["bf16 channels-last"] > 8 / 0.01


def test_a_format_that_stays_far_behind_is_not_tried_on(config, monkeypatch):
    taken = slowed(monkeypatch, NO_BF16 | {"bf16 contiguous": 0.01})
    measure.measure(config, 3)
    assert taken.count("bf16 contiguous") == 3
    assert taken.count("fp32 channels-last") > 3


def test_a_format_the_device_cannot_do_is_left_out(config, monkeypatch):
    slowed(monkeypatch, NO_BF16, refused=("bf16", "fp16"))
    assert measure.estimate(config).precision == "fp32"
    slowed(monkeypatch, {}, refused=("fp32", "bf16", "fp16"))
    with pytest.raises(RuntimeError, match="not implemented"):
        measure.measure(config, 3)


def test_a_stop_is_obeyed_while_measuring(config, monkeypatch):
    slowed(monkeypatch, dict.fromkeys(NO_BF16, 0.01))
    training = Training.create(config)
    training.run.request("stop")
    monkeypatch.setattr(measure, "_remember", lambda *_: pytest.fail("it measured to the end"))
    training.train()
    assert training.run.status == "stopped"
    Training.resume(training.run.name).writer.close()


@pytest.mark.parametrize(
    ("wanted", "tried"),
    [
        (dict(precision="bf16"), {"bf16 channels-last", "bf16 contiguous"}),
        (dict(memory_format="contiguous"), {"fp32 contiguous", "bf16 contiguous"}),
        (dict(precision="fp32", memory_format="contiguous"), {"fp32 contiguous"}),
    ],
)
def test_what_was_asked_for_is_not_a_matter_of_measuring(config, monkeypatch, wanted, tried):
    slowed(monkeypatch, NO_BF16)
    config = config.replace(**wanted)
    found = measure.estimate(config)
    assert set(measure.recall(config).tried) == tried
    assert all(getattr(found, name) == value for name, value in wanted.items())


def test_a_run_that_was_told_both_measures_nothing(config, monkeypatch):
    monkeypatch.setattr("tinymodel.training.loop.choose_formats", None)
    training = Training.create(config.replace(precision="bf16", memory_format="contiguous"))
    training.train()
    assert training.run.info()["memory_format"] == "contiguous"
    assert training.run.status == "finished"


def test_real_steps_are_timed_in_every_format(config, monkeypatch):
    monkeypatch.setattr(measure, "SECONDS", 0.05)
    speed = measure.measure(config, 3)
    assert set(speed.tried) == set(NO_BF16)
    assert min(speed.tried.values()) > 0


def test_a_compiled_network_is_tried_on_cuda_and_taken_only_if_it_is_faster(config, monkeypatch):
    monkeypatch.setattr(measure, "find_device", lambda wanted: "cuda")
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "simulated")
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    monkeypatch.setattr(measure, "_forward_pass", lambda *_: lambda number: None)
    plain = {
        f"{precision} {layout}": 0.01
        for precision in ("fp32", "bf16", "fp16")
        for layout in ("channels-last", "contiguous")
    } | {"fp16 channels-last": 0.004}

    def chosen(seconds, **changes):
        taken = slowed(monkeypatch, plain | {"fp16 channels-last compiled": seconds})
        speed = measure.measure(config.replace(**changes), 3)
        assert speed.precision == "fp16"
        assert any("compiled" in name for name in taken) is bool(changes)
        return speed.compiled

    assert chosen(0.002, compile=True)
    assert not chosen(0.006, compile=True)
    assert not chosen(0.002)


def test_both_memory_formats_learn_the_same_up_to_rounding():
    config = TrainConfig(dataset="x", width=4, optimizer="sgd", learning_rate=0.02)
    generator = torch.Generator().manual_seed(0)
    images, labels = torch.randn(12, 3, 64, 64, generator=generator), torch.arange(12) % 3
    losses = []
    for memory_format in ("channels-last", "contiguous"):
        step = TrainStep(make_network(config, 3), config, "cpu", "fp32", memory_format)
        seen = []
        step.network.stage1.register_forward_hook(lambda *parts, seen=seen: seen.append(parts[2]))
        losses.append([step(images, labels, 1.0)[0].item() for _ in range(3)])
        assert seen[0].is_contiguous(memory_format=MEMORY_FORMATS[memory_format])
    assert losses[0][0] == pytest.approx(losses[1][0], rel=1e-5)  # rounding grows with the steps
    assert losses[0] == pytest.approx(losses[1], rel=0.02)
    assert losses[0][2] < 0.9 * losses[0][0]


def test_a_run_that_was_trained_here_corrects_the_estimate(config, monkeypatch):
    monkeypatch.setattr(measure, "SECONDS", 0.05)
    speed = measure.measure(config, 3)
    measure._remember(config, replace(speed, train=1.0, forward=3.0))  # a busy machine: far off
    assert measure.estimate_cached(config).seconds == pytest.approx(2 * (36 / 1 + 12 / 3))
    training = Training.create(config, "teacher")
    training.train()
    took = training.run.epochs()["seconds"].sum()
    known = measure.estimate_cached(config)
    assert known.run == "teacher"
    assert known.seconds == pytest.approx(took, rel=0.5)  # the median of two epochs
    formats = measure.choose_formats(config, 3)
    assert formats["precision"] == speed.precision  # what was chosen by measuring stays

    measure.measure(config, 3)  # somebody asks for it: the newest counts
    assert measure.estimate_cached(config).run == ""


def test_runs_of_other_formats_or_without_an_epoch_teach_the_estimate_nothing(config, monkeypatch):
    monkeypatch.setattr(measure, "SECONDS", 0.05)
    training = Training.create(config, "elsewhere")
    training.writer.update(precision="bf16", memory_format="contiguous")  # as chosen elsewhere
    measure.learn(training.run)
    assert measure.recall(config) is None
    measure.measure(config, 3)
    before = measure.recall(config)
    measure.learn(training.run)  # no epoch yet
    assert measure.recall(config) == before
    training.close()


def test_epochs_of_small_images_count_by_their_area(small_dataset, monkeypatch):
    config = TrainConfig(
        dataset="small",
        width=4,
        epochs=10,
        start_side=32,
        precision="fp32",
        memory_format="channels-last",
    )
    training = Training.create(config, "growing")
    for epoch in range(10):  # 100 images a second at full size, 300 only forward
        area = (config.image_side(epoch) / 64) ** 2
        seconds = area * 36 / 100 + 12 / 300
        training.writer.append("epochs", [[epoch + 1, 0.1, seconds, 1, 0.5, 1, 0.5, 100]])
    measure.learn(training.run)
    training.close()
    assert measure.estimate_cached(config).images_per_second == pytest.approx(100, rel=0.01)
