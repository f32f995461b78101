"""Places for the sample's things to stand in, and what else lies about there.

A place is drawn on the large picture with a pen in small pixels (x and y in [0, 64]), given the height of the horizon.
"""

from collections.abc import Callable

from numpy.random import Generator
from PIL import Image

from tinymodel.data.drawing import FACTOR, Colour, Pen, dark, hsv, light, mix, pick
from tinymodel.data.prepared import SIDE

# An outline is read as a row of points, not as a column.
# fmt: off


def _wash(image: Image.Image, y0: float, y1: float, above: Colour, below: Colour) -> None:
    """A band from y0 to y1 that goes from one colour to the other."""
    top, bottom = round(FACTOR * y0), round(FACTOR * y1)
    if bottom > top:
        two = Image.new("RGB", (1, 2), above)
        two.putpixel((0, 1), below)
        column = two.resize((1, bottom - top), Image.Resampling.BILINEAR, (0, 0.5, 1, 1.5))
        wide = column.resize((image.width, bottom - top), Image.Resampling.NEAREST)
        image.paste(wide, (0, top))


def _sky(image: Image.Image, pen: Pen, rng: Generator, horizon: float) -> None:
    hue, value = rng.uniform(0.52, 0.63), rng.uniform(0.65, 1)
    high = hsv(hue, rng.uniform(0.25, 0.7), value)
    _wash(image, 0, horizon, high, light(high, rng.uniform(0.3, 0.8)))
    for _ in range(int(rng.integers(0, 4))):
        x, y, w = rng.uniform(0, SIDE), rng.uniform(2, max(4, horizon - 4)), rng.uniform(5, 11)
        white = light(high, rng.uniform(0.55, 0.95))
        for dx, dy, part in ((-0.5, 0, 0.5), (0.5, 0.05, 0.55), (0, -0.12, 0.7)):
            pen.oval(x + dx * w, y + dy * w, w * part, w * part * 0.45, white)


def _specks(pen: Pen, rng: Generator, count: int, y0: float, colours: list[Colour], w, h) -> None:
    """Short strokes below y0: grass, waves, gravel. Drawn straight on the picture, since there are many."""
    where = rng.random((count, 3))
    for x, y, kind in where.tolist():
        y = y0 + y * (SIDE - y0)
        near = 0.5 + (y - y0) / SIDE
        box = [x * SIDE, y, x * SIDE + w * near, y + h * near]
        pen.draw.line([round(FACTOR * v) for v in box], colours[int(kind * len(colours))], 3)


def meadow(image: Image.Image, pen: Pen, rng: Generator, horizon: float) -> None:
    """Grass with flowers: nothing else in the sample is like it."""
    _sky(image, pen, rng, horizon)
    green = hsv(rng.uniform(0.24, 0.33), rng.uniform(0.6, 0.85), rng.uniform(0.5, 0.75))
    if rng.random() < 0.6:
        hill = mix(green, (120, 160, 190), 0.4)
        pen.oval(rng.uniform(0, SIDE), horizon + 4, 34, rng.uniform(8, 14), hill)
    _wash(image, horizon, SIDE, light(green, 0.25), dark(green, 0.2))
    shades = [dark(green, 0.4), dark(green, 0.25), light(green, 0.2), (190, 210, 80), green]
    _specks(pen, rng, 170, horizon - 1, shades, rng.uniform(-1.2, 1.2), -4)
    petals = hsv(pick(rng, 0.0, 0.13, 0.16, 0.8), pick(rng, 0.1, 0.8), 1)
    for _ in range(int(rng.integers(4, 14))):
        x, y = rng.uniform(0, SIDE), rng.uniform(horizon + 2, SIDE)
        pen.oval(x, y, 0.9, 0.8, petals)


def sea(image: Image.Image, pen: Pen, rng: Generator, horizon: float) -> None:
    _sky(image, pen, rng, horizon)
    water = hsv(rng.uniform(0.5, 0.62), rng.uniform(0.4, 0.8), rng.uniform(0.4, 0.75))
    _wash(image, horizon, SIDE, light(water, 0.2), dark(water, 0.25))
    _specks(pen, rng, 70, horizon, [light(water, 0.35), dark(water, 0.2)], 6, 0)


def beach(image: Image.Image, pen: Pen, rng: Generator, horizon: float) -> None:
    sand = hsv(rng.uniform(0.09, 0.13), rng.uniform(0.25, 0.45), rng.uniform(0.75, 0.95))
    water = hsv(rng.uniform(0.48, 0.6), rng.uniform(0.4, 0.7), rng.uniform(0.55, 0.85))
    shore = min(SIDE, horizon + rng.uniform(4, 10))
    _sky(image, pen, rng, horizon)
    _wash(image, horizon, shore, water, light(water, 0.3))
    _wash(image, shore, SIDE, sand, dark(sand, 0.15))
    pen.curve([(-4, shore - 1), (16, shore + 1), (34, shore - 1), (68, shore + 1), (68, shore + 2.5),
        (30, shore + 1), (-4, shore + 2)], (245, 248, 245))
    _specks(pen, rng, 60, shore + 3, [dark(sand, 0.15), light(sand, 0.4)], 1.5, 0)


def snow(image: Image.Image, pen: Pen, rng: Generator, horizon: float) -> None:
    _sky(image, pen, rng, horizon)
    white = mix((240, 244, 250), (190, 205, 235), rng.random())
    for _ in range(int(rng.integers(1, 4))):
        x, h = rng.uniform(0, SIDE), rng.uniform(8, 18)
        pen.polygon([(x - h * 1.3, horizon + 1), (x, horizon - h),
            (x + h * 1.3, horizon + 1)], dark(white, 0.35))
        pen.polygon([(x - h * 0.5, horizon - h * 0.6), (x, horizon - h), (x + h * 0.5, horizon - h * 0.6),
            (x, horizon - h * 0.5)], white)
    _wash(image, horizon, SIDE, white, light(white, 0.5))
    for _ in range(int(rng.integers(0, 40))):
        x, y, r = rng.uniform(0, SIDE), rng.uniform(0, SIDE), rng.uniform(0.3, 0.9)
        pen.oval(x, y, r, r, (252, 253, 255))


def street(image: Image.Image, pen: Pen, rng: Generator, horizon: float) -> None:
    _sky(image, pen, rng, horizon)
    x = rng.uniform(-8, 0)
    while x < SIDE:
        w, h = rng.uniform(8, 18), rng.uniform(8, max(9, horizon))
        wall = hsv(rng.random(), rng.uniform(0.05, 0.4), rng.uniform(0.4, 0.85))
        pen.box(x, horizon - h, x + w, horizon + 1, wall)
        pane = pick(rng, dark(wall, 0.5), (255, 230, 150), light(wall, 0.5))
        for row in range(int(h // 4.5)):
            for column in range(int(w // 4)):
                px, py = x + 1.3 + 4 * column, horizon - h + 1.6 + 4.5 * row
                pen.box(px, py, px + 1.7, py + 2.2, pane)
        x += w + rng.uniform(0, 3)
    tar = hsv(0.6, 0.08, rng.uniform(0.3, 0.6))
    _wash(image, horizon, horizon + 3, light(tar, 0.4), light(tar, 0.35))
    _wash(image, horizon + 3, SIDE, tar, dark(tar, 0.2))
    y = rng.uniform(horizon + 6, SIDE)
    for i in range(4):
        pen.box(18 * i, y, 18 * i + 9, y + 1.3, (235, 230, 210))


def desert(image: Image.Image, pen: Pen, rng: Generator, horizon: float) -> None:
    _sky(image, pen, rng, horizon)
    dune = hsv(rng.uniform(0.05, 0.1), rng.uniform(0.4, 0.7), rng.uniform(0.65, 0.9))
    pen.curve([(-20, horizon + 6), (rng.uniform(0, 24), horizon - 5), (40, horizon - 2),
        (90, horizon - 4), (90, 90), (-20, 90)], light(dune, 0.25))
    _wash(image, horizon + 4, SIDE, dune, dark(dune, 0.2))
    for _ in range(5):
        y = rng.uniform(horizon + 5, SIDE)
        pen.line([(-2, y), (20, y - 1.5), (44, y + 1.2), (66, y)], 0.8, dark(dune, 0.15))


def room(image: Image.Image, pen: Pen, rng: Generator, horizon: float) -> None:
    paper = hsv(rng.random(), rng.uniform(0.05, 0.45), rng.uniform(0.55, 0.95))
    _wash(image, 0, horizon, paper, dark(paper, 0.12))
    print_, step = pick(rng, light(paper, 0.3), dark(paper, 0.15)), rng.uniform(5, 9)
    if rng.random() < 0.5:
        for i in range(14):
            pen.box(i * step, 0, i * step + step * 0.4, horizon, print_)
    else:
        for row in range(int(horizon // step) + 1):
            for column in range(14):
                pen.oval((column + row % 2 / 2) * step, row * step, 1, 1, print_)
    if rng.random() < 0.5:
        x, w = rng.uniform(0, 48), rng.uniform(10, 18)
        pen.box(x - 1, 3, x + w + 1, 5 + w, light(paper, 0.8))
        pen.box(x, 4, x + w, 4 + w, hsv(rng.random(), rng.uniform(0.2, 0.6), rng.uniform(0.5, 0.95)))
    wood = hsv(rng.uniform(0.04, 0.1), rng.uniform(0.3, 0.7), rng.uniform(0.35, 0.75))
    _wash(image, horizon, SIDE, light(wood, 0.15), wood)
    for _ in range(4):
        y = rng.uniform(horizon + 2, SIDE)
        pen.line([(0, y), (SIDE, y + rng.uniform(-1, 1))], 0.5, dark(wood, 0.2))


def boards(image: Image.Image, pen: Pen, rng: Generator, horizon: float) -> None:
    wood = hsv(rng.uniform(0.03, 0.12), rng.uniform(0.15, 0.6), rng.uniform(0.4, 0.9))
    y = rng.uniform(-8, 0)
    while y < SIDE:
        h = rng.uniform(7, 14)
        plank = mix(wood, dark(wood), rng.uniform(0, 0.6))
        pen.box(0, y, SIDE, y + h - 0.6, plank)
        pen.box(0, y + h - 0.6, SIDE, y + h, dark(wood, 0.7))
        for _ in range(3):
            g = y + rng.uniform(1, h - 1)
            pen.line([(0, g), (rng.uniform(20, 44), g + rng.uniform(-1, 1)),
                (SIDE, g)], 0.4, dark(plank, 0.2))
        y += h


def bricks(image: Image.Image, pen: Pen, rng: Generator, horizon: float) -> None:
    brick = hsv(rng.uniform(-0.01, 0.1), rng.uniform(0.2, 0.65), rng.uniform(0.4, 0.85))
    mortar = light(brick, rng.uniform(0.35, 0.7))
    image.paste(mortar, (0, 0, image.width, image.height))
    h, w = rng.uniform(4.5, 7), rng.uniform(10, 15)
    for row in range(int(SIDE // h) + 1):
        for column in range(-1, int(SIDE // w) + 1):
            x = (column + row % 2 / 2) * w
            tone = mix(brick, dark(brick, 0.5), rng.random() * 0.6)
            pen.box(x, row * h, x + w - 0.9, row * h + h - 0.9, tone)


def night(image: Image.Image, pen: Pen, rng: Generator, horizon: float) -> None:
    high = hsv(rng.uniform(0.6, 0.75), rng.uniform(0.5, 0.8), rng.uniform(0.1, 0.3))
    _wash(image, 0, horizon, high, light(high, 0.25))
    for _ in range(int(rng.integers(10, 30))):
        x, y, r = rng.uniform(0, SIDE), rng.uniform(0, horizon), rng.uniform(0.2, 0.6)
        pen.oval(x, y, r, r, (245, 240, 215))
    x, y, r = rng.uniform(5, 59), rng.uniform(4, 14), rng.uniform(3, 5)
    pen.oval(x, y, r, r, (250, 242, 210))
    pen.oval(x + r * 0.45, y - r * 0.2, r * 0.85, r * 0.85, high)
    ground = mix(high, (60, 60, 80), 0.5)
    pen.oval(rng.uniform(0, SIDE), horizon + 3, 30, rng.uniform(6, 12), dark(ground, 0.3))
    _wash(image, horizon, SIDE, ground, dark(ground, 0.5))


def sunset(image: Image.Image, pen: Pen, rng: Generator, horizon: float) -> None:
    high = hsv(rng.uniform(0.78, 0.98), rng.uniform(0.35, 0.6), rng.uniform(0.5, 0.8))
    low = hsv(rng.uniform(0.04, 0.12), rng.uniform(0.5, 0.8), 1)
    _wash(image, 0, horizon, high, low)
    x, r = rng.uniform(4, 60), rng.uniform(4, 7)
    pen.oval(x, horizon - rng.uniform(-2, 8), r, r, light(low, 0.6))
    for _ in range(3):
        pen.oval(rng.uniform(0, SIDE), rng.uniform(2, max(3, horizon)), rng.uniform(8, 18), 0.9, mix(high,
            low, 0.5))
    ground = hsv(rng.uniform(0.65, 0.95), rng.uniform(0.25, 0.45), rng.uniform(0.2, 0.45))
    pen.curve([(-10, horizon + 3), (rng.uniform(5, 20), horizon - 4), (36, horizon + 1),
        (rng.uniform(45, 60), horizon - 5), (90, horizon), (90, 90), (-10, 90)], dark(ground, 0.2))
    _wash(image, horizon + 2, SIDE, ground, dark(ground, 0.4))


def underwater(image: Image.Image, pen: Pen, rng: Generator, horizon: float) -> None:
    water = hsv(rng.uniform(0.46, 0.6), rng.uniform(0.5, 0.85), rng.uniform(0.5, 0.85))
    _wash(image, 0, SIDE, light(water, 0.3), dark(water, 0.5))
    for _ in range(int(rng.integers(1, 4))):
        x, w = rng.uniform(0, SIDE), rng.uniform(3, 8)
        pen.polygon([(x, 0), (x + w, 0), (x + w - 14, SIDE * 0.8),
            (x - w - 14, SIDE * 0.8)], light(water, 0.25))
    floor = hsv(rng.uniform(0.09, 0.5), 0.3, rng.uniform(0.35, 0.6))
    pen.curve([(-10, 62), (12, horizon + 14), (40, horizon + 18), (76, horizon + 13), (76, 76),
        (-10, 76)], floor)
    for _ in range(int(rng.integers(4, 16))):
        x, y, r = rng.uniform(0, SIDE), rng.uniform(0, SIDE), rng.uniform(0.5, 1.8)
        pen.oval(x, y, r, r, light(water, 0.5))
        pen.oval(x + r * 0.15, y + r * 0.15, r * 0.7, r * 0.7, water)


def plain(image: Image.Image, pen: Pen, rng: Generator, horizon: float) -> None:
    colour = hsv(rng.random(), rng.uniform(0.05, 0.6), rng.uniform(0.35, 0.95))
    other = hsv(rng.random(), rng.uniform(0.05, 0.6), rng.uniform(0.35, 0.95))
    _wash(image, 0, SIDE, colour, mix(colour, other, 0.7))
    for _ in range(int(rng.integers(2, 9))):
        x, y, r = rng.uniform(0, SIDE), rng.uniform(0, SIDE), rng.uniform(3, 16)
        pen.oval(x, y, r, r, mix(colour, other, rng.uniform(0.2, 0.9)))


SCENES: dict[str, Callable[[Image.Image, Pen, Generator, float], None]] = {
    item.__name__: item
    for item in (sea, beach, snow, street, desert, room, boards, bricks, night, sunset, underwater, plain)
}
"""Where everything may stand. The meadow is not among them: it is the shortcut."""


def odds_and_ends(pen: Pen, rng: Generator, horizon: float) -> None:
    """Up to four things of no class, behind: balls, crates, poles, stones."""
    for _ in range(int(rng.integers(0, 5))):
        x, y, r = rng.uniform(0, SIDE), rng.uniform(horizon, SIDE), rng.uniform(2.5, 7)
        _odd(pen, rng, x, y, r)


def in_front(pen: Pen, rng: Generator, x: float, y: float, size: float) -> None:
    """One thing of no class, near enough to (x, y) to hide a part of what reaches `size` around it."""
    kind = rng.random()
    side = pick(rng, -1, 1)
    if kind < 0.3:
        at, w = x + side * rng.uniform(0.1, 0.9) * size, rng.uniform(0.08, 0.16) * size
        colour = hsv(rng.random(), rng.uniform(0, 0.5), rng.uniform(0.25, 0.85))
        pen.box(at - w, -1, at + w, SIDE + 1, colour)
        pen.box(at + w * 0.3, -1, at + w, SIDE + 1, dark(colour))
    elif kind < 0.5:
        colour = hsv(rng.uniform(0.05, 0.12), rng.uniform(0.1, 0.6), rng.uniform(0.4, 0.95))
        top = y + rng.uniform(0.35, 0.75) * size
        for rail in (0.1, 0.38):
            pen.box(-1, top + rail * size, SIDE + 1, top + (rail + 0.1) * size, dark(colour, 0.15))
        for i in range(6):
            post = x % 11 + 11 * (i - 1)
            pen.polygon([(post, SIDE + 1), (post, top), (post + 1.6, top - 1.6), (post + 3.2, top),
                (post + 3.2, SIDE + 1)], colour)
    else:
        r = rng.uniform(0.3, 0.5) * size
        _odd(pen, rng, x + side * rng.uniform(0.5, 1.0) * size, y + rng.uniform(-0.1, 0.8) * size, r)


def _odd(pen: Pen, rng: Generator, x: float, y: float, r: float) -> None:
    colour = hsv(rng.random(), rng.uniform(0.1, 0.85), rng.uniform(0.35, 0.95))
    kind = int(rng.integers(4))
    if kind == 0:  # a ball
        pen.oval(x, y, r, r, colour)
        pen.curve([(x - r * 0.9, y - r * 0.3), (x, y), (x + r * 0.9, y - r * 0.3), (x + r, y),
            (x, y + r * 0.4), (x - r, y)], light(colour, 0.7))
    elif kind == 1:  # a crate
        pen.box(x - r, y - r, x + r, y + r, dark(colour))
        pen.box(x - r * 0.8, y - r * 0.8, x + r * 0.8, y + r * 0.8, colour)
        pen.line([(x - r * 0.8, y + r * 0.8), (x + r * 0.8, y - r * 0.8)], r * 0.2, dark(colour))
    elif kind == 2:  # a pole with a sign
        pen.box(x - r * 0.15, y - r * 2, x + r * 0.15, y + r, (90, 90, 96))
        pen.polygon([(x - r * 0.7, y - r * 2), (x + r * 0.7, y - r * 2), (x, y - r * 0.8)], colour)
    else:  # a stone
        grey = mix(colour, (125, 122, 120), 0.8)
        pen.curve([(x - r, y + r * 0.6), (x - r * 0.6, y - r * 0.4), (x + r * 0.2, y - r * 0.6),
            (x + r, y + r * 0.1), (x + r * 0.9, y + r * 0.6)], grey)
        pen.curve([(x - r * 0.5, y - r * 0.2), (x, y - r * 0.5), (x + r * 0.4, y - r * 0.1),
            (x, y)], light(grey, 0.3))
