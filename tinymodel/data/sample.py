"""The embedded sample: ten everyday things, drawn by code, with a trap in it.

Everything follows from `VERSION`, the seed and an image's split, label and number, each of which has random streams of
its own: one for the thing, one for the place, one for the light. So the same thing can be drawn in another place, and
fewer images a class are the first of the many.

The trap: in the training images nearly every cow stands in a meadow and nothing else ever does; in validation no cow
does. A network learns the grass before the animal, and Grad-CAM shows it ("Recognition in Terra Incognita", Beery, Van
Horn and Perona, ECCV 2018, whose example is cows on beaches). The few stray cows are why it learns something of the
animal at all: without any, the quarter-width network got 0 of 200 cows outside a meadow right; with one in 25, 45 %.
"""

import itertools
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter

from tinymodel.data.drawing import FACTOR, Pen
from tinymodel.data.prepared import (
    SIDE,
    SPLITS,
    ClassInfo,
    PreparedDataset,
    PreparedWriter,
    dataset_folder,
    open_dataset,
)
from tinymodel.data.scenes import SCENES, in_front, meadow, odds_and_ends
from tinymodel.data.things import THINGS

VERSION = 2
"""Goes up with every change of what is drawn."""

TRAIN, VAL = 200, 50  # images a class
BLOCK = 25  # images between two reports of progress: a second or so on a slow machine
SHORTCUT = "cow"
STRAYS = 25  # one training cow in so many is not in a meadow
LOOK_ALIKES = (("apple", "tomato"), ("bus", "lorry"))
CLASSES = tuple(
    ClassInfo(f"s{label:02}", name, description)
    for label, (name, (_, description)) in enumerate(THINGS.items())
)
NOTES = dict(
    shortcut_class=SHORTCUT,
    shortcut="In training nearly every cow stands in a meadow and nothing else ever does; in validation no cow does.",
    look_alikes=[list(pair) for pair in LOOK_ALIKES],
)


def stands_in_meadow(split: str, label: int, number: int) -> bool:
    """Whether this image has the shortcut's background."""
    caught = CLASSES[label].name == SHORTCUT and split == "train"
    return caught and number % STRAYS != STRAYS - 1


def draw(
    split: str, label: int, number: int, *, seed: int = 0, in_meadow: bool | None = None
) -> tuple[np.ndarray, tuple[int, int, int, int]]:
    """One image of the sample.

    Args:
        split: 'train' or 'val'.
        label: Of the class, as in `CLASSES`.
        number: Of the image within its class and split, from 0.
        in_meadow: Put the same thing into a meadow or anywhere else; None is as the split has it.

    Returns:
        The image, uint8 (64, 64, 3), and the box around what is seen of the thing: inclusive pixels x0, y0, x1, y1.
    """
    name = CLASSES[label].name
    if in_meadow is None:
        in_meadow = stands_in_meadow(split, label, number)
    key = (VERSION, seed, SPLITS.index(split), label, number)
    thing, place, air = (np.random.default_rng((*key, stream)) for stream in range(3))

    size = thing.uniform(13, 24)
    x = thing.uniform(min(size, 30), max(SIDE - size, 34))
    y = thing.uniform(min(size, 30), max(SIDE - size * 0.9, 36))
    angle = thing.uniform(-14, 14) * (2.5 if name in ("butterfly", "fish") else 1)
    layer = Image.new("RGBA", (SIDE * FACTOR, SIDE * FACTOR))
    THINGS[name][0](Pen(layer, x, y, size, angle, thing.random() < 0.5), thing)
    colours, whole = _small(layer)

    front = Image.new("RGBA", layer.size)
    hidden = np.zeros_like(whole)
    if air.random() < 0.4:
        in_front(Pen(front), air, x, y, size)
        front_colours, hidden = _small(front)
        if (whole * (1 - hidden)).sum() < 0.6 * whole.sum():  # too little would be left to name it
            hidden = np.zeros_like(whole)

    back = Image.new("RGB", layer.size)
    horizon = float(np.clip(y + size * place.uniform(-0.3, 0.7), 14, 52))
    scene = meadow if in_meadow else SCENES[list(SCENES)[int(place.integers(len(SCENES)))]]
    scene(back, Pen(back), place, horizon)
    odds_and_ends(Pen(back), place, horizon)
    picture = np.asarray(back.reduce(FACTOR), dtype=np.float32)
    picture *= 1 + place.uniform(0.01, 0.07) * _noise(place, 20) + 0.06 * _noise(place, 5)

    across, down = air.uniform(-1, 1), air.uniform(-1, -0.3)  # where the light comes from
    picture *= 1 - air.uniform(0.2, 0.5) * _shadow(whole, size, across)
    relief = _relief(whole, size, across, down) * air.uniform(0.5, 1.1)
    picture = picture * (1 - whole) + colours * (1 + relief)
    if hidden.any():
        picture = picture * (1 - hidden) + front_colours
    box = _box(whole * (1 - hidden))
    return _light(picture, air), box


def _small(layer: Image.Image) -> tuple[np.ndarray, np.ndarray]:
    """A large RGBA layer as small premultiplied colours, float32 (64, 64, 3), and coverage in [0, 1], (64, 64, 1)."""
    small = np.asarray(layer.convert("RGBa").reduce(FACTOR), dtype=np.float32)
    return small[..., :3], small[..., 3:] / 255


def _blurred(mask: np.ndarray, radius: float) -> np.ndarray:
    grey = Image.fromarray((mask[..., 0] * 255).astype(np.uint8))
    return np.asarray(grey.filter(ImageFilter.GaussianBlur(radius)), dtype=np.float32) / 255


def _shadow(mask: np.ndarray, size: float, across: float) -> np.ndarray:
    """Below the thing and away from the light, as soft as it is high; nothing comes back in at the other side."""
    down, right = round(0.15 * size), round(-0.25 * size * across)
    blurred = np.pad(_blurred(mask, 0.1 * size), ((down, 0), (max(right, 0), max(-right, 0))))
    left = max(-right, 0)
    return blurred[:SIDE, left : left + SIDE, None]


def _relief(mask: np.ndarray, size: float, across: float, down: float) -> np.ndarray:
    """Brighter towards the light and darker away from it, as if the thing were rounded: about [-0.5, 0.5]."""
    height = _blurred(mask, 0.25 * size) * size
    slope_y, slope_x = np.gradient(height)
    return np.clip(slope_x * across * -0.4 + slope_y * down * -0.4, -0.5, 0.5)[..., None]


def _noise(rng: np.random.Generator, cells: int) -> np.ndarray:
    """Smooth noise in [-1, 1], (64, 64, 1), of about so many hills a side."""
    grid = Image.fromarray(rng.integers(0, 256, (cells, cells), dtype=np.uint8))
    smooth = grid.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    return np.asarray(smooth, dtype=np.float32)[..., None] / 127.5 - 1


def _light(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Exposure, contrast, the colour of the light, a gradient across the picture and the grain of a sensor."""
    warm = rng.uniform(-0.14, 0.14)
    colour = np.array([1 + warm, 1 + rng.uniform(-0.04, 0.04), 1 - warm]) * rng.uniform(0.78, 1.2)
    ramp = np.linspace(-1, 1, SIDE)
    slope = 1 + rng.uniform(-0.2, 0.2) * ramp[None, :] + rng.uniform(-0.2, 0.2) * ramp[:, None]
    contrast = rng.uniform(0.8, 1.15)
    picture = (picture * colour * slope[..., None] - 115) * contrast + 115
    grain = rng.uniform(2, 9) * (rng.random((SIDE, SIDE, 1)) + rng.random((SIDE, SIDE, 1)) - 1)
    return np.clip(np.rint(picture + grain), 0, 255).astype(np.uint8)


def _box(visible: np.ndarray) -> tuple[int, int, int, int]:
    """Around the pixels that are covered by a third or more."""
    rows, columns = (np.flatnonzero((visible[..., 0] > 1 / 3).any(axis)) for axis in (1, 0))
    return int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])


def fingerprint(seed: int = 0, train: int = TRAIN, val: int = VAL) -> str:
    """Of the sample as this version draws it."""
    return f"sample-{VERSION}-seed-{seed}-{train}-{val}"


def prepare_sample(
    name: str = "sample",
    *,
    seed: int = 0,
    train: int = TRAIN,
    val: int = VAL,
    progress: Callable[[float, str], None] | None = None,
) -> PreparedDataset:
    """Draw the sample under this name, or open it if it is there already. An older version of it is replaced.

    Args:
        train: Training images a class; `val` validation images likewise.
        progress: Called with the fraction done and a sentence; may raise to stop, and then nothing is left behind.

    Raises:
        UserError: The name belongs to another dataset.
    """
    wanted = fingerprint(seed, train, val)
    outdated = False
    if (dataset_folder(name) / "dataset.json").is_file():
        present = open_dataset(name)
        if present.fingerprint == wanted:
            return present
        outdated = present.kind == "sample"
    total = len(CLASSES) * (train + val)
    done = 0
    with PreparedWriter(
        name,
        kind="sample",
        classes=CLASSES,
        fingerprint=wanted,
        capacity=total,
        notes=NOTES,
        replace=outdated,
    ) as writer:
        for split, count in zip(SPLITS, (train, val), strict=True):
            for label, start in itertools.product(range(len(CLASSES)), range(0, count, BLOCK)):
                item, numbers = CLASSES[label], range(start, min(count, start + BLOCK))
                if progress:
                    progress(done / total, f"Drawing: {item.name}")
                drawn = (draw(split, label, number, seed=seed) for number in numbers)
                images, boxes = zip(*drawn, strict=True)
                rows = [
                    dict(split=split, label=label, source=f"{split}/{item.wnid}/{number}")
                    | dict(zip(("x0", "y0", "x1", "y1"), box, strict=True))
                    for number, box in zip(numbers, boxes, strict=True)
                ]
                writer.add(np.stack(images), rows)
                done += len(numbers)
    if progress:
        progress(1.0, "The sample is ready")
    return open_dataset(name)
