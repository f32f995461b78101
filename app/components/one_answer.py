"""One picture and what the network said about it, in a dialog over the page. `?image=` names it."""

import numpy as np
import pandas as pd
import streamlit as st

from components import gallery, heat_maps, keyboard, probabilities
from components.messages import percent, plain, user_errors
from components.pickers import forget
from tinymodel.runs import Run


@st.dialog("One picture", width="large", on_dismiss=lambda: forget("image"))
def show(run: Run, answers: pd.DataFrame, chosen: pd.DataFrame, images: np.ndarray) -> None:
    """The picture of `?image=`, with its neighbours in `chosen` one key away.

    Args:
        answers: Of all validation images, as `scores.described`.
        chosen: Those that the page shows, in order.
    """
    index = int(st.query_params["image"])
    answer = answers[answers["index"] == index].iloc[0]
    true, says = run.classes[answer["label"]].name, run.classes[answer["prediction"]].name
    colour, icon = ("green", "check_circle") if answer["right"] else ("red", "cancel")
    st.markdown(
        f"#### :{colour}[:material/{icon}:] true: **{plain(true)}** / says: **{plain(says)}**, "
        f"{percent(answer['confidence'])}"
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        step(chosen, index)
        st.page_link(
            "views/gradcam.py",
            label="Study it with Grad-CAM",
            icon=":material/center_focus_strong:",
            query_params=dict(run=run.name, image=str(index), source="mistakes"),
        )
    picture, heat, words = st.columns([1, 1, 1.35], gap="medium")
    with picture:
        gallery.picture(
            images[index], side=None, alt=f"A picture of {true}", caption=f"Image {index}"
        )
    with words:
        top = list(zip(answer["top5"], answer["top5_probabilities"], strict=True))
        probabilities.bars(top, run.classes, int(answer["label"]), key=f"top-{index}")
        st.caption(
            f"Loss {answer['loss']:.2f} · lead over the runner-up (margin) {percent(answer['margin'])} · "
            f"probability of the true class {percent(answer['true_probability'])}"
        )
    with heat, user_errors():  # stepping runs the dialog alone, and the run may have been deleted
        ((explanation,),) = heat_maps.heat_maps_of([run], images, [index])
        gallery.picture(
            heat_maps.overlay(images[index], explanation),
            side=None,
            smooth=True,
            alt="The same picture with its heat map",
            caption=f"It {heat_maps.caption(explanation, says)}",
        )


def step(chosen: pd.DataFrame, index: int) -> None:
    """Buttons and keys that go to the neighbours in `chosen`."""
    rows = chosen["index"].to_numpy()
    places = np.flatnonzero(rows == index)
    if not len(places):
        st.caption("This picture is not among those that the page shows now.")
        return
    place = int(places[0])
    actions = {}
    for label, key, other in (
        ("Previous", "ArrowLeft", place - 1),
        ("Next", "ArrowRight", place + 1),
    ):
        inside = 0 <= other < len(rows)

        def go(other: int = other) -> None:
            st.query_params["image"] = str(rows[other])

        if inside:
            actions[key] = go
        st.button(
            label,
            icon=f":material/{'chevron_left' if other < place else 'chevron_right'}:",
            disabled=not inside,
            on_click=go,
            key=f"step-{label}",
        )
    keyboard.on_keys(
        actions, f"{place + 1:,} of {len(rows):,} · ← and → step", key="one-answer-keys"
    )
