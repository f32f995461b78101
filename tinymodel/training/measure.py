"""How fast this machine trains the real network: which formats are fastest, and how long a run will take."""

import json
import platform
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from typing import NamedTuple

import numpy as np
import torch

from tinymodel.config import TrainConfig
from tinymodel.data import open_dataset
from tinymodel.data.batches import IMAGENET_MEAN, IMAGENET_STD, augment, generator, normalize
from tinymodel.data.prepared import SIDE
from tinymodel.paths import runs_folder
from tinymodel.precision import MEMORY_FORMATS, autocast
from tinymodel.runs import Run, write_atomically
from tinymodel.training.recipe import TrainStep, find_device, make_network

PRECISIONS = {"cpu": ("fp32", "bf16"), "cuda": ("fp32", "bf16", "fp16"), "mps": ("fp32", "fp16")}
# On an Apple GPU channels-last convolutions have been wrong without a word (pytorch issue 180984): only if asked for.
LAYOUTS = {"mps": ("contiguous",)}
SECONDS = 1.2  # for each candidate
FORWARD = 3.0  # times as fast as a training step is a forward pass, where it was not measured
MARGIN = 1.05  # what a shorter format must gain to be worth its rounding


class Format(NamedTuple):
    """How the network is computed: one candidate."""

    precision: str
    memory_format: str
    compiled: bool = False

    def __str__(self) -> str:
        return f"{self.precision} {self.memory_format}{' compiled' if self.compiled else ''}"


@dataclass(frozen=True)
class Speed:
    """What was measured: images per second, of training steps and of plain forward passes."""

    device: str
    precision: str
    memory_format: str
    compiled: bool
    train: float
    forward: float
    tried: dict[str, float]  # 'bf16 channels-last' → images per second of training
    run: str = ""  # the run that was as fast as this, if it was not measured for the purpose


@dataclass(frozen=True)
class Estimate:
    """How long a run will take here: seconds for all of it, images per second while it trains."""

    seconds: float
    images_per_second: float
    precision: str
    memory_format: str
    device: str
    run: str = ""  # from which this is known, as of `Speed`


def estimate(config: TrainConfig, report: Callable[[float, str], None] | None = None) -> Estimate:
    """Measure a few steps of the real network, unless that was done before, and work out the run's length.

    Takes two to ten seconds the first time for a device, network and batch size.

    Raises:
        UserError: The dataset, its classes or the device are not there.
    """
    subset = open_dataset(config.dataset).subset(
        config.classes, config.hold_out_classes, config.per_class
    )
    speed = recall(config) or measure(config, len(subset.classes), report)
    return _estimate(config, speed, len(subset.train), len(subset.val))


def estimate_cached(config: TrainConfig) -> Estimate | None:
    """The estimate if it needs no measuring, at once; else None. Raises as `estimate`."""
    speed = recall(config)
    if speed is None:
        return None
    subset = open_dataset(config.dataset).subset(
        config.classes, config.hold_out_classes, config.per_class
    )
    return _estimate(config, speed, len(subset.train), len(subset.val))


def _estimate(config: TrainConfig, speed: Speed, train: int, val: int) -> Estimate:
    areas = sum(_area(config, epoch) for epoch in range(config.epochs))
    seconds = areas * train / speed.train + config.epochs * val / speed.forward
    formats = speed.precision, speed.memory_format, speed.device
    return Estimate(seconds, speed.train, *formats, speed.run)


def _area(config: TrainConfig, epoch: int) -> float:
    """Of the images in this epoch (from 0), in [0, 1]: smaller ones take less, by their area."""
    return (config.image_side(epoch) / SIDE) ** 2


def choose_formats(
    config: TrainConfig, classes: int, report: Callable[[float, str], None] | None = None
) -> dict[str, str | bool]:
    """The fastest `precision`, `memory_format` and whether it is `compiled`, of those that the configuration allows.

    Measured once and remembered.
    """
    speed = recall(config) or measure(config, classes, report)
    return {name: getattr(speed, name) for name in Format._fields}


def measure(
    config: TrainConfig, classes: int, report: Callable[[float, str], None] | None = None
) -> Speed:
    """Time training steps in every format that is allowed, augmentation and optimiser included."""
    device = find_device(config.device)
    count = config.batch_size
    if device == "cpu":  # a smaller batch says the same, sooner
        count = min(count, max(8, round(64 * (16 / config.width) ** 2)))

    def images_per_second(step, formats: Iterable[Format]) -> dict[Format, float]:
        candidates = {item: step(config, classes, device, item, count) for item in formats}
        return {item: count / taken for item, taken in _fastest(candidates, device, report).items()}

    tried = images_per_second(_training_step, _candidates(config, device))
    chosen = _best(tried)
    if config.compile and device == "cuda":
        compiled = chosen._replace(compiled=True)
        tried |= images_per_second(_training_step, [chosen, compiled])
        chosen = _best({item: tried[item] for item in (chosen, compiled) if item in tried})
    forward = images_per_second(_forward_pass, [chosen])[chosen]
    names = {str(item): value for item, value in tried.items()}
    speed = Speed(device, *chosen, tried[chosen], forward, names)
    _remember(config, speed)
    return speed


def learn(run: Run) -> None:
    """Remember how fast a run that was trained here was: it knows better than a measurement of seconds.

    A measurement while the machine is busy with something else would stay wrong for ever. The newest counts, whichever
    it is. Nothing happens before the first epoch has ended, or for a run whose formats were chosen on another machine.
    """
    info, config, epochs = run.info(), run.config, run.epochs()
    speed = recall(config)
    if speed is None:
        if "auto" in (config.precision, config.memory_format) or config.compile:
            return
        speed = Speed(info["device"], *(info.get(name) for name in Format._fields), 1, FORWARD, {})
    if not len(epochs) or any(info.get(name) != getattr(speed, name) for name in Format._fields):
        return
    ratio = speed.forward / speed.train
    # An epoch is its training images, by their area, and its validation images, which only go forward.
    areas = [_area(config, int(epoch) - 1) for epoch in epochs["epoch"]]
    images = np.array(areas) * info["train_images"] + info["val_images"] / ratio
    train = float(np.median(images / epochs["seconds"].clip(lower=1e-3)))
    _remember(config, replace(speed, train=train, forward=ratio * train, run=run.name))


def _candidates(config: TrainConfig, device: str) -> list[Format]:
    """In the order in which they are preferred: the more exact first."""
    wanted = config.precision, config.memory_format
    precisions = PRECISIONS[device] if wanted[0] == "auto" else wanted[:1]
    layouts = LAYOUTS.get(device, tuple(MEMORY_FORMATS)) if wanted[1] == "auto" else wanted[1:]
    return [Format(precision, layout) for precision in precisions for layout in layouts]


def _best(tried: dict[Format, float]) -> Format:
    """The fastest, or one before it that is as fast within the noise."""
    fastest = max(tried.values())
    return next(item for item, value in tried.items() if value * MARGIN >= fastest)


def _training_step(config, classes, device, format, count) -> Callable[[int], None]:
    network = make_network(config, classes)
    step = TrainStep(network, config, device, format.precision, format.memory_format)
    if format.compiled:
        step.forward = torch.compile(step.forward)
    images, labels = _pictures(device, count), (torch.arange(count) % classes).to(device)

    def once(number: int) -> None:
        colours = augment(images, config, generator(0, 0, number))
        step(normalize(colours, IMAGENET_MEAN, IMAGENET_STD), labels, 1e-3)

    return once


def _forward_pass(config, classes, device, format, count) -> Callable[[int], None]:
    layout = MEMORY_FORMATS[format.memory_format]
    network = make_network(config, classes).to(device, memory_format=layout).eval()
    images = _pictures(device, count)

    def once(number: int) -> None:
        with torch.inference_mode(), autocast(device, format.precision):
            network(normalize(images, IMAGENET_MEAN, IMAGENET_STD))

    return once


def _pictures(device: str, count: int) -> torch.Tensor:
    return torch.randint(0, 256, (count, SIDE, SIDE, 3), dtype=torch.uint8).to(device)


def _fastest(
    candidates: dict[Format, Callable[[int], None]],
    device: str,
    report: Callable[[float, str], None] | None,
) -> dict[Format, float]:
    """Seconds of one call of each candidate: the shortest of several, taken in turns.

    In turns and the shortest, because a machine that is busy for a moment must not decide what is remembered for ever.
    A candidate that the device cannot do is left out; if none is left, its error is raised. One that stays far behind
    is not called again.
    """
    wait = {"cuda": torch.cuda.synchronize, "mps": torch.mps.synchronize}.get(device, lambda: None)
    times: dict[Format, list[float]] = {}
    failures: list[Exception] = []
    behind: set[Format] = set()
    began = time.perf_counter()
    for turn in range(20):
        for item, once in candidates.items():
            if item in behind or (turn and item not in times):
                continue
            if report:
                done = (time.perf_counter() - began) / (SECONDS * len(candidates))
                report(
                    min(1.0, done),
                    f"Measuring how fast this machine's {device.upper()} is ({item})",
                )
            try:
                wait()
                before = time.perf_counter()
                once(turn)
                wait()
            except (RuntimeError, TypeError) as error:  # this device cannot do that format
                failures.append(error)
                times.pop(item, None)
                continue
            times.setdefault(item, []).append(time.perf_counter() - before)
        if not times:
            raise failures[0]
        # The first turn warms up; two more at least.
        if turn < 2:
            continue
        shortest = {item: min(taken[1:]) for item, taken in times.items()}
        limit = min(shortest.values()) * (1 + 3 / turn)  # 2.5 times as long after two turns
        behind = {item for item, taken in shortest.items() if taken > limit}
        if time.perf_counter() - began > SECONDS * (len(times) - len(behind)):
            break
    return shortest


def _key(config: TrainConfig) -> str:
    device = find_device(config.device)
    name = (
        torch.cuda.get_device_name()
        if device == "cuda"
        else platform.processor() or platform.machine()
    )
    network = (config.width, config.norm, config.convolution, config.skip, config.optimizer)
    parts = (
        device,
        name,
        torch.get_num_threads(),
        torch.__version__,
        config.precision,
        config.memory_format,
        config.compile,
        config.batch_size,
    )
    augmentation = (config.affine > 0, config.brightness_contrast > 0)
    return " ".join(map(str, parts + network + augmentation))


def _file():
    return runs_folder() / ".speed.json"


def _all() -> dict:
    try:
        return json.loads(_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def recall(config: TrainConfig) -> Speed | None:
    """What was measured earlier for this device, network, batch size and the formats allowed."""
    try:
        return Speed(**_all()[_key(config)])
    except (KeyError, TypeError):
        return None


def _remember(config: TrainConfig, speed: Speed) -> None:
    _file().parent.mkdir(parents=True, exist_ok=True)
    write_atomically(_file(), json.dumps(_all() | {_key(config): asdict(speed)}, indent=1))
