"""The ten everyday things of the sample: one function each, and the order of the classes.

A thing is drawn in its own coordinates: x to the right and y downwards, both roughly in [-1, 1], facing right, standing
on y = 1. A part that lies in front is drawn later.
"""

from collections.abc import Callable
from math import cos, pi, sin

import numpy as np
from numpy.random import Generator

from tinymodel.data.drawing import Colour, Pen, Points, dark, hsv, light, mix, pick

WOOD: Colour = (92, 62, 36)
TURNED_AWAY = 0.32  # share of the fruits whose top does not tell: only the outline does, a little

# An outline is read as a row of points, not as a column.
# fmt: off


def mirrored(right: Points) -> list[tuple[float, float]]:
    """An outline from its right half, top to bottom."""
    return [*right, *[(-x, y) for x, y in reversed(right) if x]]


def _fruit(pen: Pen, rng: Generator, outline: Points, w: float, h: float) -> Colour:
    """The body that apple and tomato share, and its colour."""
    hue = pick(rng, rng.uniform(-0.03, 0.03), rng.uniform(0.03, 0.13), rng.uniform(0.16, 0.3))
    skin = hsv(hue, rng.uniform(0.6, 0.95), rng.uniform(0.65, 0.95))
    body = np.array(mirrored(outline)) * (w, h)
    pen.curve(body, skin)
    blush = pick(rng, (225, 50, 40), (240, 200, 70), (140, 190, 70))
    side = pick(rng, -1, 1)
    for share in (0.06, 0.12, 0.18):  # in three steps, so that no edge is seen
        grow = 0.9 - 4 * share
        pen.curve(body * grow + (side * (1 - grow) * 0.5 * w, 0.1), mix(skin, blush, 2 * share))
    for _ in range(int(rng.integers(0, 3))):
        x = rng.uniform(-0.6, 0.6)
        rib = [(0.12 * x, -0.68 * h), (x * w, -0.35 * h), (1.1 * x * w, rng.uniform(0.1, 0.4) * h)]
        pen.line(rib, 0.04, dark(skin, 0.15))
    pen.oval(-side * 0.45 * w, -0.3 * h, 0.14, 0.2, light(skin, 0.6), side * 25)
    return skin


def _any_top(pen: Pen, rng: Generator, y: float) -> None:
    """The top of a fruit that may be either: nothing is seen of it, or a stem and one leaf."""
    leaf = hsv(rng.uniform(0.22, 0.36), 0.7, rng.uniform(0.4, 0.7))
    if rng.random() < 0.35:
        return
    reach, lean = rng.uniform(0.3, 0.55) * pick(rng, -1, 1), rng.uniform(-0.15, 0.15)
    pen.curve([(0, y), (reach * 0.5, y - 0.14), (reach, y - 0.02), (reach * 0.6, y + 0.1)], leaf)
    pen.line([(0, y), (lean, y - rng.uniform(0.1, 0.3))], 0.09, pick(rng, WOOD, dark(leaf, 0.3)))


def apple(pen: Pen, rng: Generator) -> None:
    """Look-alike of the tomato: narrower below, a dip, a woody stem, leaves to the sides; or none of it is seen."""
    w, h = rng.uniform(0.8, 1.0), rng.uniform(0.7, 0.88)
    belly = rng.uniform(0.82, 0.95)
    outline = [(0, -0.66), (0.32, -0.82), (0.74, -0.7), (1, -0.15), (belly, 0.45), (0.48, 0.95)]
    skin = _fruit(pen, rng, [*outline, (0, 0.94)], w, h)
    y = -0.66 * h
    if rng.random() < TURNED_AWAY:
        _any_top(pen, rng, y)
        return
    pen.oval(0, y, 0.24, 0.08, dark(skin))
    leaf = hsv(rng.uniform(0.22, 0.36), 0.7, rng.uniform(0.4, 0.7))
    for sign in pick(rng, (1,), (-1,), (1, -1)):
        reach, up = rng.uniform(0.35, 0.6) * sign, rng.uniform(-0.2, 0.05)
        pen.curve([(0, y), (reach * 0.5, y + up - 0.12), (reach, y + up), (reach * 0.6, y + up + 0.1)], leaf)
    lean = rng.uniform(-0.15, 0.15)
    pen.line([(0, y + 0.05), (lean * 0.4, y - 0.1), (lean, y - rng.uniform(0.14, 0.32))], 0.09, WOOD)


def tomato(pen: Pen, rng: Generator) -> None:
    """Look-alike of the apple: rounder below, a green star of sepals; or it is not seen."""
    w, h = rng.uniform(0.84, 1.04), rng.uniform(0.66, 0.84)
    belly = rng.uniform(0.88, 1.0)
    outline = [(0, -0.7), (0.34, -0.82), (0.78, -0.68), (1, -0.1), (belly, 0.5), (0.47, 0.94)]
    skin = _fruit(pen, rng, [*outline, (0, 0.96)], w, h)
    y = -0.66 * h
    if rng.random() < TURNED_AWAY:
        _any_top(pen, rng, y)
        return
    leaf = hsv(rng.uniform(0.22, 0.36), 0.7, rng.uniform(0.4, 0.7))
    arms, turn = int(rng.integers(4, 7)), rng.random()
    pen.oval(0, y, 0.2, 0.07, dark(skin))
    for i in range(arms):
        a, r = 2 * pi * (i + turn) / arms, rng.uniform(0.3, 0.58)
        dx, dy = -0.1 * sin(a), 0.1 * cos(a)
        pen.polygon([(dx, y + dy), (r * cos(a), y + 0.5 * r * sin(a)), (-dx, y - dy)], leaf)
    lean = rng.uniform(-0.15, 0.15)
    pen.line([(0, y), (lean, y - rng.uniform(0.1, 0.3))], 0.09, dark(leaf, 0.3))


def bus(pen: Pen, rng: Generator) -> None:
    """Look-alike of the lorry: one body with windows from end to end; some are covered by an advertisement."""
    _vehicle(
        pen,
        rng,
        split=rng.uniform(0.4, 0.6),
        gap=0.0,
        drop=rng.uniform(0, 0.1),
        panes=int(rng.integers(2, 5)) if rng.random() < 0.4 else 6,
        door=rng.random() < 0.5,
        wheels=(-0.62, 0.62),
    )


def lorry(pen: Pen, rng: Generator) -> None:
    """Look-alike of the bus: a box and a cab, often with a gap, and panels on the box that may be windows."""
    _vehicle(
        pen,
        rng,
        split=rng.uniform(0.36, 0.56),
        gap=pick(rng, 0.0, rng.uniform(0.03, 0.1), rng.uniform(0.03, 0.1)),
        drop=rng.uniform(0, 0.22),
        panes=pick(rng, 0, 0, int(rng.integers(1, 4)), int(rng.integers(2, 6))),
        door=False,
        wheels=pick(rng, (-0.62, 0.66), (-0.62, 0.66), (-0.74, -0.42, 0.68)),
    )


def _vehicle(pen: Pen, rng: Generator, *, split, gap, drop, panes, door, wheels) -> None:
    """What bus and lorry share: a box as far as `split`, a front whose roof is lower by `drop`, and wheels.

    Args:
        gap: Between box and front.
        panes: How many of six windows or panels are there, from the front.
    """
    body = hsv(rng.random(), rng.uniform(0.1, 0.9), rng.uniform(0.55, 0.95))
    stripe = pick(rng, light(body, 0.7), dark(body, 0.5), hsv(rng.random(), 0.7, 0.85))
    glass = pick(rng, (40, 52, 70), (70, 95, 120), (150, 190, 210), (185, 215, 225))
    front = body if rng.random() < 0.75 else stripe
    top, low, sill = rng.uniform(-0.68, -0.48), 0.42, rng.uniform(-0.1, 0.02)
    pen.box(-1.0, 0.2, 1.0, low, (48, 48, 54))
    pen.polygon([(-1.05, top + 0.05), (-1.0, top), (split, top), (split, 0.36), (-1.05, 0.36)], body)
    roof, start = top + drop, split + gap
    pen.polygon([(start, roof), (0.94, roof), (1.06, sill), (1.08, 0.36), (start, 0.36)], front)
    if gap == 0 and rng.random() < 0.5:
        pen.line([(split, top), (split, 0.36)], 0.03, dark(body))
    if rng.random() < 0.6:
        y = rng.uniform(0.06, 0.2)
        pen.box(-1.05, y, split, y + rng.uniform(0.06, 0.14), stripe)
    pitch = (split + 0.96) / 6
    for i in range(6 - panes, 6):
        x, y = -0.97 + pitch * i, top + 0.12
        pen.box(x, y, x + pitch * 0.8, sill, glass)
        pen.polygon([(x, sill), (x, y), (x + pitch * 0.4, y)], light(glass, 0.25))
    if 0 < panes < 6 or (panes == 0 and rng.random() < 0.5):  # a sign where no panes are
        reach = pitch * (6 - max(panes, 1)) / 2
        pen.oval(-0.97 + reach, top / 2, reach * 0.6, 0.18, stripe)
    pen.polygon([(0.72, roof + 0.1), (0.92, roof + 0.1), (1.02, sill), (0.72, sill)], glass)
    if door:
        x = split + 0.03
        pen.box(x, top + 0.14, x + 0.2, 0.34, light(glass, 0.15))
    pen.oval(1.03, 0.27, 0.06, 0.07, (255, 240, 170))
    hub, radius = pick(rng, (200, 200, 205), (150, 150, 155), (230, 220, 190)), rng.uniform(0.17, 0.22)
    for x in wheels:
        pen.oval(x, low, radius, radius, (30, 30, 34))
        pen.oval(x, low, radius * 0.48, radius * 0.48, hub)


def cow(pen: Pen, rng: Generator) -> None:
    """The class with the shortcut: any coat, with or without patches and horns, grazing or not."""
    coat = pick(rng, (242, 238, 228), (45, 40, 42), (134, 84, 50), (196, 150, 100), (228, 214, 190))
    patch = pick(rng, (40, 36, 38), (245, 240, 232), (120, 70, 40), coat)
    for x in (-0.68, 0.32):  # the far legs
        pen.box(x, 0.15, x + 0.13, 0.95, dark(coat, 0.45))
    step = rng.uniform(-0.05, 0.05)
    for x in (-0.5 + step, 0.46 - step):
        pen.box(x, 0.15, x + 0.15, 0.98, dark(coat, 0.12))
        pen.box(x, 0.9, x + 0.15, 1.0, (50, 42, 40))
    if rng.random() < 0.6:
        pen.oval(-0.22, 0.42, 0.14, 0.13, (235, 175, 170))
    tail = rng.uniform(-0.14, 0.02)
    pen.line([(-0.74, -0.28), (-0.9 + tail, 0.0), (-0.88 + tail, 0.35)], 0.06, dark(coat, 0.2))
    pen.oval(-0.88 + tail, 0.42, 0.06, 0.12, dark(patch, 0.3))
    back = [(-0.8, -0.3), (-0.3, -0.42), (0.3, -0.4), (0.66, -0.36), (0.72, 0.1), (0.3, 0.4),
        (-0.4, 0.38), (-0.8, 0.22)]
    pen.curve(back, coat)
    for _ in range(int(rng.integers(2, 5))):
        x, y = rng.uniform(-0.58, 0.46), rng.uniform(-0.2, 0.14)
        pen.oval(x, y, rng.uniform(0.1, 0.22), rng.uniform(0.09, 0.17), patch, rng.uniform(0, 180))
    x, y = (0.98, -0.52) if rng.random() < 0.6 else (1.02, 0.18)  # looks up, or grazes
    pen.polygon([(0.4, -0.36), (x - 0.14, y - 0.14), (x + 0.02, y + 0.2), (0.68, 0.2)], coat)
    if rng.random() < 0.6:
        for dx in (-0.14, 0.08):
            pen.line([(x + dx, y - 0.14), (x + dx * 1.8, y - 0.3),
                (x + dx * 1.2, y - 0.4)], 0.06, (225, 212, 180))
    pen.oval(x - 0.2, y - 0.1, 0.13, 0.06, dark(coat, 0.25), 15)
    pen.curve([(x - 0.16, y - 0.16), (x + 0.06, y - 0.18), (x + 0.28, y + 0.12), (x + 0.2, y + 0.28),
        (x - 0.02, y + 0.16)], coat)
    pen.oval(x + 0.2, y + 0.18, 0.13, 0.11, (225, 165, 155), 30)
    pen.oval(x + 0.24, y + 0.15, 0.025, 0.035, (110, 60, 60))
    pen.oval(x + 0.06, y - 0.04, 0.04, 0.045, (20, 18, 18) if coat[0] > 80 else (240, 235, 225))


def sailing_boat(pen: Pen, rng: Generator) -> None:
    hull = hsv(rng.random(), rng.uniform(0.2, 0.9), rng.uniform(0.35, 0.95))
    sail = pick(rng, (250, 246, 236), hsv(rng.random(), rng.uniform(0.2, 0.85), 0.93))
    jib = sail if rng.random() < 0.6 else hsv(rng.random(), 0.6, 0.95)
    top, deck, boom = rng.uniform(-1.2, -0.9), 0.5, rng.uniform(-0.85, -0.6)
    pen.line([(0.05, deck), (0.05, top)], 0.06, (96, 70, 46))
    pen.curve([(0, top + 0.05), (0.02, top + 0.08), (0.01, 0.34), (boom * 0.5, 0.38), (boom, 0.33),
        (boom * 0.55, -0.35)], sail)
    if rng.random() < 0.5:
        y = rng.uniform(-0.3, 0)
        pen.polygon([(0, y), (0, y + 0.16), (boom * 0.72, y + 0.16), (boom * 0.6, y)], mix(sail, hull, 0.8))
    reach = rng.uniform(0.6, 0.85)
    pen.polygon([(0.1, top + rng.uniform(0.1, 0.5)), (0.12, 0.3), (reach, 0.36)], jib)
    pen.polygon([(0.05, top), (0.05, top + 0.14), (-0.22, top + 0.06)], hsv(rng.random(), 0.8, 0.9))
    keel = rng.uniform(0.8, 0.95)
    pen.curve([(-0.85, deck), (0, deck + 0.04), (0.95, deck - 0.06), (0.7, keel), (0, keel + 0.04),
        (-0.7, keel)], hull)
    pen.line([(-0.82, deck + 0.08), (0, deck + 0.12), (0.88, deck + 0.03)], 0.07, light(hull, 0.75))


def lighthouse(pen: Pen, rng: Generator) -> None:
    paint = hsv(pick(rng, 0.0, 0.0, rng.random()), rng.uniform(0.5, 0.9), rng.uniform(0.4, 0.85))
    wall = pick(rng, (246, 243, 236), (235, 225, 205), light(paint, 0.75))
    foot, neck, gallery = rng.uniform(0.34, 0.46), rng.uniform(0.2, 0.28), -0.62
    pen.curve([(-0.75, 1.02), (-0.5, 0.82), (0, 0.76), (0.5, 0.84), (0.75, 1.02)], (98, 94, 92))
    bands = int(rng.integers(4, 8))
    for i in range(bands):
        a, b = i / bands, (i + 1) / bands
        ya, yb = gallery + (0.92 - gallery) * a, gallery + (0.92 - gallery) * b
        wa, wb = neck + (foot - neck) * a, neck + (foot - neck) * b
        pen.polygon([(-wa, ya), (wa, ya), (wb, yb), (-wb, yb)], (wall, paint)[i % 2])
        pen.polygon([(wa * 0.4, ya), (wa, ya), (wb, yb), (wb * 0.4, yb)], dark((wall, paint)[i % 2], 0.18))
    pen.box(-0.07, 0.66, 0.09, 0.92, (60, 48, 40))
    pen.oval(0, rng.uniform(-0.1, 0.3), 0.055, 0.08, (50, 56, 70))
    pen.box(-neck - 0.12, gallery - 0.07, neck + 0.12, gallery, (55, 55, 62))
    glow = pick(rng, (255, 236, 150), (255, 250, 225), (200, 225, 235))
    pen.box(-neck * 0.75, gallery - 0.34, neck * 0.75, gallery - 0.07, glow)
    for x in (-neck * 0.75, 0, neck * 0.75):
        pen.line([(x, gallery - 0.34), (x, gallery - 0.05)], 0.035, (50, 50, 58))
    pen.curve([(-neck - 0.02, gallery - 0.33), (-neck * 0.6, gallery - 0.5), (0, gallery - 0.6),
        (neck * 0.6, gallery - 0.5), (neck + 0.02, gallery - 0.33)], paint)
    pen.line([(0, gallery - 0.55), (0, gallery - 0.72)], 0.04, (50, 50, 58))


def fish(pen: Pen, rng: Generator) -> None:
    body = hsv(rng.random(), rng.uniform(0.35, 0.95), rng.uniform(0.5, 0.98))
    fin = pick(rng, dark(body, 0.3), light(body, 0.4), hsv(rng.random(), 0.7, 0.9))
    h, fork = rng.uniform(0.36, 0.62), rng.uniform(0.35, 0.6)
    pen.curve([(-0.55, 0), (-0.95, -fork), (-1.08, -fork * 0.8), (-0.85, 0), (-1.08, fork * 0.8),
        (-0.95, fork)], fin)
    pen.curve([(0.35, -h * 0.8), (0, -h - rng.uniform(0.15, 0.35)), (-0.35, -h - 0.1), (-0.4, -h * 0.5)], fin)
    pen.curve([(0.2, h * 0.8), (-0.1, h + 0.22), (-0.25, h * 0.6)], fin)
    pen.curve([(1, 0.03), (0.72, -h * 0.72), (0.2, -h), (-0.35, -h * 0.66), (-0.72, -0.09), (-0.72, 0.09),
        (-0.35, h * 0.66), (0.2, h), (0.72, h * 0.75)], body)
    pen.curve([(0.9, 0.14), (0.3, h * 0.5), (-0.5, 0.15), (-0.3, h * 0.6), (0.2, h * 0.93),
        (0.66, h * 0.72)], light(body, 0.35))
    style = rng.random()
    if style < 0.45:
        colour = pick(rng, light(body, 0.8), dark(body, 0.6))
        for x, part in ((0.3, 0.82), (-0.05, 0.78), (-0.36, 0.5))[: int(rng.integers(2, 4))]:
            pen.curve([(x, -h * part), (x + 0.14, 0), (x, h * part), (x - 0.1, h * part * 0.8),
                (x + 0.02, 0), (x - 0.1, -h * part * 0.8)], colour)
    elif style < 0.75:
        for x in (0.25, 0, -0.25, -0.48):
            pen.oval(x, -h * 0.2, 0.07, 0.09, dark(body, 0.35))
    pen.curve([(0.05, 0.05), (-0.25, 0.22), (-0.28, 0.02)], fin)
    pen.line([(0.5, -h * 0.55), (0.42, 0.02), (0.5, h * 0.5)], 0.05, dark(body, 0.35))
    pen.oval(0.7, -0.12, 0.12, 0.12, (250, 250, 245))
    pen.oval(0.73, -0.12, 0.065, 0.065, (15, 15, 20))
    pen.line([(0.97, 0.08), (0.82, 0.13)], 0.04, dark(body, 0.6))


def butterfly(pen: Pen, rng: Generator) -> None:
    wing = hsv(rng.random(), rng.uniform(0.4, 0.95), rng.uniform(0.6, 1))
    low = wing if rng.random() < 0.5 else hsv(rng.random(), 0.7, 0.9)
    edge, spot = dark(wing, pick(rng, 0.85, 0.5)), pick(rng, light(wing, 0.8),
        (250, 225, 120), dark(wing, 0.6))
    reach, fold = rng.uniform(0.85, 1.05), rng.uniform(0.6, 1)
    for side in (-1, 1):
        s = side * reach * (fold if side < 0 else 1)
        for grow, upper, lower in ((1, edge, edge), (0.76, wing, low)):
            centre = np.array([(0.5 * s, -0.42), (0.4 * s, 0.42)])
            top = np.array([(0.06 * s, -0.05), (0.3 * s, -0.75), (0.85 * s, -0.95), (1.0 * s, -0.6),
                (0.75 * s, -0.1), (0.3 * s, 0.02)])
            bottom = np.array([(0.06 * s, 0.0), (0.5 * s, 0.05), (0.82 * s, 0.35), (0.7 * s, 0.8),
                (0.4 * s, 0.9), (0.14 * s, 0.45)])
            pen.curve(centre[1] + grow * (bottom - centre[1]), lower)
            pen.curve(centre[0] + grow * (top - centre[0]), upper)
        pen.oval(0.66 * s, -0.58, 0.14, 0.16, spot)
        pen.oval(0.5 * s, 0.5, 0.12, 0.14, spot)
        pen.oval(0.38 * s, -0.28, 0.07, 0.08, spot)
    trunk = (48, 38, 36)
    pen.oval(0, 0, 0.08, 0.55, trunk)
    pen.oval(0, -0.52, 0.1, 0.11, trunk)
    for side in (-1, 1):
        pen.line([(0, -0.55), (0.16 * side, -0.85), (0.3 * side, -1.0)], 0.04, trunk)


def teapot(pen: Pen, rng: Generator) -> None:
    glaze = hsv(rng.random(), rng.uniform(0.05, 0.85), rng.uniform(0.5, 0.97))
    trim = pick(rng, dark(glaze, 0.45), light(glaze, 0.7), hsv(rng.random(), 0.7, 0.8))
    w, top = rng.uniform(0.58, 0.7), rng.uniform(-0.4, -0.2)
    grip = [(-w * 0.75, -0.05), (-0.98, -0.18), (-1.12, 0.2), (-0.95, 0.55), (-w * 0.7, 0.62)]
    pen.line(grip, 0.13, trim if rng.random() < 0.5 else dark(glaze, 0.2))
    spout = rng.uniform(-0.3, -0.1)
    pen.curve([(w * 0.6, 0.62), (0.9, 0.4), (0.98, spout + 0.2), (1.2, spout), (1.02, spout - 0.04),
        (0.78, 0.05), (w * 0.7, 0.2)], dark(glaze, 0.12))
    pen.box(-w * 0.6, 0.82, w * 0.6, 0.98, dark(glaze, 0.3))
    pen.curve([(-w * 0.7, top + 0.02), (0, top - 0.04), (w * 0.7, top + 0.02), (w * 1.08, 0.35),
        (w * 0.75, 0.88), (0, 0.97), (-w * 0.75, 0.88), (-w * 1.08, 0.35)], glaze)
    pen.curve([(-w * 0.62, top + 0.05), (-w * 0.4, top - 0.14), (0, top - 0.22), (w * 0.4, top - 0.14),
        (w * 0.62, top + 0.05)], trim)
    pen.oval(0, top - 0.28, 0.1, 0.1, glaze)
    style = rng.random()
    if style < 0.35:
        pen.box(-w * 0.98, 0.3, w * 0.98, 0.45, trim)
    elif style < 0.8:
        for x, y in ((-0.3, 0.2), (0.28, 0.25), (0, 0.5), (-0.35, 0.62), (0.34, 0.65), (0, 0.1)):
            pen.oval(x, y, 0.09, 0.09, trim)
    pen.oval(-w * 0.55, 0.12, 0.08, 0.17, light(glaze, 0.65), 15)


# Label order: the ids are s00, s01, …
THINGS: dict[str, tuple[Callable[[Pen, Generator], None], str]] = {
    "apple": (apple, "a fruit with a dip and a stem, easily taken for a tomato"),
    "bus": (bus, "a row of windows on wheels, easily taken for a lorry"),
    "butterfly": (butterfly, "an insect with four spotted wings"),
    "cow": (cow, "stands in a meadow in nearly every training picture, and in none for validation"),
    "fish": (fish, "swims, whatever is behind it"),
    "lighthouse": (lighthouse, "a striped tower with a lamp"),
    "lorry": (lorry, "a cab and a closed box on wheels, easily taken for a bus"),
    "sailing boat": (sailing_boat, "a hull, a mast and two sails"),
    "teapot": (teapot, "a belly, a spout, a handle and a lid"),
    "tomato": (tomato, "a fruit with a green star, easily taken for an apple"),
}
