"""How an image and its heat map look in a table."""

from collections.abc import Sequence
from urllib.parse import urlencode

import numpy as np
import streamlit as st

from components.heat.table import Cell, Legend, Picture, Row
from components.image_picker import Subject
from components.messages import percent
from components.pickers import choose_page, forget
from tinymodel.data.prepared import SIDE
from tinymodel.explain import render
from tinymodel.explain.gradcam import Explanation
from tinymodel.runs import Run

HEAT = Legend("nothing speaks for it", "the most")
PER_PAGE = 8  # rows


def page_of(subjects: Sequence[Subject]) -> Sequence[Subject]:
    """Those of the page that is chosen."""
    page = choose_page(-(-len(subjects) // PER_PAGE))
    return subjects[(page - 1) * PER_PAGE : page * PER_PAGE]


def image_cell(run: Run, subject: Subject, answer: Explanation) -> Cell:
    """The image, what it is and what the network says."""
    says = f"says: {run.classes[answer.prediction].name}, {percent(answer.probabilities.max())}"
    true = f"true: {subject.true_name}" if subject.true_name else ""
    alt = f"{subject.true_name or 'Your picture'}, the image"
    return Cell([Picture(subject.pixels, alt)], [true, says])


def heat_cell(
    run: Run, subject: Subject, found: Explanation, drawing: str, top: float | None, share: bool
) -> Cell:
    """A heat map as `drawing` of `choices.DRAWINGS` says.

    Args:
        top: The value that gets the brightest colour; None for the map's own greatest.
        share: Whether to say how strong its greatest is, compared with `top`.
    """
    target = run.classes[found.target].name
    if found.blank:
        lines = [f"empty: nothing here speaks for {target}"]
    else:
        lines = [f"{percent(found.heat.max() / top)} of the strongest"] if share and top else []
    alt = f"Heat map for {target}"
    cells = Picture(render.colour(render.scale(found.heat, top)), f"{alt}, in cells")
    smooth = Picture(
        render.heat_map(found.heat, side=SIDE, smooth=True, top=top), f"{alt}, smooth", crisp=False
    )
    over = render.overlay(subject.pixels, found.heat, opacity=0.5, side=SIDE, smooth=True, top=top)
    over = Picture(over, f"{alt}, over the image", crisp=False)
    pictures = dict(both=[cells, smooth], cells=[cells], smooth=[smooth], over=[over])[drawing]
    return Cell(pictures, lines)


def common_top(column: Sequence[Explanation]) -> float | None:
    """The greatest value of several maps, or None if all are blank."""
    return max((float(found.heat.max()) for found in column), default=0.0) or None


def link(run: Run, subject: Subject) -> str:
    """To the image alone; one's own picture has no address."""
    if subject.index is None:
        return ""
    return f"gradcam?{urlencode(dict(run=run.name, image=subject.index))}"


def open_alone(subject: Subject) -> None:
    """Go on with this image alone."""
    forget("images", "page", "view")
    st.query_params["image"] = str(subject.index)
    st.rerun()


def row(run: Run, subject: Subject, answer: Explanation, cells: Sequence[Cell]) -> Row:
    return Row([image_cell(run, subject, answer), *cells], link(run, subject))


def signed_cells(
    subject: Subject, difference: np.ndarray, top: float, first: str, second: str
) -> Cell:
    """Where the one class is spoken for rather than the other, as cells and over the image."""
    alt = f"Orange speaks for {first}, blue for {second}"
    height, _ = difference.shape
    cells = Picture(render.difference_map(difference, side=height, top=top), f"{alt}, in cells")
    over = render.difference_map(difference, image=subject.pixels, side=SIDE, smooth=True, top=top)
    return Cell([cells, Picture(over, f"{alt}, over the image", crisp=False)])
