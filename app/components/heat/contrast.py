"""Why this and not that: the maps of two classes, and where they differ."""

from collections.abc import Sequence

import numpy as np
import streamlit as st

from components.heat import choices, drawing, table
from components.heat.asking import Question, ask
from components.image_picker import Subject
from components.messages import percent
from components.pickers import choose_class
from tinymodel.explain import render
from tinymodel.explain.gradcam import Explanation
from tinymodel.runs import Run


def show(run: Run, subjects: Sequence[Subject]) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        this = choose_class(
            "Why this?",
            run.classes,
            name="this",
            anything="The true class",
            help="By default what the picture shows; of a picture of your own, what the network says.",
        )
        that = choose_class(
            "And not that?",
            run.classes,
            name="that",
            anything="What the network says instead",
            help="By default its answer; where that is the first class already, its second choice.",
        )
        layer = choices.choose_layer(run)
    page = drawing.page_of(subjects)
    first_look = [found[0] for found in ask(run, [Question(s, (layer,)) for s in page])]
    pairs = [
        pair(subject, found, this, that) for subject, found in zip(page, first_look, strict=True)
    ]
    questions = [
        Question(s, (layer,), target=label)
        for s, labels in zip(page, pairs, strict=True)
        for label in labels
    ]
    answers = [found[0] for found in ask(run, questions)]
    rows = [
        _row(run, subject, answers[2 * i], answers[2 * i + 1]) for i, subject in enumerate(page)
    ]
    clicked = table.show(
        [
            ("Picture", ""),
            ("What speaks for the one", "brightness: both maps on one scale"),
            ("What speaks for the other", "brightness: both maps on one scale"),
            ("The difference", "orange: for the one · blue: for the other"),
        ],
        rows,
        key="contrast",
        label="Two classes compared, a row for each picture",
        legend=table.Legend("speaks for the other", "speaks for the one", render.DIVERGING),
    )
    st.caption(
        "The difference is taken before anything is cut off, so it is the Grad-CAM map of *score of the one minus score of "
        "the other*: it shows what tips the balance. Where both classes are spoken for alike, it is grey."
    )
    if clicked is not None:
        drawing.open_alone(page[clicked])


def pair(
    subject: Subject, found: Explanation, this: int | None, that: int | None
) -> tuple[int, int]:
    """The two labels to compare: never the same one twice."""
    if this is None:
        this = found.prediction if subject.true is None else subject.true
    if that is None or that == this:
        that = next(label for label, _ in found.top(2) if label != this)
    return this, that


def _row(run: Run, subject: Subject, one: Explanation, other: Explanation) -> table.Row:
    difference = one.signed - other.signed
    top = drawing.common_top([one, other])
    greatest = float(np.abs(difference).max())
    names = [run.classes[found.target].name for found in (one, other)]
    cells = []
    for found, name in zip((one, other), names, strict=True):
        cell = drawing.heat_cell(run, subject, found, "both", top, False)
        title = f"{name}: {percent(found.probabilities[found.target])}"
        cells.append(table.Cell(cell.pictures, [title, *cell.lines]))
    signed = drawing.signed_cells(subject, difference, greatest, *names)
    cells.append(table.Cell(signed.pictures, [f"orange: {names[0]}", f"blue: {names[1]}"]))
    return drawing.row(run, subject, one, cells)
