"""The cells of a confusion matrix: which one the address names, its pictures, and the most confused pairs as a table."""

import numpy as np
import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from components import gallery
from components.messages import plain
from components.pickers import class_in_address, forget
from components.predictions import describe, images_of
from tinymodel import scores
from tinymodel.runs import Run

PICTURES = 12  # of a cell


def in_address(run: Run, notes: DeltaGenerator) -> tuple[int | None, int | None]:
    """The labels of `?true=` and `?predicted=`; None where the address names none."""
    true, predicted = (
        class_in_address(label, run.classes, name=name, notes=notes)
        for label, name in (("True class", "true"), ("Predicted class", "predicted"))
    )
    return true, predicted


def open_cell(run: Run, true: int | None, predicted: int | None) -> None:
    """Into the address, which the page reads when it runs again."""
    forget("true", "predicted")
    for name, label in (("true", true), ("predicted", predicted)):
        if label is not None:
            st.query_params[name] = run.classes[label].wnid


def named_pairs(run: Run, counts: np.ndarray) -> pd.DataFrame:
    pairs = scores.confused_pairs(counts)
    for column in ("true", "predicted"):
        pairs[column] = pairs[column].map(lambda label: run.classes[label].name)
    return pairs


def show_pairs(run: Run, counts: np.ndarray) -> None:
    """The most confused pairs; a click on one opens its pictures."""
    st.subheader("Most confused pairs", anchor=False)
    pairs = scores.confused_pairs(counts)
    if pairs.empty:
        st.success("Not one mistake on the validation images.", icon=":material/celebration:")
        return
    st.caption("Click a cell of the matrix, a name at its edge, or a row here to see the pictures.")

    def chosen() -> None:
        for row, _ in st.session_state["pairs"].selection.cells:
            open_cell(run, int(pairs["true"][row]), int(pairs["predicted"][row]))

    st.dataframe(
        named_pairs(run, counts).assign(share=100 * pairs["share"]).head(200),
        column_config=dict(
            true="True class",
            predicted="It says",
            count=st.column_config.NumberColumn("Times", width=60),
            share=st.column_config.NumberColumn(
                "Share", format="%.1f %%", width=70, help="Of the pictures of the true class."
            ),
            back=st.column_config.NumberColumn(
                "Back", width=60, help="How often the other way round."
            ),
        ),
        hide_index=True,
        height=480,
        key="pairs",
        on_select=chosen,
        selection_mode="single-cell",
        alt="Most confused pairs",
    )


def show_pictures(
    run: Run, answers: pd.DataFrame, counts: np.ndarray, true: int | None, predicted: int | None
) -> None:
    """The pictures of a cell; of a whole row or column its mistakes."""
    names = [
        None if label is None else plain(run.classes[label].name) for label in (true, predicted)
    ]
    kind = "all" if None not in (true, predicted) else "mistakes"
    chosen = scores.select(answers, kind, true=true, predicted=predicted, sort="sure")
    title = " / ".join(
        f"{word}: {name}" for word, name in zip(("true", "says"), names, strict=True) if name
    )
    st.subheader(title, anchor=False)
    what = "pictures" if kind == "all" else "wrong answers"
    st.caption(f"{len(chosen):,} {what}, the surest first.")
    with st.container(horizontal=True):
        st.button("All pairs", icon=":material/arrow_back:", on_click=forget, args=("true", "predicted"))  # fmt: skip
        if kind == "all" and true != predicted:
            st.button(
                f"Vice versa ({counts[predicted, true]})",
                icon=":material/swap_horiz:",
                on_click=open_cell,
                args=(run, predicted, true),
                disabled=not counts[predicted, true],
            )
        show_more(run, true, predicted, kind)
    images = images_of(run) if len(chosen) else None
    if images is None:
        return
    shown = chosen.head(PICTURES)
    clicked = gallery.grid(
        [images[row] for row in shown["index"]],
        [describe(run, answer) for answer in shown.itertuples()],
        key="cell",
        side=96,
        clickable=True,
    )
    if clicked is not None:
        st.switch_page(
            "views/mistakes.py",
            query_params=mistakes_query(run, true, predicted, kind)
            | dict(image=str(shown["index"].iloc[clicked])),
        )


def mistakes_query(run: Run, true: int | None, predicted: int | None, kind: str) -> dict[str, str]:
    labels = dict(true=true, predicted=predicted)
    chosen = {name: run.classes[label].wnid for name, label in labels.items() if label is not None}
    return dict(run=run.name, show=kind, sort="sure", **chosen)


def show_more(run: Run, true: int | None, predicted: int | None, kind: str) -> None:
    st.page_link(
        "views/mistakes.py",
        label="See them all large",
        icon=":material/open_in_full:",
        query_params=mistakes_query(run, true, predicted, kind),
    )
