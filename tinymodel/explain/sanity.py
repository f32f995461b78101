"""Is a heat map about the network at all? It falls apart when the network forgets, or it never was.

Cascading randomisation: the layers are drawn anew one after the other from the top (the classifier) down, and the map is
made again after each (Adebayo et al. 2018, *Sanity Checks for Saliency Maps*, section 3). A map that stays the same shows
the picture, not what was learned.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F

from tinymodel.explain.baselines import edge_map
from tinymodel.explain.gradcam import explain, run_network
from tinymodel.explain.localisation import smooth
from tinymodel.network import BottleneckNet, block_title
from tinymodel.runs import Run

DRAWS = 3  # times that the whole cascade is run with other random weights
ORIGINAL, CLASSIFIER = "original", "classifier"


@dataclass(frozen=True)
class Step:
    """One step of the cascade: this layer and all above it are random."""

    layer: str  # ORIGINAL: nothing is; else CLASSIFIER or a name of `network.blocks()`
    heat: np.ndarray  # float32 (h, w), ≥ 0, of the first draw
    rank_correlation: tuple[
        float, ...
    ]  # with the original map (Spearman), one a draw; NaN of a blank map
    ssim: tuple[float, ...]  # likewise

    @property
    def title(self) -> str:
        names = {ORIGINAL: "As trained", CLASSIFIER: "Classifier"}
        return names.get(self.layer) or block_title(self.layer)


@dataclass(frozen=True)
class SanityCheck:
    """The cascade, and a map that does not depend on the network."""

    steps: tuple[Step, ...]
    target: int  # the label that the maps are about
    edges: np.ndarray  # float32 (64, 64), ≥ 0
    edges_rank_correlation: float  # of the original map with the edges
    edges_ssim: float


def check_run(
    run: Run,
    image: np.ndarray,
    *,
    target: int | None = None,
    layer: str | None = None,
    method: str = "gradcam",
    report: Callable[[float, str], None] | None = None,
) -> SanityCheck:
    """`check` with the run's best weights so far. Only inside a job: its network is shared by all jobs."""
    network, _ = run_network(run)
    choices = dict(target=target, layer=layer, method=method)
    return check(network, image, run.mean, run.std, report=report, **choices)


def check(
    network: BottleneckNet,
    image: np.ndarray,
    mean: Sequence[float],
    std: Sequence[float],
    *,
    target: int | None = None,
    layer: str | None = None,
    method: str = "gradcam",
    draws: int = DRAWS,
    report: Callable[[float, str], None] | None = None,
) -> SanityCheck:
    """Run the cascade on copies of `network`, which stays as it is.

    Args:
        image, mean, std, target, layer, method: As of `tinymodel.explain.gradcam.explain`.
        draws: How many times, with other random weights each.
        report: Called as `report(fraction, message)` before every step; it may raise to stop.
    """
    choices = dict(layer=layer, method=method)
    first = explain(network, image, mean, std, target=target, **choices)
    layers = [CLASSIFIER, *reversed(network.blocks())]
    heats = {name: [] for name in layers}
    for draw in range(draws):
        forgetful = copy.deepcopy(network)
        for done, name in enumerate(randomize(forgetful, seed=draw)):
            if report:
                report(
                    (draw * len(layers) + done) / (draws * len(layers)),
                    f"Draw {draw + 1} of {draws}: forgetting step {done + 1} of {len(layers)}",
                )
            found = explain(forgetful, image, mean, std, target=first.target, **choices)
            heats[name].append(found.heat)
    steps = [Step(ORIGINAL, first.heat, (1.0,), (1.0,))]
    for name, found in heats.items():
        ranks = tuple(rank_correlation(first.heat, heat) for heat in found)
        steps.append(Step(name, found[0], ranks, tuple(ssim(first.heat, heat) for heat in found)))
    edges = edge_map(image[None])[0]
    large = smooth(first.heat[None])[0]
    return SanityCheck(
        tuple(steps), first.target, edges, rank_correlation(large, edges), ssim(first.heat, edges)
    )


def randomize(network: BottleneckNet, seed: int = 0) -> Iterator[str]:
    """Draw the layers anew, in place, from the classifier down to the first block; yields each once it is random."""
    fresh = BottleneckNet(**network.options)
    fresh.initialize(torch.Generator().manual_seed(seed))
    fresh.to(memory_format=torch.channels_last)
    pairs: list[tuple[str, nn.Module, nn.Module]] = [
        (CLASSIFIER, network.classifier, fresh.classifier)
    ]
    blocks = fresh.blocks()
    pairs += [(name, block, blocks[name]) for name, block in reversed(network.blocks().items())]
    for name, block, other in pairs:
        block.load_state_dict(other.state_dict())  # the statistics of the norms as well
        yield name


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's, over the places of two maps of one size, in [-1, 1]; NaN if one is the same everywhere."""
    ranks = [pd.Series(heat.ravel()).rank().to_numpy() for heat in (first, second)]
    if min(rank.std() for rank in ranks) == 0:
        return float("nan")
    return float(np.corrcoef(ranks)[0, 1])


def ssim(first: np.ndarray, second: np.ndarray, window: int = 7) -> float:
    """Structural similarity of two maps of any size, each scaled to its maximum: at most 1; NaN of a blank one.

    Wang et al. 2004, with a square window of 7 pixels at 64×64 and their constants for a range of 1.
    """
    images = []
    for heat in (first, second):
        if not heat.max() > 0:
            return float("nan")
        images.append(torch.from_numpy(smooth(heat[None] / heat.max()))[None])

    def local(values: torch.Tensor) -> torch.Tensor:
        return F.avg_pool2d(values.double(), window, stride=1)

    x, y = images
    mean_x, mean_y = local(x), local(y)
    var_x, var_y = local(x * x) - mean_x**2, local(y * y) - mean_y**2
    covariance = local(x * y) - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    top = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return float((top / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))).mean())
