"""Guided Dropout (Keshari, Singh and Vatsa, AAAI 2019, doi 10.1609/aaai.v33i01.33014065), for a layer of features.

Plain dropout silences units at random. Here each unit learns how strong it is, and only strong ones are silenced, so
that those which contribute little have to learn something. Of the paper's two variants this is the one that drops at
random within the active region (DR), which it found better than always dropping the strongest (top-k).
"""

import torch
from torch import Tensor, nn

BINS = 10
"""Of the histogram of strengths. Few, because here a layer has 64 to 1024 units and each bin should hold several."""


class GuidedDropout(nn.Module):
    """Scales each feature by its learned strength; in training, silences strong ones: float (B, units) → the same.

    A unit is active if it is stronger than those in the fullest bin of the histogram of strengths. In training each
    active unit is silenced, for each image apart, with probability `rate`, and scaled by 1 / (1 - rate) otherwise, so
    that its mean stays and evaluation needs no correction. Where the paper leaves open what to do with units weaker
    than those of the fullest bin, they count as inactive: what is weak is never silenced. All strengths begin at 1:
    the network then computes what it would without, and nothing is silenced until some units have become stronger.

    Args:
        rate: Probability in [0, 1).

    `generator`, on the CPU, makes the draws: set it before each step from (seed, epoch, step), and a resumed run draws
    what one never interrupted would have drawn. None: PyTorch's global one.
    """

    def __init__(self, units: int, rate: float):
        super().__init__()
        self.rate = rate
        self.strength = nn.Parameter(torch.ones(units))
        self.generator: torch.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        x = x * self.strength
        if not self.training or self.rate == 0:
            return x
        active = self.active()
        drawn = torch.rand(x.shape, generator=self.generator).to(x.device, non_blocking=True)
        return torch.where(active, x / (1 - self.rate), x).masked_fill(
            active & (drawn < self.rate), 0
        )

    def active(self) -> Tensor:
        """Which units may be silenced, bool (units,). On the device: nothing waits for a number."""
        strength = self.strength.detach().abs()
        place = (strength / strength.max().clamp_min(1e-12) * BINS).long().clamp_max(BINS - 1)
        bins = torch.arange(BINS, device=place.device)
        fullest = (place == bins[:, None]).sum(1).argmax()
        return place > fullest

    def extra_repr(self) -> str:
        return f"units={len(self.strength)}, rate={self.rate}"
