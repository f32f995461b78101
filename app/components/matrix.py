"""The confusion matrix as a picture that answers: zoom, names at its edges, a click or Enter opens a cell."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import streamlit as st

from components import palette


def _read(file: str) -> str:
    return (Path(__file__).parent / file).read_text(encoding="utf-8")


_MATRIX = st.components.v2.component(
    "confusion_matrix",
    html="""
<div class="matrix">
  <div class="bar">
    <button class="out" title="Smaller (-)" aria-label="Smaller">−</button>
    <button class="in" title="Larger (+)" aria-label="Larger">+</button>
    <button class="fit" title="See all of it">Fit</button>
    <div class="says" aria-live="polite"></div>
  </div>
  <div class="scroll" tabindex="0" role="application"
       aria-label="Confusion matrix: arrow keys move, Enter opens the pictures of a cell"><div class="sheet"></div></div>
</div>
""",
    css=_read("matrix.css"),
    js=_read("matrix.js"),
)


def show(
    counts: np.ndarray,
    labels: Sequence[int],
    names: Sequence[str],
    *,
    key: str,
    selected: tuple[int | None, int | None],
    on_open: Callable[[int | None, int | None], None],
) -> None:
    """Draw the rows and columns of some labels.

    Args:
        counts: As `scores.confusion` gives it: int (classes, classes), a row per true label.
        labels: Which ones, in what order.
        names: Of all classes.
        selected: The true and the predicted label whose cell has a frame; None: the whole row or column.
        on_open: Called with the labels of the cell that was opened; None of the other one for a name at the edge.
    """
    shown = counts[np.ix_(labels, labels)]
    images = counts.sum(1)[list(labels)]
    shares = shown / np.maximum(images, 1)[:, None]
    wrong = shares - np.diag(shares.diagonal())
    strength = np.sqrt(wrong / (wrong.max() or 1)) + np.diag(shares.diagonal())
    rows, columns = np.nonzero(shown)

    def opened() -> None:
        cell = st.session_state[key].opened
        if cell is not None:
            on_open(*(labels[place] if place >= 0 else None for place in cell))

    places = {label: place for place, label in enumerate(labels)}
    chosen = [places.get(label, -1) for label in selected]
    _MATRIX(
        data=dict(
            names=[names[label] for label in labels],
            labels=list(labels),
            images=images.tolist(),
            cells=[
                [
                    int(row),
                    int(column),
                    int(shown[row, column]),
                    round(float(strength[row, column]), 3),
                ]
                for row, column in zip(rows, columns, strict=True)
            ],
            selected=chosen if max(chosen) >= 0 else None,
            colours=dict(right=palette.CORRECT, wrong=palette.WRONG),
            hint="Rows: what it is. Columns: what the network says. Green: right, orange: wrong; stronger: more often.",
        ),
        key=key,
        on_opened_change=opened,
    )
