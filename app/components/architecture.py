"""The network as a picture: boxes of feature maps, drawn to scale, anew for every design.

A box's front is one feature map, with its side to scale; its depth is how many maps there are, to scale within a
picture.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from math import sqrt

import streamlit as st

from components import palette, svg_shapes
from components.svg_shapes import SLANT, SMALL, text
from tinymodel.summary import BlockSummary

MAPS, NECK, SKIP = palette.BLUE, palette.PURPLE, palette.GREEN
COLOURS = (palette.VERMILLION, palette.GREEN, palette.BLUE)  # the three sheets of an image
IMAGE_SIDE = 84.0  # in units of the drawing, like all that follows
WIDE = 1180.0
AXIS = 60.0  # of the flow from left to right
TALL, TALL_AXIS, TALL_TEXT = 370.0, 96.0, 182.0

_PICTURE = st.components.v2.component(
    "architecture",
    html='<div class="frame"><div class="wide"></div><div class="tall"></div><div class="legend"></div></div>',
    css="""
.frame { container-type: inline-size; color: var(--st-text-color); font-family: var(--st-font); }
svg { display: block; width: 100%; height: auto; overflow: visible; }
.tall { display: none; max-width: 28rem; margin: 0 auto; }
.node:hover { filter: brightness(1.15); }
.legend { display: flex; flex-wrap: wrap; gap: 0.3rem 1.6rem; margin-top: 1.1rem; font-size: 0.9rem; }
.legend i { display: inline-block; width: 0.85rem; height: 0.85rem; border-radius: 3px; margin-right: 0.45rem;
            vertical-align: -0.08rem; }
@container (max-width: 820px) { .wide { display: none; } .tall { display: block; } }
""",
    js="""
export default function ({ data, parentElement }) {
  for (const part of ['wide', 'tall', 'legend']) parentElement.querySelector('.' + part).innerHTML = data[part]
}
""",
)


def picture(blocks: Sequence[BlockSummary], size: int = 64, *, key: str = "architecture") -> None:
    """Draw the network, from left to right, or from top to bottom where the page is narrow."""
    drawings = dict(wide=svg(blocks, size), tall=svg(blocks, size, tall=True))
    _PICTURE(data=dict(**drawings, legend=legend(blocks)), key=key)


def svg(blocks: Sequence[BlockSummary], size: int = 64, *, tall: bool = False) -> str:
    """The picture as an SVG element whose lines and letters have the colour of the text around it."""
    nodes = _place(blocks, size, tall)
    parts = [*_flow(nodes, tall), *_skips(nodes, tall)]
    parts += [_drawn(node, tall) for node in nodes]
    parts += _labels_tall(nodes, size) if tall else _labels_wide(nodes, size)
    width, height = (TALL, nodes[-1].along + 40) if tall else (WIDE, 236)
    description = escape(describe(blocks, size), quote=True)
    return (
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{description}" '
        f'fill="currentColor">{"".join(parts)}</svg>'
    )


def legend(blocks: Sequence[BlockSummary]) -> str:
    """What the colours mean, as HTML."""
    entries = [
        (MAPS, "feature maps"),
        (NECK, "bottleneck: half the side, twice the maps"),
    ]
    if any(block.skip for block in blocks):
        entries.append((SKIP, "skip connection: the input is added to the output"))
    return "".join(f'<span><i style="background:{c}"></i>{escape(t)}</span>' for c, t in entries)


def describe(blocks: Sequence[BlockSummary], size: int = 64) -> str:
    """What the picture shows, in words, for those who cannot see it."""
    steps = [
        f"{block.title}: {_content(block)}{', with a skip connection' if block.skip else ''}"
        for block in blocks
    ]
    return f"An image of {size} × {size} pixels passes: {'; '.join(steps)}."


def sees(block: BlockSummary, size: int = 64) -> str:
    """How much of the image one point of the block's maps depends on."""
    field = block.receptive_field
    if field >= 2 * size:  # even from a corner
        return "the whole image"
    return "nearly all" if field >= size else f"{field} × {field}"


@dataclass(frozen=True)
class _Node:
    """Something drawn: the image (no block), a block's maps, the pooled numbers or the scores."""

    block: BlockSummary | None
    kind: str
    along: float  # the middle of it, along the flow
    side: float  # of the front; of numbers and scores the length across the flow
    depth: float
    count: int  # maps, numbers or scores
    length: float  # along the flow

    @property
    def start(self) -> float:
        return self.along - self.length / 2 - 3

    @property
    def end(self) -> float:
        return self.along + self.length / 2 + 3


def _place(blocks: Sequence[BlockSummary], size: int, tall: bool) -> list[_Node]:
    """All nodes along the flow."""
    most = max(block.output_shape[0] for block in blocks if block.output_shape[1] > 1)
    deepest = 54 * min(
        1.0, sqrt(most / 512)
    )  # a root, so that a quarter of the maps is still to be seen
    sketches = [("image", None, IMAGE_SIDE, 0.0, 3, IMAGE_SIDE + 14)]
    for block in blocks:
        count, side, _ = block.output_shape
        if side == 1:
            sketches.append((block.kind, block, 60.0, 0.0, count, 13.0))
        else:
            front, depth = side / size * IMAGE_SIDE, max(2.0, count / most * deepest)
            length = front + (SLANT * depth if tall else depth)
            sketches.append((block.kind, block, front, depth, count, length))
    slots = [max(sketch[5], _shortest(sketch[0], tall)) for sketch in sketches]
    wider = {"bottleneck": 2.2, "pool": 1.8}  # the one for its neck, the other for its label
    weights = [wider.get(sketch[0], 1.0) for sketch in sketches[1:]]
    if tall:
        gaps = [62.0 if sketch[0] == "bottleneck" else 42.0 for sketch in sketches[1:]]
    else:  # the last gap is for the word 'classifier'
        unit = (WIDE - 112 - sum(slots)) / sum(weights[:-1])
        gaps = [*(unit * weight for weight in weights[:-1]), 64.0]
    nodes, along = [], 12.0 if tall else 6.0
    for sketch, slot, gap in zip(sketches, slots, [*gaps, 0.0], strict=True):
        kind, block, front, depth, count, length = sketch
        nodes.append(_Node(block, kind, along + slot / 2, front, depth, count, length))
        along += slot + gap
    return nodes


def _shortest(kind: str, tall: bool) -> float:
    """The least that a node takes along the flow, so that its label does not touch the next."""
    if tall:
        return 28.0
    return 13.0 if kind in ("pool", "classifier") else 40.0


def _flow(nodes: list[_Node], tall: bool) -> list[str]:
    """Arrows from node to node, and the neck in front of each bottleneck."""
    axis = TALL_AXIS if tall else AXIS
    parts = []
    for a, b in pairwise(nodes):
        if b.kind != "bottleneck":
            parts.append(svg_shapes.arrow(a.end, b.start, axis, tall))
            continue
        mouth = a.end + (22 if a.block.skip else 0)  # room for the plus
        wide, narrow = a.side / 2, b.side / 2
        corners = ((mouth, -wide), (b.start, -narrow), (b.start, narrow), (mouth, wide))
        parts.append(svg_shapes.polygon(corners, axis, tall, fill=NECK, fill_opacity="0.45"))
    return parts


def _skips(nodes: list[_Node], tall: bool) -> list[str]:
    """For each block that adds its input: an arc around it, and a plus where it is added."""
    axis = TALL_AXIS if tall else AXIS
    arcs, pluses = [], []
    for before, node, after in zip(nodes, nodes[1:], nodes[2:], strict=False):
        if node.block is None or not node.block.skip:
            continue
        begin = (before.end + node.start) / 2
        end = node.end + 10 if after.kind == "bottleneck" else (node.end + after.start) / 2
        size = node.side + node.depth * (1 if tall else SLANT)
        far = axis - size / 2 - (24 if tall else 20)
        arcs.append(svg_shapes.detour(begin, end, axis, far, SKIP, tall))
        pluses.append(svg_shapes.plus(end, axis, SKIP, tall))
    return arcs + pluses


def _drawn(node: _Node, tall: bool) -> str:
    """The node itself; a mouse that rests on it reads more."""
    x, y = (TALL_AXIS, node.along) if tall else (node.along, AXIS)
    if node.block is None:
        title = "The image: one sheet each of red, green and blue"
        shape = svg_shapes.sheets(x, y, node.side, 7, COLOURS)
    else:
        block = node.block
        title = (
            f"{block.title}: {_content(block)}. {block.parameters:,} parameters, "
            f"{block.multiply_adds / 1e6:,.1f} million multiply-adds."
        )
        if node.kind == "pool":
            shape = svg_shapes.cells(x, y, node.side, 8, MAPS, tall)
        elif node.kind == "classifier":
            shape = svg_shapes.dots(x, y, node.side, min(7, node.count), tall)
        else:
            colour = NECK if node.kind == "bottleneck" else MAPS
            shape = svg_shapes.box(x, y, node.side, node.depth, colour)
    return f'<g class="node {node.kind}"><title>{escape(title)}</title>{shape}</g>'


def _content(block: BlockSummary) -> str:
    count, side, _ = block.output_shape
    if block.kind == "classifier":
        return f"{count} scores, one a class"
    return f"{count} numbers, one a map" if side == 1 else f"{count} maps of {side} × {side} pixels"


def _labels_wide(nodes: list[_Node], size: int) -> list[str]:
    names, rows = 144, (184, 207, 228)
    image, first = nodes[:2]
    pool, classifier = nodes[-2:]

    def column(x: float, name: str, *lines: str) -> list[str]:
        written = [text(x, names, name)] if name else []
        written.append(text(x, rows[0], lines[0], bold=True))
        under = zip(rows[1:], lines[1:], strict=False)
        return written + [text(x, y, line, size=SMALL) for y, line in under]

    parts = column(image.along, "image", "3 colours", f"{size} × {size} pixels")
    parts += column(
        first.along,
        "first block",
        f"{first.count} maps",
        f"{size} × {size} pixels",
        f"a point sees {sees(first.block, size)}",
    )
    parts += column(pool.along, "average", str(pool.count), "numbers")
    parts += column(classifier.along, "classifier", str(classifier.count), "scores")
    stages = [nodes[i : i + 3] for i, node in enumerate(nodes) if node.kind == "bottleneck"]
    for number, (neck, residual, last) in enumerate(stages, 1):
        left, right = neck.along - neck.length / 2 - 8, last.along + last.length / 2 + 8
        side = neck.block.output_shape[1]
        bracket = f"M{left:.1f} {names + 10}v7H{right:.1f}v-7"
        parts += [
            text(neck.along, names, "bottleneck", bold=True),
            text((residual.along + last.along) / 2, names, "residual × 2"),
            f'<path d="{bracket}" fill="none" stroke="currentColor" opacity="0.5"/>',
        ]
        parts += column(
            (left + right) / 2,
            "",
            f"Stage {number}: {neck.count} maps",
            f"{side} × {side} pixels",
            f"a point sees {sees(last.block, size)}",
        )
    return parts


def _labels_tall(nodes: list[_Node], size: int) -> list[str]:
    parts = []
    for node in nodes:
        if node.block is None:
            lines = ["Image", "3 colours", f"{size} × {size} pixels"]
        elif node.kind in ("pool", "classifier"):
            lines = [node.block.title, _content(node.block)]
        else:
            seen = f"a point sees {sees(node.block, size)}"
            lines = [node.block.title, _content(node.block).removesuffix(" pixels"), seen]
        top = node.along - (8 if len(lines) > 2 else -2)
        for i, line in enumerate(lines):
            bold = i == 0 and node.kind != "residual"
            size_here = 16.5 if i == 0 else 14.5
            parts.append(
                text(TALL_TEXT, top + 19 * i, line, size=size_here, bold=bold, anchor="start")
            )
    return parts
