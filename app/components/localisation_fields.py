"""Right or wrong, looks inside or elsewhere: four fields, each of which opens its pictures."""

from urllib.parse import urlencode

import numpy as np
import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from components import four_fields, gallery, no_pictures, palette
from components.messages import percent
from components.pickers import choose_class, choose_page, forget
from tinymodel.data import PreparedDataset
from tinymodel.errors import UserError
from tinymodel.evaluation import run_dataset
from tinymodel.explain import findings, localisation, render
from tinymodel.explain.findings import FIELDS, WIDEST
from tinymodel.explain.localisation import BOX
from tinymodel.runs import Run

WORDS = {
    "right-inside": "right, and it looks at the thing",
    "right-elsewhere": "right for the wrong reason?",
    "wrong-inside": "looks at the thing, and is wrong",
    "wrong-elsewhere": "wrong, and it looks elsewhere",
}
PER_PAGE = 24


def show(run: Run, table: pd.DataFrame, notes: DeltaGenerator) -> None:
    """The table of two by two of what `localisation.localise` gave, and the pictures of the field that is open."""
    st.subheader("Right or wrong, inside or elsewhere", anchor=False)
    label = choose_class(
        "Only pictures of the class",
        run.classes,
        name="class",
        anything="All classes",
        notes=notes,
        on_change=lambda: forget("page"),
    )
    chosen = table if label is None else table[table["label"] == label]
    field = findings.fields(chosen)
    counts = field.value_counts()
    total = int(counts.sum())
    opened = st.query_params.get("field")
    opened = opened if opened in FIELDS else "right-elsewhere"
    colours = [palette.CORRECT, palette.ORANGE, palette.SKY, palette.WRONG]
    clicked = four_fields.show(
        {
            name: (
                f"{counts.get(name, 0):,}",
                percent(counts.get(name, 0) / total) if total else "",
                WORDS[name],
                colour,
            )
            for name, colour in zip(FIELDS, colours, strict=True)
        },
        rows=["Right answer", "Wrong answer"],
        columns=["looks inside the box", "looks elsewhere"],
        selected=opened,
        label="Right and wrong answers by where the network looks",
        key="fields",
    )
    if clicked is not None and clicked != opened:
        forget("page")
        st.query_params["field"] = clicked
        st.rerun()
    by_chance = findings.looks_inside(table["random_inside"], table["area"])
    by_chance = by_chance[table["area"] <= WIDEST].mean()
    left_out = len(chosen) - total
    st.caption(
        "**Looks inside** means: the heat for its own answer is denser inside the box than outside it. A random map does "
        f"that in {percent(by_chance)} of the pictures."
        + (
            f" Left out: {left_out:,} pictures whose box covers more than {WIDEST:.0%} of the picture, where there is "
            "hardly any elsewhere, or whose map is empty."
            if left_out
            else ""
        )
    )
    show_gallery(run, chosen[field == opened], opened)


def show_gallery(run: Run, chosen: pd.DataFrame, field: str) -> None:
    st.markdown(f"**{WORDS[field].capitalize()}**: {len(chosen):,} pictures")
    if chosen.empty:
        st.info("No picture is of this kind.", icon=":material/info:")
        return
    chosen = chosen.assign(gain=chosen["inside"] - chosen["area"])
    chosen = chosen.sort_values("gain", ascending=field.endswith("elsewhere"), kind="stable")
    page = choose_page(-(-len(chosen) // PER_PAGE))
    shown = chosen.iloc[(page - 1) * PER_PAGE : page * PER_PAGE]
    try:
        dataset = run_dataset(run)
    except UserError as error:
        no_pictures.show(run, error, "Here the pictures appear, with where the network looked.")
        return
    queries = [dict(run=run.name, image=int(index)) for index in shown["index"]]
    clicked = gallery.grid(
        [picture(dataset, row) for row in shown.itertuples()],
        [describe(run, row) for row in shown.itertuples()],
        key="looks",
        side=128,
        clickable=True,
        links=[f"gradcam?{urlencode(query)}" for query in queries],
        smooth=True,
    )
    st.caption(
        "The box is drawn in light blue; bright is where the network looked for its answer. The most extreme first; a "
        "click opens the picture in Grad-CAM."
    )
    if clicked is not None:
        st.switch_page("views/gradcam.py", query_params=queries[clicked])


def picture(dataset: PreparedDataset, row) -> np.ndarray:
    heat = localisation.unpacked(row.map)
    mixed = render.overlay(dataset.images[row.index], heat, opacity=0.55, side=192, smooth=True)
    return render.with_box(mixed, dataset.samples.loc[row.index, BOX], palette.BOX)


def describe(run: Run, row) -> str:
    true, says = run.classes[row.label].name, run.classes[row.prediction].name
    return (
        f"true: {true}\nsays: {says}, {percent(row.confidence)}\n"
        f"{percent(row.inside)} of the heat in {percent(row.area)} of the picture"
    )
