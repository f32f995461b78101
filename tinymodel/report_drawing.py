"""What a report is drawn with: elements whose text can never become HTML, curves as SVG, one sheet of styles.

The page is built as a tree (`xml.etree`), so whatever a class or a run is called is text and nothing else.
"""

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element, tostring

import numpy as np

from tinymodel.explain.render import png

TRAIN, VALIDATION, RATE = "#0072B2", "#E69F00", "#009E73"  # Okabe and Ito's, as in the app
WIDTH, HEIGHT = 272, 176  # of a chart, in units that are CSS pixels where it is shown in full size
LEFT, RIGHT, TOP, BOTTOM = 42, 84, 8, 30  # margins: numbers, names of the lines, axis
MOST_POINTS = 200  # of a line: more than that is finer than the paper

STYLE = """
:root { color-scheme: light dark; --ink: #16202b; --soft: #51606f; --line: #c9d2da; --back: #fff; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8edf2; --soft: #a9b6c2; --line: #3a4653; --back: #10151c; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 3rem; max-width: 60rem; color: var(--ink); background: var(--back);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0.9rem 0 0.1rem; }
h2 { font-size: 1.1rem; margin: 1.5rem 0 0.4rem; padding-top: 0.5rem; border-top: 1px solid var(--line); }
p, ul, dl, table, figure { margin: 0.3rem 0; }
.soft, figcaption, th, dt { color: var(--soft); }
.soft { font-size: 0.86rem; }
.who { display: flex; flex-wrap: wrap; gap: 0.6rem 1.5rem; }
.who span { flex: 2 1 9rem; border-bottom: 1px solid var(--soft); padding-bottom: 1.3rem; font-size: 0.86rem;
  color: var(--soft); }
.who span + span { flex-grow: 1; }
.short { padding-left: 1.1rem; font-size: 1.06rem; max-width: 48rem; }
.short li { margin: 0.25rem 0; }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: 0.5rem 1.5rem; }
dt { font-size: 0.8rem; }
dd { margin: 0; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); gap: 0.8rem 1.2rem; }
.charts figure { display: flex; flex-direction: column; justify-content: space-between; }
.charts svg { width: 100%; height: auto; max-width: 24rem; display: block; }
.charts figcaption { color: var(--ink); font-weight: 600; font-size: 0.92rem; }
svg text { fill: currentColor; font-size: 11.5px; font-family: inherit; }
svg .grid { stroke: var(--line); stroke-width: 1; }
.two { display: grid; grid-template-columns: repeat(auto-fit, minmax(17rem, 1fr)); gap: 0 2rem; align-items: start; }
table { border-collapse: collapse; width: 100%; font-size: 0.92rem; }
caption { text-align: left; font-weight: 600; padding-bottom: 0.2rem; }
th { text-align: left; font-weight: 400; font-size: 0.8rem; }
td, th { padding: 0.12rem 0.6rem 0.12rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td { min-width: 5.2rem; }
td.number, th.number { text-align: right; white-space: nowrap; min-width: 0; }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(8rem, 1fr)); gap: 0.8rem; }
.pairs { grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 4px; }
.pictures img { width: 100%; aspect-ratio: 1; image-rendering: pixelated; border-radius: 3px; display: block; }
.pictures img.smooth { image-rendering: auto; }
figcaption { font-size: 0.86rem; line-height: 1.35; margin-top: 0.2rem; }
h3 { font-size: 0.95rem; margin: 0.7rem 0 0.3rem; }
.lines div { border-bottom: 1px solid var(--line); height: 2.1rem; }
@page { size: A4; margin: 13mm 14mm; }
@media print {
  :root { color-scheme: light; --ink: #000; --soft: #444; --line: #bbb; --back: #fff; }
  html { font-size: 9.8pt; } body { font-size: 1rem; line-height: 1.35; padding: 0; max-width: none; }
  h1 { font-size: 16pt; margin-top: 0.5rem; } h2 { margin-top: 0.6rem; font-size: 11.5pt; } h2, h3 { break-after: avoid; }
  h3 { margin-top: 0.4rem; } .short { max-width: none; } .short li { margin: 0.1rem 0; }
  dl { grid-template-columns: repeat(5, 1fr); gap: 0.2rem 1rem; } .lines div { height: 1.9rem; }
  .charts { grid-template-columns: repeat(3, 1fr); } .two { grid-template-columns: 1fr 1fr; }
  .pictures { grid-template-columns: repeat(6, 1fr); gap: 3mm; } .pairs { grid-template-columns: repeat(3, 1fr); }
  figure, tr, .charts, .lines, .pictures { break-inside: avoid; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
"""


def element(tag: str, *children: Element | str, **attributes: object) -> Element:
    """An element with these children, text among them; `class_` is the attribute class, `font_size` font-size."""
    names = {name: name.rstrip("_").replace("_", "-") for name in attributes}
    made = Element(tag, {names[name]: str(value) for name, value in attributes.items()})
    for child in children:
        if isinstance(child, Element):
            made.append(child)
        elif len(made):
            made[-1].tail = (made[-1].tail or "") + child
        else:
            made.text = (made.text or "") + child
    return made


def page(title: str, body: Sequence[Element]) -> str:
    """The whole file. Text that no file can hold (half a surrogate pair, control characters) becomes '\ufffd'."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("style", STYLE),
    )
    tree = element("html", head, element("body", *body), lang="en")
    text = tostring(tree, encoding="unicode", method="html")
    return "<!doctype html>\n" + "".join(map(_writable, text)) + "\n"


def _writable(letter: str) -> str:
    code = ord(letter)
    bad = (code < 32 and letter not in "\n\t") or 0x7F <= code < 0xA0 or 0xD800 <= code < 0xE000
    return "\ufffd" if bad else letter


def picture(pixels: np.ndarray, alt: str, *, smooth: bool = False) -> Element:
    """An image, uint8 (n, n, 3), inside the page."""
    source = f"data:image/png;base64,{base64.b64encode(png(pixels)).decode()}"
    return element("img", src=source, alt=alt, **(dict(class_="smooth") if smooth else {}))


@dataclass(frozen=True)
class Line:
    """One curve of a chart; values that are not finite leave a gap."""

    name: str
    colour: str
    x: np.ndarray
    y: np.ndarray
    marks: bool = True  # a dot at every point


def chart(title: str, lines: Sequence[Line], *, unit: str, epochs: int) -> Element:
    """A figure with curves over epochs, each named at its end, and read aloud as where it begins and ends.

    Args:
        unit: 'percent' of fractions, or 'number'.
        epochs: How far the x axis reaches.
    """
    points = [_finite(line) for line in lines]
    values = np.concatenate([y for _, y in points]) if points else np.empty(0)
    caption = element("figcaption", title)
    if not len(values):
        return element("figure", caption, element("p", "No numbers were recorded.", class_="soft"))
    told = [
        f"{line.name} begins at {_written(y[0], unit, exact=True)}, ends at {_written(y[-1], unit, exact=True)} and is "
        f"{_written(y.max(), unit, exact=True)} at its highest"
        for line, (_, y) in zip(lines, points, strict=True)
        if len(y)
    ]
    alt = f"{title}, over {epochs} epochs: {'; '.join(told)}."
    steps = _steps(float(values.max()), unit)
    top = steps[-1]
    across, down = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def place(x: float, y: float) -> tuple[float, float]:
        return LEFT + across * min(1.0, x / epochs), TOP + down * (1 - max(0.0, y) / top)

    drawing = []
    for step in steps:
        _, y = place(0, step)
        drawing += [
            element("line", class_="grid", x1=LEFT, x2=LEFT + across, y1=f"{y:.1f}", y2=f"{y:.1f}"),
            element("text", _written(step, unit), x=LEFT - 5, y=f"{y + 4:.1f}", text_anchor="end"),
        ]
    for epoch in sorted({1, *(_steps(epochs, "number", least=1)[1:-1]), epochs}):
        if epoch != epochs and epoch > 0.85 * epochs:
            continue  # it would run into the last one
        x, _ = place(epoch, 0)
        label = element("text", f"{epoch:g}", x=f"{x:.1f}", y=TOP + down + 14, text_anchor="middle")
        drawing.append(label)
    middle = LEFT + across / 2
    drawing.append(element("text", "epoch", x=middle, y=HEIGHT - 3, text_anchor="middle"))
    ends = []
    for line, (xs, ys) in zip(lines, points, strict=True):
        places = [place(x, y) for x, y in zip(xs, ys, strict=True)]
        drawing += _drawn(line, places)
        if places:
            ends.append((places[-1][1], line.name, line.colour, ys[-1]))
    drawing += _names(ends, LEFT + across + 6, unit)
    svg = element("svg", *drawing, viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=alt)
    return element("figure", caption, svg)


def _finite(line: Line) -> tuple[np.ndarray, np.ndarray]:
    """The points that can be drawn, thinned to what can be seen; the last one stays."""
    x, y = np.asarray(line.x, float), np.asarray(line.y, float)
    kept = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    if len(kept) > MOST_POINTS:
        kept = kept[np.unique(np.linspace(0, len(kept) - 1, MOST_POINTS).round().astype(int))]
    return x[kept], y[kept]


def _drawn(line: Line, places: Sequence[tuple[float, float]]) -> list[Element]:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    drawn = [element("polyline", points=path, fill="none", stroke=line.colour, stroke_width=2)]
    if line.marks and len(places) <= 40:
        drawn += [
            element("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r=2.2, fill=line.colour)
            for x, y in places
        ]
    return drawn


def _names(ends: Sequence[tuple[float, str, str, float]], x: float, unit: str) -> list[Element]:
    """Every line's name and last value beside its end, pushed apart where two would cover each other."""
    drawn, room, ends = [], 27.0, sorted(ends)
    heights = [end[0] for end in ends]
    for place in range(1, len(heights)):
        heights[place] = max(heights[place], heights[place - 1] + room)
    excess = max(0.0, heights[-1] + 14 - (HEIGHT - BOTTOM)) if heights else 0.0
    for height, (_, name, colour, value) in zip(heights, ends, strict=True):
        y = max(TOP + 8, height - excess)
        drawn += [
            element("rect", x=x, y=f"{y - 6:.1f}", width=8, height=8, rx=1.5, fill=colour),
            element("text", name, x=x + 11, y=f"{y + 2:.1f}"),
            element("text", _written(value, unit, exact=True), x=x + 11, y=f"{y + 14:.1f}"),
        ]
    return drawn


def _steps(top: float, unit: str, least: float = 0.0) -> list[float]:
    """Round numbers from 0 to at least `top`, four or five of them; fractions end at 1."""
    if unit == "percent" and top > 0.5:
        return [0, 0.25, 0.5, 0.75, 1]
    raw = max(top, 1e-9) / 4
    size = 10 ** math.floor(math.log10(raw))
    step = max(least, next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= raw))
    step = math.ceil(step) if least else step
    return [step * number for number in range(math.ceil(top / step - 1e-9) + 1)]


def _written(value: float, unit: str, exact: bool = False) -> str:
    if unit == "percent":
        return f"{100 * value:.1f}\u00a0%" if exact else f"{100 * value:.3g}\u00a0%"
    return f"{value:.3g}"
