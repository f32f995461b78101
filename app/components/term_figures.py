"""Small figures for the glossary, made by what they explain: the sample's pictures, and what training does to them."""

from collections.abc import Callable

import numpy as np
import streamlit as st

from components import gallery
from tinymodel.config import from_preset
from tinymodel.data.sample import CLASSES, draw

SIDE = 96  # CSS pixels
Pictures = list[tuple[np.ndarray, str]]  # uint8 (64, 64, 3) each, with words


def show(slug: str) -> None:
    """The figure of a term, if it has one."""
    if slug in FIGURES:
        images, captions = zip(*_made(slug), strict=True)
        gallery.grid(images, captions, key=f"figure-{slug}", side=SIDE)


@st.cache_data(show_spinner=False)
def _made(slug: str) -> Pictures:
    return FIGURES[slug]()


def _drawn(name: str, number: int, split: str = "val", **choices) -> np.ndarray:
    label = [item.name for item in CLASSES].index(name)
    return draw(split, label, number, **choices)[0]


def pixel() -> Pictures:
    whole = _drawn("butterfly", 0)
    corner = whole[12:28, 38:54].repeat(4, 0).repeat(4, 1)
    return [(whole, "64 × 64"), (corner, "16 × 16 of them")]


def classes() -> Pictures:
    return [(_drawn(item.name, 0), item.name) for item in CLASSES[:4]]


def bounding_box() -> Pictures:
    label = [item.name for item in CLASSES].index("teapot")
    image, (x0, y0, x1, y1) = draw("val", label, 0)
    framed = image.copy()
    for rows, columns in (
        (slice(y0, y1 + 1), [x0, x1]),
        ([y0, y1], slice(x0, x1 + 1)),
    ):
        framed[rows, columns] = (86, 180, 233)  # the colour of boxes everywhere: palette.BOX
    return [(image, "teapot"), (framed, "its box")]


def augmentation() -> Pictures:
    from tinymodel.data.batches import examples  # torch: only where it is needed

    image = _drawn("lighthouse", 0)
    config = from_preset("reference", dataset="sample")
    return [(image, "as it is"), *((each, "changed") for each in examples(image, config, 3, 1))]


def mixed(kind: str) -> Callable[[], Pictures]:
    def made() -> Pictures:
        import torch

        from tinymodel.data import mixing

        names = ("apple", "fish", "bus", "teapot") if kind == "ricap" else ("apple", "fish")
        images = [_drawn(name, 0) for name in names]
        batch = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float()
        targets = torch.eye(len(names))
        out, shares = getattr(mixing, kind)(batch, targets, 1.0, np.random.default_rng(5))
        words = ", ".join(
            f"{share:.0%} {name}"
            for share, name in zip(shares[0].tolist(), names, strict=True)
            if share > 0.005
        )
        first = out[0].permute(1, 2, 0).round().clamp(0, 255).byte().numpy()
        return [*zip(images, names, strict=True), (first, words)]

    return made


def shortcut() -> Pictures:
    return [
        (_drawn("cow", 0, "train"), "in training"),
        (_drawn("cow", 0), "in validation"),
        (_drawn("cow", 0, in_meadow=True), "the same in a meadow"),
    ]


def convolution() -> Pictures:
    """What a filter for upright edges (Sobel) finds."""
    image = _drawn("sailing boat", 0)
    grey = np.pad(image.mean(2), 1, "edge")
    across = grey[:, 2:] - grey[:, :-2]
    edges = np.abs(across[:-2] + 2 * across[1:-1] + across[2:])
    found = np.clip(edges / np.percentile(edges, 99) * 255, 0, 255).astype(np.uint8)
    return [(image, "a picture"), (found[..., None].repeat(3, 2), "upright edges in it")]


def pooling() -> Pictures:
    image = _drawn("sailing boat", 0)
    halves = [(image, "64 × 64")]
    for side in (32, 16):
        strongest = image.reshape(side, 64 // side, side, 64 // side, 3).max((1, 3))
        halves.append((strongest.repeat(64 // side, 0).repeat(64 // side, 1), f"{side} × {side}"))
    return halves


def heat_map() -> Pictures:
    from tinymodel.explain.render import colour

    scale = colour(np.linspace(0, 1, 64, dtype=np.float32)[None].repeat(64, 0))
    return [(scale, "nothing → most")]


FIGURES: dict[str, Callable[[], Pictures]] = {
    "pixel": pixel,
    "class": classes,
    "bounding-box": bounding_box,
    "augmentation": augmentation,
    "mixup": mixed("mixup"),
    "cutmix": mixed("cutmix"),
    "ricap": mixed("ricap"),
    "shortcut": shortcut,
    "convolution": convolution,
    "pooling": pooling,
    "heat-map": heat_map,
}
