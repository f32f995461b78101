"""Mixed images: Mixup, CutMix and RICAP on whole batches, with the shares of each class as targets.

Done here rather than by torchvision's transforms, which draw from the one global generator of the process: a resumed run
must draw the same again, whatever other threads do.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tinymodel.config import TrainConfig


def mix(
    images: Tensor, labels: Tensor, classes: int, config: TrainConfig, seed: list[int]
) -> tuple[Tensor, Tensor]:
    """Mix the images of a batch with one another, as `config.mix` says.

    Args:
        images: float (B, 3, h, w).
        labels: int64 (B,).
        seed: What the draw depends on, such as (seed, epoch, step).

    Returns:
        Images of the same shape, and the share of each class in each: float32 (B, classes), whose rows sum to 1.
    """
    random = np.random.default_rng(
        [*seed, 1]
    )  # the 1: another stream than that of the augmentation
    targets = F.one_hot(labels, classes).float()
    mixer = dict(mixup=mixup, cutmix=cutmix, ricap=ricap)[config.mix]
    return mixer(images, targets, config.mix_alpha, random)


def mixup(images: Tensor, targets: Tensor, alpha: float, random) -> tuple[Tensor, Tensor]:
    """Blend each image with its neighbour in the batch (Zhang et al. 2018, equation 1; one share a batch)."""
    share = float(random.beta(alpha, alpha))
    return (
        torch.lerp(images.roll(1, 0), images, share),
        torch.lerp(targets.roll(1, 0), targets, share),
    )


def cutmix(images: Tensor, targets: Tensor, alpha: float, random) -> tuple[Tensor, Tensor]:
    """Paste a part of its neighbour in the batch into each image (Yun et al. 2019, equations 1 and 2)."""
    height, width = images.shape[-2:]
    share = float(random.beta(alpha, alpha))
    half_height, half_width = (0.5 * side * (1 - share) ** 0.5 for side in (height, width))
    y, x = random.uniform(0, height), random.uniform(0, width)
    top, bottom = (int(np.clip(round(v), 0, height)) for v in (y - half_height, y + half_height))
    left, right = (int(np.clip(round(v), 0, width)) for v in (x - half_width, x + half_width))
    images = images.clone()
    images[:, :, top:bottom, left:right] = images.roll(1, 0)[:, :, top:bottom, left:right]
    share = 1 - (bottom - top) * (right - left) / (height * width)  # what the border left of it
    return images, torch.lerp(targets.roll(1, 0), targets, share)


def ricap(images: Tensor, targets: Tensor, alpha: float, random) -> tuple[Tensor, Tensor]:
    """Put random crops of four images together (Takahashi, Matsubara, Uehara 2018, section 3)."""
    height, width = images.shape[-2:]
    y, x = (round(side * float(random.beta(alpha, alpha))) for side in (height, width))
    mixed, shares = torch.empty_like(images), torch.zeros_like(targets)
    corners = ((0, 0, y, x), (0, x, y, width), (y, 0, height, x), (y, x, height, width))
    for number, (top, left, bottom, right) in enumerate(corners):
        rows, columns = bottom - top, right - left
        from_y, from_x = random.integers(height - rows + 1), random.integers(width - columns + 1)
        part = images.roll(number, 0)[:, :, from_y : from_y + rows, from_x : from_x + columns]
        mixed[:, :, top:bottom, left:right] = part
        shares += targets.roll(number, 0) * (rows * columns / (height * width))
    return mixed, shares
