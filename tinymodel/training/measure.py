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
SECONDS = 1.0  # of timed steps for each candidate


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


def choose_precision(config: TrainConfig, classes: int) -> str:
    """The fastest number format for this configuration here, measured once and remembered."""
    return (recall(config) or measure(config, classes)).precision


def measure(
    config: TrainConfig, classes: int, report: Callable[[float, str], None] | None = None
) -> Speed:
    """Time training steps in every number format (or the one wanted), augmentation and optimiser included."""
    device = find_device(config.device)
    count = config.batch_size
    if device == "cpu":  # a smaller batch says the same, sooner
        count = min(count, max(8, round(64 * (16 / config.width) ** 2)))
    candidates = CANDIDATES[device] if config.precision == "auto" else (config.precision,)
    tried, failures = {}, []
    for number, precision in enumerate(candidates):
        if report:
            report(
                number / len(candidates),
                f"Measuring {precision} on this machine's {device.upper()}",
            )
        try:
            tried[precision] = _train_speed(config, classes, device, precision, count)
        except (RuntimeError, TypeError) as error:  # this device cannot do that format
            failures.append(error)
    if not tried:
        raise failures[0]
    precision = max(tried, key=tried.__getitem__)
    forward = _forward_speed(config, classes, device, precision, count)
    speed = Speed(device, precision, tried[precision], forward, tried)
    _remember(config, speed)
    return speed


def _train_speed(config, classes, device, precision, count) -> float:
    step = TrainStep(make_network(config, classes), config, device, precision)
    images = torch.randint(0, 256, (count, SIDE, SIDE, 3), dtype=torch.uint8).to(device)
    labels = (torch.arange(count) % classes).to(device)

    def once(number: int) -> None:
        colours = augment(images, config, generator(0, 0, number))
        step(normalize(colours, IMAGENET_MEAN, IMAGENET_STD), labels, 1e-3)

    return count / _seconds(once, device)


def _forward_speed(config, classes, device, precision, count) -> float:
    network = make_network(config, classes).to(device, memory_format=torch.channels_last).eval()
    images = torch.randint(0, 256, (count, SIDE, SIDE, 3), dtype=torch.uint8).to(device)

    def once(number: int) -> None:
        with torch.inference_mode(), autocast(device, precision):
            network(normalize(images, IMAGENET_MEAN, IMAGENET_STD))

    return count / _seconds(once, device)


def _seconds(once: Callable[[int], None], device: str) -> float:
    """Of one call: the median after a warm-up."""
    wait = {"cuda": torch.cuda.synchronize, "mps": torch.mps.synchronize}.get(device, lambda: None)
    times: list[float] = []
    for number in range(50):
        wait()
        began = time.perf_counter()
        once(number)
        wait()
        times.append(time.perf_counter() - began)
        if len(times) >= 3 and sum(times[1:]) > SECONDS:
            break
    return sorted(times[1:])[(len(times) - 1) // 2]


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
