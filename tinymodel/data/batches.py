"""Batches on the device: the order of an epoch, and augmentation of whole batches, each image with its own draw.

Everything random comes from (seed, epoch, step), so a resumed run needs no generator state.
"""

import math
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tinymodel.config import TrainConfig
from tinymodel.data.mixing import mix
from tinymodel.data.prepared import SIDE, Subset

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
SHIFT, SCALE, ROTATION = 0.15, 0.15, 7.0  # affine: fractions of the side, of the size; degrees
BRIGHTNESS, CONTRAST = 0.2, 0.2  # factors in 1 ± this
HOLE = (16, 32)  # pixels, smallest and largest side of the coarse-dropout square


def order(seed: int, epoch: int, count: int) -> np.ndarray:
    """The order in which an epoch (from 0) shows `count` images: a permutation, int64."""
    return np.random.default_rng([seed, epoch]).permutation(count)


def generator(*key: int) -> torch.Generator:
    """The random draws of one batch by (seed, epoch, step …), on the CPU whatever the device: the same everywhere."""
    state = np.random.SeedSequence(key).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state) >> 1)


def normalize(images: Tensor, mean: tuple, std: tuple) -> Tensor:
    """uint8 (B, h, w, 3), or colours in [0, 1] as float (B, 3, h, w) → normalised float32 (B, 3, h, w).

    The result lies in channels-last memory.
    """
    scale = 1 / 255 if images.dtype == torch.uint8 else 1.0
    if images.dtype == torch.uint8:
        images = images.permute(0, 3, 1, 2)
    mean, std = (torch.tensor(v, device=images.device).view(1, 3, 1, 1) for v in (mean, std))
    images = images.to(torch.float32, memory_format=torch.channels_last)
    return images * (scale / std) - mean / std


@dataclass
class Draws:
    """What happens to each of B images: one entry each, on the CPU. None: that transform is off."""

    shift: Tensor | None = (
        None  # int64 (B, 2): the crop begins here, in [-padding, padding], x then y
    )
    flip: Tensor | None = None  # bool (B,)
    affine: Tensor | None = (
        None  # float (B, 4): degrees, shift x, shift y in pixels, scale; (0, 0, 0, 1) is none
    )
    colour: Tensor | None = None  # float (B, 2): brightness factor, contrast factor; 1 is none
    hole: Tensor | None = None  # int64 (B, 3): left, top, side in pixels; side 0 is none

    def part(self, rows: slice) -> "Draws":
        """The draws of some of the images."""
        values = (getattr(self, item.name) for item in fields(self))
        return Draws(*(value if value is None else value[rows] for value in values))


def draw(count: int, config: TrainConfig, generator: torch.Generator) -> Draws:
    """Draw what happens to `count` images. Each transform is drawn whether or not the others are on."""

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator)

    def chosen(probability: float) -> Tensor:
        return uniform(count) < probability

    draws = Draws()
    if config.crop_padding:
        reach = 2 * config.crop_padding + 1
        draws.shift = (uniform(count, 2) * reach).long() - config.crop_padding
    if config.flip:
        draws.flip = chosen(config.flip)
    if config.affine:
        apart = uniform(count, 4) * 2 - 1
        draws.affine = apart * torch.tensor([ROTATION, SHIFT * SIDE, SHIFT * SIDE, SCALE])
        draws.affine[:, 3] += 1
        draws.affine[~chosen(config.affine)] = torch.tensor([0.0, 0.0, 0.0, 1.0])
    if config.brightness_contrast:
        apart = uniform(count, 2) * 2 - 1
        draws.colour = 1 + apart * torch.tensor([BRIGHTNESS, CONTRAST])
        draws.colour[~chosen(config.brightness_contrast)] = 1.0
    if config.dropout_hole:
        side = HOLE[0] + (uniform(count, 1) * (HOLE[1] - HOLE[0] + 1)).long()
        corner = (uniform(count, 2) * (SIDE - side + 1)).long()
        draws.hole = torch.cat([corner, side * chosen(config.dropout_hole)[:, None]], dim=1)
    return draws


def augment(images: Tensor, config: TrainConfig, generator: torch.Generator) -> Tensor:
    """Draw what happens to each image, and do it: as `transform`."""
    return transform(images, config, draw(len(images), config, generator))


def transform(images: Tensor, config: TrainConfig, draws: Draws) -> Tensor:
    """uint8 (B, 64, 64, 3) → colours in [0, 1], float32 (B, 3, 64, 64), on the same device.

    Order as in the reference: crop, flip, shift-scale-rotate, brightness and contrast, hole. (It flips after
    rotating; as every draw is symmetric, that is the same distribution.)
    """
    if draws.shift is not None or draws.flip is not None:
        images = crop_and_flip(images, draws.shift, draws.flip, config.crop_fill)
    colours = images.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.channels_last) / 255
    if draws.affine is not None:
        turned = (draws.affine != torch.tensor([0.0, 0.0, 0.0, 1.0])).any(1).nonzero().flatten()
        if len(turned):
            rows = turned.to(colours.device)
            colours[rows] = affine(colours[rows], draws.affine[turned])
    if draws.colour is not None:
        colours = brightness_contrast(colours, draws.colour)
    if draws.hole is not None:
        colours = cut_hole(colours, draws.hole)
    return colours


def crop_and_flip(images: Tensor, shift: Tensor | None, flip: Tensor | None, fill: str) -> Tensor:
    """Move each image by -shift pixels, then mirror it: uint8 (B, 64, 64, 3) → the same shape.

    Args:
        fill: What appears at the border: 'zero', or 'reflect' without repeating the edge pixel.
    """
    count, side = images.shape[:2]
    device = images.device
    line = torch.arange(side)
    columns = line.repeat(count, 1)  # (B, 64): where each output column comes from
    rows = columns
    if flip is not None:
        columns = torch.where(flip[:, None], line.flip(0), line)
    if shift is not None:
        columns = columns + shift[:, :1]
        rows = rows + shift[:, 1:]
    inside = None
    if fill == "zero" and shift is not None:
        inside_rows, inside_columns = ((v >= 0) & (v < side) for v in (rows, columns))
        inside = (inside_rows[:, :, None] & inside_columns[:, None, :]).to(device)
        rows, columns = rows.clamp(0, side - 1), columns.clamp(0, side - 1)
    else:
        rows, columns = ((side - 1) - ((side - 1) - v.abs()).abs() for v in (rows, columns))
    image = torch.arange(count)[:, None, None] * side * side
    source = (image + rows[:, :, None] * side + columns[:, None, :]).flatten().to(device)
    moved = images.reshape(-1, 3).index_select(0, source).view(images.shape)
    return moved if inside is None else moved * inside[..., None]


def affine(colours: Tensor, parameters: Tensor) -> Tensor:
    """Rotate, scale and shift about the centre, bilinear, border reflected: float (B, 3, h, w) → the same.

    Args:
        parameters: float (B, 4): degrees (clockwise), shift x and y in pixels, scale; as torchvision's `affine`.
    """
    height, width = colours.shape[-2:]
    angle = torch.deg2rad(parameters[:, 0])
    shift_x, shift_y, scale = parameters[:, 1:].unbind(1)
    cos, sin = torch.cos(angle) / scale, torch.sin(angle) / scale
    # Where each output pixel comes from: R⁻¹(p - shift) / scale, in grid_sample's coordinates from -1 to 1.
    left = torch.stack([cos, sin * height / width, -(cos * shift_x + sin * shift_y) * 2 / width], 1)
    down = torch.stack(
        [-sin * width / height, cos, (sin * shift_x - cos * shift_y) * 2 / height], 1
    )
    theta = torch.stack([left, down], 1).to(colours.device, colours.dtype)  # (B, 2, 3)
    grid = F.affine_grid(theta, list(colours.shape), align_corners=False)
    return F.grid_sample(colours, grid, padding_mode="reflection", align_corners=False)


def brightness_contrast(colours: Tensor, factors: Tensor) -> Tensor:
    """Multiply, then stretch about the mean grey: float (B, 3, h, w) in [0, 1] → the same. As torchvision."""
    brightness, contrast = factors.to(colours.device, colours.dtype)[:, :, None, None, None].unbind(
        1
    )
    colours = (colours * brightness).clamp_(0, 1)
    weights = torch.tensor([0.2989, 0.587, 0.114], device=colours.device, dtype=colours.dtype)
    grey = (colours * weights.view(1, 3, 1, 1)).sum(1, keepdim=True).mean((2, 3), keepdim=True)
    return torch.lerp(grey, colours, contrast).clamp_(0, 1)


def cut_hole(colours: Tensor, holes: Tensor) -> Tensor:
    """Blacken a square (left, top, side) in each image: float (B, 3, h, w) → the same."""
    left, top, side = holes.to(colours.device)[:, :, None].unbind(1)  # (B, 1) each
    x = torch.arange(colours.shape[-1], device=colours.device)
    y = torch.arange(colours.shape[-2], device=colours.device)
    across, down = (x >= left) & (x < left + side), (y >= top) & (y < top + side)
    return colours.masked_fill((down[:, :, None] & across[:, None, :])[:, None], 0.0)


def examples(image: np.ndarray, config: TrainConfig, count: int, seed: int) -> list[np.ndarray]:
    """What training may make of one image: `count` draws, uint8 (64, 64, 3) each, for looking at."""
    images = torch.from_numpy(np.repeat(image[None], count, axis=0))
    colours = augment(images, config, generator(seed, 0, 0))
    return list((colours.permute(0, 2, 3, 1) * 255).round().to(torch.uint8).numpy())


class TrainBatches:
    """The training images of a subset as augmented, normalised batches on `device`.

    On a GPU the images are copied there once, as uint8; on a CPU they are read from the map as needed. Of `world`
    processes that train together, the one of this `rank` gets its share of every batch, with the draws that its images
    would have had in one process alone.
    """

    def __init__(
        self,
        subset: Subset,
        config: TrainConfig,
        mean: tuple,
        std: tuple,
        device: str,
        rank: int = 0,
        world: int = 1,
    ):
        self.config, self.mean, self.std, self.device = config, mean, std, device
        self.rank, self.world = rank, world
        self.images, self.rows = subset.dataset.images, subset.train
        self.on_device = device != "cpu"
        if self.on_device:
            self.images = torch.from_numpy(self.images[self.rows]).to(device)
            self.rows = np.arange(len(self.rows))
        self.labels = torch.from_numpy(subset.train_labels).to(device)
        self.classes = len(subset.classes)
        self.steps = math.ceil(len(self.rows) / config.batch_size)
        self._epoch, self._parts = -1, []
        coin = np.random.default_rng([config.seed, 0, 0, 2])
        self._mirrored = torch.from_numpy(coin.random(len(self.rows)) < 0.5)  # in epochs 0, 2, 4 …

    def size(self, epoch: int, step: int) -> int:
        """Images in the whole batch, over all processes. Batches of an epoch differ by one image at most."""
        if epoch != self._epoch:
            shown = order(self.config.seed, epoch, len(self.rows))
            self._epoch, self._parts = epoch, np.array_split(shown, self.steps)
        return len(self._parts[step])

    def batch(self, epoch: int, step: int) -> tuple[Tensor, Tensor]:
        """Images float32 (B, 3, side, side) and labels int64 (B,), or shares of the classes (B, classes) if mixed."""
        count = self.size(epoch, step)
        mine = slice(*(count * rank // self.world for rank in (self.rank, self.rank + 1)))
        part = self._parts[step][mine]
        chosen = torch.from_numpy(part)
        seed = [self.config.seed, epoch, step]
        draws = draw(count, self.config, generator(*seed)).part(mine)
        if self.config.alternating_flip:
            draws.flip = self._mirrored[chosen] ^ bool(epoch % 2)
        if self.on_device:
            chosen = chosen.to(self.device, non_blocking=True)
            images = self.images[chosen]
        else:
            images = torch.from_numpy(self.images[self.rows[part]])
        colours = transform(images, self.config, draws)
        if (side := self.config.image_side(epoch)) != SIDE:
            colours = F.interpolate(colours, size=(side, side), mode="bilinear", antialias=True)
        images, labels = normalize(colours, self.mean, self.std), self.labels[chosen]
        if self.config.mix != "none":  # with images of the same process
            images, labels = mix(images, labels, self.classes, self.config, [*seed, self.rank])
        return images, labels
