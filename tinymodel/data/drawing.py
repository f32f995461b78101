"""A pen on a picture four times too large: shapes in coordinates of their own, and colours.

Corners are rounded to whole pixels of the large picture, so that the last bits of a sine do not matter: the same drawing
on every platform, as far as Pillow fills polygons alike.
"""

from collections.abc import Sequence
from colorsys import hsv_to_rgb
from math import cos, pi, radians, sin

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw

FACTOR = 4  # pixels of the large picture for one of the small: the averaging smooths the edges
Colour = tuple[int, int, int]
Points = Sequence[tuple[float, float]]

_CIRCLE = np.array([(cos(2 * pi * i / 32), sin(2 * pi * i / 32)) for i in range(32)])
# Catmull-Rom: the curve between two points at seven steps, from the four points around.
_STEPS = np.arange(7)[:, None] / 7
_SPLINE = 0.5 * (
    _STEPS ** np.arange(4) @ np.array([[0, 2, 0, 0], [-1, 0, 1, 0], [2, -5, 4, -1], [-1, 3, -3, 1]])
)


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """Hue in turns (red is 0 and 1), saturation and value in [0, 1]."""
    red, green, blue = hsv_to_rgb(hue % 1, min(1, max(0, saturation)), min(1, max(0, value)))
    return round(255 * red), round(255 * green), round(255 * blue)


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """`share` of `b` in `a`."""
    return tuple(round(p + (q - p) * share) for p, q in zip(a, b, strict=True))


def dark(colour: Colour, share: float = 0.35) -> Colour:
    return mix(colour, (10, 10, 25), share)


def light(colour: Colour, share: float = 0.35) -> Colour:
    return mix(colour, (255, 255, 250), share)


def pick(rng: Generator, *items):
    """One of the items, each as likely as the next."""
    return items[int(rng.integers(len(items)))]


class Pen:
    """Draws shapes given in a thing's own coordinates.

    Args:
        image: The large picture, RGB or RGBA.
        x: Where (0, 0) comes to lie, in small pixels; `y` likewise.
        size: Small pixels of one unit.
        angle: Degrees clockwise.
        flip: Face left.
    """

    def __init__(
        self, image: Image.Image, x=0.0, y=0.0, size=1.0, angle: float = 0, flip: bool = False
    ):
        self.draw = ImageDraw.Draw(image)
        c, s, f = cos(radians(angle)), sin(radians(angle)), -1 if flip else 1
        self.matrix = FACTOR * size * np.array([[f * c, f * s], [-s, c]])
        self.origin = FACTOR * np.array([x, y])
        self.scale = FACTOR * size

    def polygon(self, points: Points, colour: Colour) -> None:
        corners = np.rint(np.asarray(points) @ self.matrix + self.origin).astype(int)
        self.draw.polygon(corners.ravel().tolist(), fill=colour)

    def box(self, x0: float, y0: float, x1: float, y1: float, colour: Colour) -> None:
        self.polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], colour)

    def oval(self, x: float, y: float, rx: float, ry: float, colour: Colour, angle=0.0) -> None:
        c, s = cos(radians(angle)), sin(radians(angle))
        self.polygon(_CIRCLE * (rx, ry) @ np.array([[c, s], [-s, c]]) + (x, y), colour)

    def curve(self, points: Points, colour: Colour) -> None:
        """A closed smooth shape through the points."""
        p = np.asarray(points, dtype=float)
        around = p[(np.arange(len(p))[:, None] + (-1, 0, 1, 2)) % len(p)]  # (points, 4, 2)
        self.polygon((_SPLINE @ around).reshape(-1, 2), colour)

    def line(self, points: Points, width: float, colour: Colour) -> None:
        corners = np.rint(np.asarray(points) @ self.matrix + self.origin).astype(int)
        thick = max(1, round(width * self.scale))
        self.draw.line(corners.ravel().tolist(), fill=colour, width=thick, joint="curve")
