"""Many pictures at once, each with its heat map over it."""

from collections.abc import Sequence

import numpy as np
import streamlit as st

from components import gallery
from components.heat import choices, drawing
from components.heat.asking import Question, ask
from components.image_picker import Subject
from components.messages import percent
from components.pickers import choose, choose_page
from tinymodel.explain import render
from tinymodel.explain.gradcam import Explanation
from tinymodel.runs import Run

PER_PAGE = 24
SHOWN = {"over": "Heat over the picture", "heat": "Heat map alone", "image": "Picture alone"}


def show(run: Run, subjects: Sequence[Subject]) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        layer = choices.choose_layer(run)
        method = choices.choose_method(slow=False)
        target = choices.choose_target(run)
        shown = choose("Show", SHOWN, name="show", as_row=True)
        same = choices.choose_scale()
    page = choose_page(-(-len(subjects) // PER_PAGE))
    subjects = subjects[(page - 1) * PER_PAGE : page * PER_PAGE]
    answers = [a[0] for a in ask(run, [Question(s, (layer,), method, target) for s in subjects])]
    top = drawing.common_top(answers) if same else None
    clicked = gallery.grid(
        [picture(s, found, shown, top) for s, found in zip(subjects, answers, strict=True)],
        [caption(run, s, found, top) for s, found in zip(subjects, answers, strict=True)],
        key="many",
        side=160,
        clickable=subjects[0].photo is None,  # one's own picture has no address
        links=[drawing.link(run, subject) for subject in subjects],
        smooth=shown != "image",
    )
    if clicked is not None:
        drawing.open_alone(subjects[clicked])


def picture(subject: Subject, found: Explanation, shown: str, top: float | None) -> np.ndarray:
    if shown == "image":
        return subject.pixels
    if shown == "heat":
        return render.heat_map(found.heat, side=128, smooth=True, top=top)
    return render.overlay(subject.pixels, found.heat, opacity=0.5, side=128, smooth=True, top=top)


def caption(run: Run, subject: Subject, found: Explanation, top: float | None) -> str:
    target = run.classes[found.target].name
    lines = [f"true: {subject.true_name}"] if subject.true_name else []
    lines.append(
        f"says: {run.classes[found.prediction].name}, {percent(found.probabilities.max())}"
    )
    if found.blank:
        lines.append(f"empty: nothing speaks for {target}")
    elif top:
        lines.append(f"{percent(found.heat.max() / top)} of the strongest")
    return "\n".join(lines)
