"""The networks that come along, for whoever wants to see something before anything has been trained."""

import streamlit as st

from components.messages import percent, plain
from tinymodel.data import list_datasets
from tinymodel.errors import UserError
from tinymodel.runs import Run, list_runs


def show() -> None:
    """A card each, those that know least first; nothing if there are none."""
    shipped = sorted(
        (run for run in list_runs() if run.shipped and run.has_weights),
        key=lambda run: len(run.classes),
    )
    if not shipped:
        return
    st.subheader("Or begin with one that has learned already", anchor=False)
    datasets = list_datasets()
    for run, column in zip(shipped, st.columns(max(2, len(shipped))), strict=False):
        with column.container(border=True, height="stretch", key=f"ready-{run.name}"):
            show_one(run, drawn=run.config.dataset == "sample", here=run.config.dataset in datasets)


def show_one(run: Run, *, drawn: bool, here: bool) -> None:
    """What it knows and how well, and what can be done with it.

    Args:
        drawn: Whether it knows the drawn things of the sample, which says little about photos.
        here: Whether its pictures are here.
    """
    count = len(run.classes)
    st.markdown(f"**{count} kinds of {'drawn things' if drawn else 'things, from photographs'}**")
    try:
        best = run.best_accuracy
    except UserError as error:
        st.caption(plain(str(error)))
        return
    st.caption(
        f"Right about {percent(best)} of pictures it had never seen; guessing gets {percent(1 / count)}."
    )
    with st.container(horizontal=True):
        link("train", "Watch how it learned", "monitoring", run=run.name)
        if here:
            link("gradcam", "See where it looks", "center_focus_strong", run=run.name)
        if not drawn:
            link("gradcam", "Ask it about your photo", "add_a_photo", run=run.name, source="upload")


def link(page: str, label: str, icon: str, **query: str) -> None:
    st.page_link(f"views/{page}.py", label=label, icon=f":material/{icon}:", query_params=query)
