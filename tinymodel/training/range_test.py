"""Learning-rate range test: one short training in which the rate rises, to see from where to where it learns.

L. Smith, Cyclical Learning Rates for Training Neural Networks, WACV 2017, section 3.3; the rate rises geometrically, as
in fast.ai's `lr_find`, so that four powers of ten fit into a hundred steps.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tinymodel.config import TrainConfig
from tinymodel.data import open_dataset
from tinymodel.data.batches import IMAGENET_MEAN, IMAGENET_STD, TrainBatches, generator
from tinymodel.data.prepared import Subset
from tinymodel.errors import UserError
from tinymodel.training.measure import choose_formats
from tinymodel.training.recipe import TrainStep, find_device, make_network

STEPS = 100
LOWEST, HIGHEST = 1e-3, 10.0  # of the rate
EXPLODED = 2.0  # times the loss at the beginning: one such loss ends it
LOST = (
    1.1  # times the loss of guessing: so high on average, after something was learned, ends it too
)
WINDOW = 4  # steps to each side that a loss is averaged over
"""To both sides, so that the curve does not lag behind the rate as a running average would."""
LEARNED = 0.98  # of the loss of guessing: a lowest loss above this means that nothing was learned
RULE = (
    "the rate at which the loss has risen back to that of guessing (the logarithm of the number of classes): there all "
    "that was learned is lost again"
)


@dataclass(frozen=True)
class RangeTest:
    """What a range test found. Arrays have one entry a step that was made."""

    field: str  # of `TrainConfig`: the rate that was swept, 'learning_rate' or 'muon_learning_rate'
    rates: np.ndarray
    losses: np.ndarray  # of the training batches
    smoothed: np.ndarray  # averaged over the steps around
    guessing: float  # the loss of a network that knows nothing: ln(classes)
    suggestion: float | None  # two digits; None if no rate learned anything
    diverged: bool  # whether it ended early because of its loss


IGNORED = (
    "preset",
    "epochs",
    "learning_rate",
    "muon_learning_rate",
    "schedule",
    "warmup",
    "weight_averaging",
    "checkpoint_seconds",
    "flip_average",
)
"""Fields of the configuration on which the result does not depend."""


def depends_on(config: TrainConfig) -> tuple[TrainConfig, float]:
    """What the result depends on: equal for two configurations that would give the same.

    With Muon that is also how large SGD's rate is beside Muon's: both rise together, as they do in training.
    """
    plain = TrainConfig(dataset=config.dataset)
    same = config.replace(**{name: getattr(plain, name) for name in IGNORED})
    muon = config.optimizer == "muon"
    proportion = config.learning_rate / config.muon_learning_rate if muon else 1.0
    return same, float(f"{proportion:.2g}")


def range_test(
    config: TrainConfig, report: Callable[[float, str], None] | None = None
) -> RangeTest:
    """Train a fresh network for up to a hundred steps while the rate rises from 0.001 to 10, or until it diverges.

    Args:
        report: Called as `report(fraction, message)` before every step; it may raise to stop.

    Raises:
        UserError: The dataset, its classes or the device are not there, or not even the first loss is a number.
    """
    report = report or (lambda fraction, message: None)
    field = "muon_learning_rate" if config.optimizer == "muon" else "learning_rate"
    peak = getattr(config, field)
    rates = np.geomspace(LOWEST, HIGHEST, STEPS)
    subset = open_dataset(config.dataset).subset(
        config.classes, config.hold_out_classes, config.per_class
    )
    guessing = math.log(len(subset.classes))
    losses: list[float] = []
    for step, loss in enumerate(_losses(config, subset, rates / peak, report)):
        losses.append(loss)
        report(
            (step + 1) / STEPS, f"Step {step + 1} of up to {STEPS}: learning rate {rates[step]:.2g}"
        )
        if has_diverged(losses, guessing):
            break
    diverged = len(losses) < STEPS
    found = np.array([loss for loss in losses if np.isfinite(loss)])
    if not len(found):
        raise UserError("The very first loss is no number: try the number format fp32.")
    smoothed = smooth(found)
    rates = rates[: len(found)]
    suggestion = suggest(rates, smoothed, guessing)
    return RangeTest(field, rates, found, smoothed, guessing, suggestion, diverged)


def _losses(
    config: TrainConfig, subset: Subset, shares: np.ndarray, report: Callable
) -> Iterator[float]:
    """The loss of one batch after the other, each at its share of the rates; NaN once it is not finite."""
    device = find_device(config.device)
    formats = dict(precision=config.precision, memory_format=config.memory_format)
    if "auto" in formats.values():
        classes = len(subset.classes)
        formats = choose_formats(config, classes, lambda done, message: report(0.0, message))
    imagenet = config.normalization == "imagenet"
    mean, std = (
        (IMAGENET_MEAN, IMAGENET_STD) if imagenet else (subset.dataset.mean, subset.dataset.std)
    )
    batches = TrainBatches(subset, config, mean, std, device)
    network = make_network(config, len(subset.classes))
    learner = TrainStep(network, config, device, formats["precision"], formats["memory_format"])
    for number, share in enumerate(shares):
        epoch, step = divmod(number, batches.steps)
        if network.dropout is not None:
            network.dropout.generator = generator(config.seed, epoch, step, 0, 3)
        loss, _ = learner(*batches.batch(epoch, step), float(share))
        yield loss.item() if learner.healthy else np.nan


def has_diverged(losses: Sequence[float], guessing: float) -> bool:
    """Whether nothing is to be seen at larger rates: the loss exploded, or what was learned is lost."""
    if not np.isfinite(losses[-1]) or losses[-1] > EXPLODED * np.mean(losses[: 2 * WINDOW]):
        return True
    learned = smooth(np.array(losses)).min() < LEARNED * guessing
    return learned and np.mean(losses[-2 * WINDOW :]) > LOST * guessing


def smooth(losses: np.ndarray) -> np.ndarray:
    """Each loss averaged with up to four before and after it."""
    weights = np.ones(2 * WINDOW + 1)
    total = np.convolve(losses, weights, "full")[WINDOW : WINDOW + len(losses)]
    count = np.convolve(np.ones(len(losses)), weights, "full")[WINDOW : WINDOW + len(losses)]
    return total / count


def suggest(rates: np.ndarray, smoothed: np.ndarray, guessing: float) -> float | None:
    """The rate at which the loss, after its lowest point, is back at `guessing`; where it never is, that of the lowest.

    It is meant for the peak of a schedule that warms up, which reaches it after the network has learned something.
    The usual tenth of the rate at the lowest loss is for schedules without, and far too small here: on ten genuine
    classes the classroom recipe is good at 0.1 with Muon and 0.3 with SGD; the lowest loss is at 0.02 and 0.03, guessing
    is reached at 0.045 and 0.15.
    """
    if len(smoothed) < 2 * WINDOW or smoothed.min() > LEARNED * guessing:
        return None
    lowest = int(smoothed.argmin())
    lost = np.flatnonzero(smoothed[lowest:] >= guessing)
    return float(f"{rates[lowest + lost[0] if len(lost) else lowest]:.2g}")
