"""How fast this machine trains the real network: which number format is fastest, and how long a run will take."""

import json
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch

from tinymodel.config import TrainConfig
from tinymodel.data import open_dataset
from tinymodel.data.batches import IMAGENET_MEAN, IMAGENET_STD, augment, generator, normalize
from tinymodel.data.prepared import SIDE
from tinymodel.paths import runs_folder
from tinymodel.precision import autocast
from tinymodel.runs import write_atomically
from tinymodel.training.recipe import TrainStep, find_device, make_network

CANDIDATES = {"cpu": ("fp32", "bf16"), "cuda": ("fp32", "bf16", "fp16"), "mps": ("fp32", "fp16")}
SECONDS = 1.2  # for each candidate


@dataclass(frozen=True)
class Speed:
    """What was measured: images per second, of training steps and of plain forward passes."""

    device: str
    precision: str
    train: float
    forward: float
    tried: dict[str, float]  # precision → images per second of training


@dataclass(frozen=True)
class Estimate:
    """How long a run will take here: seconds for all of it, images per second while it trains."""

    seconds: float
    images_per_second: float
    precision: str
    memory_format: str
    device: str


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
    seconds = config.epochs * (train / speed.train + val / speed.forward)
    return Estimate(seconds, speed.train, speed.precision, "channels-last", speed.device)


def choose_precision(
    config: TrainConfig, classes: int, report: Callable[[float, str], None] | None = None
) -> str:
    """The fastest number format for this configuration here, measured once and remembered."""
    return (recall(config) or measure(config, classes, report)).precision


def measure(
    config: TrainConfig, classes: int, report: Callable[[float, str], None] | None = None
) -> Speed:
    """Time training steps in every number format (or the one wanted), augmentation and optimiser included."""
    device = find_device(config.device)
    count = config.batch_size
    if device == "cpu":  # a smaller batch says the same, sooner
        count = min(count, max(8, round(64 * (16 / config.width) ** 2)))
    candidates = CANDIDATES[device] if config.precision == "auto" else (config.precision,)
    steps = {name: _training_step(config, classes, device, name, count) for name in candidates}
    tried = {name: count / seconds for name, seconds in _fastest(steps, device, report).items()}
    precision = max(tried, key=tried.__getitem__)
    forward = {"forward": _forward_pass(config, classes, device, precision, count)}
    forward_speed = count / _fastest(forward, device, report)["forward"]
    speed = Speed(device, precision, tried[precision], forward_speed, tried)
    _remember(config, speed)
    return speed


def _training_step(config, classes, device, precision, count) -> Callable[[int], None]:
    step = TrainStep(make_network(config, classes), config, device, precision)
    images, labels = _pictures(device, count), (torch.arange(count) % classes).to(device)

    def once(number: int) -> None:
        colours = augment(images, config, generator(0, 0, number))
        step(normalize(colours, IMAGENET_MEAN, IMAGENET_STD), labels, 1e-3)

    return once


def _forward_pass(config, classes, device, precision, count) -> Callable[[int], None]:
    network = make_network(config, classes).to(device, memory_format=torch.channels_last).eval()
    images = _pictures(device, count)

    def once(number: int) -> None:
        with torch.inference_mode(), autocast(device, precision):
            network(normalize(images, IMAGENET_MEAN, IMAGENET_STD))

    return once


def _pictures(device: str, count: int) -> torch.Tensor:
    return torch.randint(0, 256, (count, SIDE, SIDE, 3), dtype=torch.uint8).to(device)


def _fastest(
    candidates: dict[str, Callable[[int], None]],
    device: str,
    report: Callable[[float, str], None] | None,
) -> dict[str, float]:
    """Seconds of one call of each candidate: the shortest of several, taken in turns.

    In turns and the shortest, because a machine that is busy for a moment must not decide what is remembered for ever.
    A candidate that the device cannot do is left out; if none is left, its error is raised.
    """
    wait = {"cuda": torch.cuda.synchronize, "mps": torch.mps.synchronize}.get(device, lambda: None)
    times: dict[str, list[float]] = {}
    failures: list[Exception] = []
    began = time.perf_counter()
    for turn in range(20):
        for name, once in candidates.items():
            if turn and name not in times:
                continue
            if report:
                done = (time.perf_counter() - began) / (SECONDS * len(candidates))
                report(min(1.0, done), f"Measuring {name} on this machine's {device.upper()}")
            try:
                wait()
                before = time.perf_counter()
                once(turn)
                wait()
            except (RuntimeError, TypeError) as error:  # this device cannot do that format
                failures.append(error)
                times.pop(name, None)
                continue
            times.setdefault(name, []).append(time.perf_counter() - before)
        if not times:
            raise failures[0]
        # The first turn warms up; two more at least.
        if turn >= 2 and time.perf_counter() - began > SECONDS * len(times):
            break
    return {name: min(taken[1:]) for name, taken in times.items()}


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
    """What was measured earlier for this device, network, batch size and number format."""
    try:
        return Speed(**_all()[_key(config)])
    except (KeyError, TypeError):
        return None


def _remember(config: TrainConfig, speed: Speed) -> None:
    _file().parent.mkdir(parents=True, exist_ok=True)
    write_atomically(_file(), json.dumps(_all() | {_key(config): asdict(speed)}, indent=1))
