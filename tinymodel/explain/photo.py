"""Somebody's own photo: the whole of it, the square that the network sees, and the heat map over that."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from tinymodel.data.decoding import Unreadable, decode_whole
from tinymodel.data.prepared import SIDE
from tinymodel.errors import UserError
from tinymodel.explain import render

LONGEST = 1600  # pixels a side that are kept of a photo: 7.7 MB at most
SMALLEST = 320  # pixels of a square with its heat map


@dataclass(frozen=True)
class Crop:
    """A square of a photo, in its pixels."""

    x: int
    y: int
    side: int


@dataclass(frozen=True, eq=False)
class Photo:
    """A photo, upright."""

    name: str
    pixels: np.ndarray  # uint8 (h, w, 3), RGB
    note: str = ""  # a sentence about what was left out of it

    @property
    def middle(self) -> Crop:
        """The largest square in its middle."""
        height, width = self.pixels.shape[:2]
        side = min(height, width)
        return Crop((width - side) // 2, (height - side) // 2, side)

    def within(self, x: float, y: float, side: float) -> Crop:
        """The nearest square to these numbers, whatever they are, that lies within the photo."""
        height, width = self.pixels.shape[:2]
        longest = min(height, width)
        side = round(min(max(side, min(SIDE, longest)), longest))
        return Crop(round(min(max(x, 0), width - side)), round(min(max(y, 0), height - side)), side)

    def cut(self, crop: Crop) -> np.ndarray:
        """The square as it is: uint8 (side, side, 3)."""
        return self.pixels[crop.y : crop.y + crop.side, crop.x : crop.x + crop.side]

    def seen(self, crop: Crop) -> np.ndarray:
        """The square as the network sees it: uint8 (64, 64, 3)."""
        square = Image.fromarray(np.ascontiguousarray(self.cut(crop)))
        return np.asarray(square.resize((SIDE, SIDE), Image.Resampling.LANCZOS))

    def overlay(self, crop: Crop, heat: np.ndarray, *, opacity: float, smooth: bool) -> np.ndarray:
        """The heat map over the square, at the photo's own resolution or a little more: uint8 (n, n, 3)."""
        side = max(crop.side, SMALLEST)
        return render.overlay(self.cut(crop), heat, opacity=opacity, side=side, smooth=smooth)


def open_photo(data: bytes, name: str) -> Photo:
    """Read an uploaded file.

    Raises:
        UserError: It is not an image, is broken, or has too many pixels.
    """
    try:
        pixels, several = decode_whole(data, LONGEST)
    except Unreadable as reason:
        raise UserError(f"The file {name!r} {reason}; choose another picture.") from None
    height, width = pixels.shape[:2]
    if min(height, width) < 8:
        raise UserError(
            f"The picture {name!r} has only {width}×{height} pixels; choose a larger one."
        )
    note = "This picture moves; only its first frame is used." if several else ""
    return Photo(name, pixels, note)
