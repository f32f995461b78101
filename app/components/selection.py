"""Several pictures at once: ticked in the gallery, named in the address, their heat maps in one grid."""

import numpy as np
import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from components import gallery, heat_maps
from components.pickers import forget
from components.predictions import describe
from tinymodel.runs import Run


def read(answers: pd.DataFrame, notes: DeltaGenerator) -> list[int]:
    """The images of `?pick=3,17`, those that are there."""
    words = [word for word in st.query_params.get("pick", "").split(",") if word]
    known = set(answers["index"].tolist())
    picked = [int(word) for word in words if word.isdecimal() and len(word) < 10]
    picked = list(dict.fromkeys(row for row in picked if row in known))
    if len(picked) < len(words) or len(picked) > heat_maps.MOST:
        notes.warning(
            f"Of the {len(words)} selected pictures {min(len(picked), heat_maps.MOST)} are kept: the others are none "
            f"of this run's validation images, or more than {heat_maps.MOST}.",
            icon=":material/help:",
        )
    return picked[: heat_maps.MOST]


def toggle(picked: list[int], row: int) -> None:
    changed = [other for other in picked if other != row] if row in picked else [*picked, row]
    if changed:
        st.query_params["pick"] = ",".join(map(str, changed))
    else:
        forget("pick", "heat")


def show_bar(picked: list[int]) -> None:
    if not picked:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        count = f"{len(picked)} of at most {heat_maps.MOST} pictures selected"
        if st.query_params.get("heat"):
            st.button("Back to the list", icon=":material/arrow_back:", on_click=forget, args=("heat",))  # fmt: skip
        else:
            st.button(
                "See their heat maps",
                icon=":material/center_focus_strong:",
                type="primary",
                on_click=lambda: st.query_params.update(heat="on"),
            )
        st.button("Select none", icon=":material/deselect:", on_click=forget, args=("pick", "heat"))
        st.caption(count, width="content")


def show_heat_maps(run: Run, answers: pd.DataFrame, picked: list[int], images: np.ndarray) -> None:
    """The selected pictures with where the network looked for what it says."""
    (maps,) = heat_maps.heat_maps_of([run], images, picked)
    rows = answers.set_index("index").loc[picked]
    beside = []
    for row, heat in zip(picked, maps, strict=True):
        name = run.classes[heat.target].name
        beside.append([(heat_maps.overlay(images[row], heat), heat_maps.caption(heat, name))])
    gallery.grid(
        [images[row] for row in picked],
        [describe(run, answer) for answer in rows.itertuples()],
        key="heat-maps",
        beside=beside,
        side=heat_maps.SIDE,
    )
    st.page_link(
        "views/gradcam.py",
        label="Compare their layers and methods with Grad-CAM",
        icon=":material/center_focus_strong:",
        query_params=dict(run=run.name, images=",".join(map(str, picked))),
    )
