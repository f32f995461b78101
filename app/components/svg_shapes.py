"""The shapes that the picture of the network is drawn with, each as a piece of SVG around a point."""

from html import escape

TEXT, SMALL = 18, 15.5  # font sizes in units of the drawing
SLANT = 0.35  # how much a box rises for each unit that it goes back


def box(x: float, y: float, side: float, depth: float, colour: str) -> str:
    """A box seen from the front left, around (x, y), with the sheets that it consists of hinted at."""
    rise = SLANT * depth
    left, top = x - (side + depth) / 2, y - (side - rise) / 2
    right = left + side
    faces = (
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{side:.1f}" height="{side:.1f}" fill="{colour}"/>'
        f'<path d="M{left:.1f} {top:.1f}l{depth:.1f} {-rise:.1f}h{side:.1f}l{-depth:.1f} {rise:.1f}z" '
        f'fill="{colour}" fill-opacity="0.5"/>'
        f'<path d="M{right:.1f} {top:.1f}l{depth:.1f} {-rise:.1f}v{side:.1f}l{-depth:.1f} {rise:.1f}z" '
        f'fill="{colour}" fill-opacity="0.75"/>'
    )
    count = int(depth // 4)
    sheets = "".join(
        f"M{left + depth * i / count:.1f} {top - rise * i / count:.1f}h{side:.1f}v{side:.1f}"
        for i in range(1, count)
    )
    lines = (
        f'<path d="{sheets}" fill="none" stroke="#fff" stroke-opacity="0.5" stroke-width="0.8"/>'
    )
    return faces + (lines if sheets else "")


def sheets(x: float, y: float, side: float, step: float, colours: tuple[str, ...]) -> str:
    """Flat sheets one behind the other, the first colour in front."""
    middle = (len(colours) - 1) / 2
    return "".join(
        f'<rect x="{x - side / 2 + (i - middle) * step:.1f}" y="{y - side / 2 - (i - middle) * step:.1f}" '
        f'width="{side:.1f}" height="{side:.1f}" rx="2" fill="{colour}"/>'
        for i, colour in reversed(list(enumerate(colours)))
    )


def cells(x: float, y: float, length: float, count: int, colour: str, tall: bool) -> str:
    """A bar of differently bright cells, across the flow: a list of numbers."""
    high, thick = length / count, 13.0
    parts = []
    for i in range(count):
        across = -length / 2 + i * high
        left, top = (x + across, y - thick / 2) if tall else (x - thick / 2, y + across)
        width, height = (high - 1.5, thick) if tall else (thick, high - 1.5)
        parts.append(
            f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}" '
            f'fill-opacity="{0.4 + 0.6 * ((5 * i) % count) / count:.2f}"/>'
        )
    return "".join(parts)


def dots(x: float, y: float, length: float, count: int, tall: bool) -> str:
    """A row of dots across the flow, one of which stands out: scores, and the highest."""
    step = length / (count - 1) if count > 1 else 0.0
    parts = []
    for i in range(count):
        across = step * (i - (count - 1) / 2)
        cx, cy = (x + across, y) if tall else (x, y + across)
        radius, opacity = (5, 1) if i == count // 2 else (3.5, 0.45)
        parts.append(f'<circle cx="{cx:.1f}" cy="{cy:.1f}" r="{radius}" opacity="{opacity}"/>')
    return "".join(parts)


def arrow(start: float, end: float, across: float, tall: bool) -> str:
    """Along the flow from `start` to `end`."""
    head = polygon(((end - 7, -4.5), (end, 0), (end - 7, 4.5)), across, tall)
    line = (
        f"M{across:.1f} {start:.1f}V{end - 6:.1f}"
        if tall
        else f"M{start:.1f} {across:.1f}H{end - 6:.1f}"
    )
    return (
        f'<g opacity="0.65"><path d="{line}" stroke="currentColor" stroke-width="1.6"/>{head}</g>'
    )


def polygon(
    corners: tuple[tuple[float, float], ...], across: float, tall: bool, **attributes: str
) -> str:
    """Corners as (position along the flow, distance from its axis)."""
    points = " ".join(
        f"{across + off:.1f},{along:.1f}" if tall else f"{along:.1f},{across + off:.1f}"
        for along, off in corners
    )
    extra = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in attributes.items())
    return f'<polygon points="{points}"{extra}/>'


def detour(begin: float, end: float, across: float, far: float, colour: str, tall: bool) -> str:
    """From `begin` on the axis out to `far`, along, and back to the axis at `end`."""
    if tall:
        path = f"M{across:.1f} {begin:.1f}H{far + 10:.1f}q-10 0 -10 10V{end - 10:.1f}q0 10 10 10H{across - 8:.1f}"
    else:
        path = f"M{begin:.1f} {across:.1f}V{far + 10:.1f}q0 -10 10 -10H{end - 10:.1f}q10 0 10 10V{across - 8:.1f}"
    return f'<path class="skip" d="{path}" fill="none" stroke="{colour}" stroke-width="2.5"/>'


def plus(along: float, across: float, colour: str, tall: bool) -> str:
    x, y = (across, along) if tall else (along, across)
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="8" fill="{colour}"/>'
        f'<path d="M{x - 4.5:.1f} {y:.1f}h9M{x:.1f} {y - 4.5:.1f}v9" stroke="#fff" stroke-width="2"/>'
    )


def text(
    x: float,
    y: float,
    words: str,
    *,
    size: float = TEXT,
    bold: bool = False,
    anchor: str = "middle",
) -> str:
    weight = ' font-weight="650"' if bold else ""
    fade = ' opacity="0.85"' if size == SMALL else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}"{weight}{fade}>'
        f"{escape(words)}</text>"
    )
