"""Compare: the pictures that one run gets right and another one does not, and where each of them looked."""

import numpy as np
import pandas as pd
import streamlit as st
from components import gallery, heat_maps, keyboard
from components.messages import missing, percent, user_errors
from components.pickers import choose, choose_page, choose_run, forget
from components.predictions import images_of, predictions_of, still_training

from tinymodel import scores
from tinymodel.errors import UserError
from tinymodel.runs import Run, list_runs

PER_PAGE = 9  # pictures, each with two heat maps


def main() -> None:
    st.title("Compare two runs")
    st.caption(
        "Which pictures does one network get right and the other one not, and where did they look?"
    )
    notes = st.container()
    with user_errors():
        first, second = choose_two(notes)
        if problem := difference(first, second):
            raise UserError(
                f"{problem} Choose two runs that were judged by the same pictures: the same dataset and the same classes."
            )
        table = scores.compare(predictions_of(first), predictions_of(second))
        for run in (first, second):
            still_training(run)
        outcome = choose_outcome(table, notes)
        say_chance(table)
        chosen = worst_first(table, outcome)
        images = images_of(first)
        if images is not None and len(chosen):
            show_pictures((first, second), chosen, images)
        elif chosen.empty:
            st.info(
                "There is no picture of this kind: choose another one above.",
                icon=":material/info:",
            )
        download(first, second, table)


def choose_two(notes) -> tuple[Run, Run]:
    datasets = [run.info().get("fingerprint") for run in list_runs()]
    asked = "run" in st.query_params or "other" in st.query_params
    if len(datasets) < 2 or (not asked and len(set(datasets)) == len(datasets)):
        missing(
            "Two networks are needed",
            "Here you will see which pictures one run gets right and another one does not. Train one more on the same "
            "pictures: with another width, other settings, or only another seed.",
            page="views/train.py",
            label="Train a network",
        )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        first = choose_run(
            "",
            "",
            label="Run A",
            suits=lambda run: datasets.count(run.info().get("fingerprint")) > 1,
            notes=notes,
            on_change=lambda: forget("page"),
        )
        second = choose_run(
            "",
            "",
            label="Run B",
            name="other",
            without=first.name,
            suits=lambda run: difference(first, run) == "",
            notes=notes,
            on_change=lambda: forget("page"),
        )
        st.button(
            "Swap",
            icon=":material/swap_horiz:",
            on_click=lambda: st.query_params.update(run=second.name, other=first.name),
        )
    return first, second


def difference(first: Run, second: Run) -> str:
    """Why their answers cannot be compared picture by picture; '' if they can."""
    if first.info()["fingerprint"] != second.info()["fingerprint"]:
        return f"{first.name!r} and {second.name!r} learned from different datasets."
    counts = [len(run.classes) for run in (first, second)]
    if first.classes != second.classes:
        return (
            f"{first.name!r} knows {counts[0]} classes and {second.name!r} knows {counts[1]}, and they are not the "
            "same."
        )
    if not np.array_equal(first.val_indices, second.val_indices):
        return f"{first.name!r} and {second.name!r} were judged by different pictures."
    return ""


def choose_outcome(table: pd.DataFrame, notes) -> str:
    counts = table["outcome"].value_counts()
    titles = {
        "first": "Only A is right",
        "second": "Only B is right",
        "neither": "Both wrong",
        "both": "Both right",
    }
    default = next((name for name in titles if counts.get(name)), "first")  # no empty view at first
    return choose(
        "Show",
        {name: f"{title} ({counts.get(name, 0):,})" for name, title in titles.items()},
        name="show",
        default=default,
        as_row=True,
        notes=notes,
        on_change=lambda: forget("page"),
    )


def say_chance(table: pd.DataFrame) -> None:
    """The accuracies, and whether their difference may be chance."""
    only_a, only_b = ((table["outcome"] == name).sum() for name in ("first", "second"))
    right = (table["outcome"] == "both").sum()
    accuracies = [(right + only) / len(table) for only in (only_a, only_b)]
    chance = scores.chance_of_difference(int(only_a), int(only_b))
    if not only_a + only_b:
        st.caption(f"Both are right about the same {right:,} of {len(table):,} pictures.")
        return
    words = f"A is right about {percent(accuracies[0])} of the {len(table):,} pictures, B about {percent(accuracies[1])}. "
    often = "less than 0.1 %" if chance < 0.001 else percent(chance)
    if chance < 0.05:
        words += f"Two equally good networks would differ so much in only {often} of such comparisons: the difference is hardly chance."
    else:
        words += f"Two equally good networks would differ at least so much in {often} of such comparisons: it may be chance."
    st.caption(f"{words} (McNemar's exact test)")


def worst_first(table: pd.DataFrame, outcome: str) -> pd.DataFrame:
    """Where they differ most in what they give the true class; of equal answers the worst of both."""
    chosen = table[table["outcome"] == outcome]
    if outcome in ("first", "second"):
        key = -(chosen["true_probability_first"] - chosen["true_probability_second"]).abs()
    else:
        key = chosen["true_probability_first"] + chosen["true_probability_second"]
    return chosen.iloc[np.argsort(key.to_numpy(), kind="stable")]


def show_pictures(runs: tuple[Run, Run], chosen: pd.DataFrame, images: np.ndarray) -> None:
    pages = -(-len(chosen) // PER_PAGE)
    with st.container(horizontal=True, vertical_alignment="center"):
        page = choose_page(pages)
        keyboard.on_pages(page, pages, f"{len(chosen):,} pictures")
    shown = chosen.iloc[(page - 1) * PER_PAGE : page * PER_PAGE]
    rows = shown["index"].tolist()
    maps = heat_maps.heat_maps_of(runs, images, rows)
    classes = runs[0].classes
    beside = []
    for place, (image, row) in enumerate(zip(rows, shown.itertuples(), strict=True)):
        said = (
            ("A", row.prediction_first, row.confidence_first),
            ("B", row.prediction_second, row.confidence_second),
        )
        beside.append(
            [
                (
                    heat_maps.overlay(images[image], maps[which][place]),
                    f"{letter} says: {classes[label].name}, {percent(confidence)}"
                    + ("\n(empty heat map)" if maps[which][place].blank else ""),
                )
                for which, (letter, label, confidence) in enumerate(said)
            ]
        )
    clicked = gallery.grid(
        [images[row] for row in rows],
        [f"true: {classes[label].name}" for label in shown["label"]],
        key="compared",
        side=128,
        beside=beside,
        clickable=True,
    )
    if clicked is not None:
        st.switch_page(
            "views/gradcam.py",
            query_params=dict(run=runs[0].name, image=str(rows[clicked])),
        )


def download(first: Run, second: Run, table: pd.DataFrame) -> None:
    names = [item.name for item in first.classes]

    def csv() -> str:
        labels = {name: table[name].map(names.__getitem__) for name in ("label", "prediction_first", "prediction_second")}  # fmt: skip
        return table.assign(**labels).to_csv(index=False)

    st.download_button(
        "Download the comparison (CSV)",
        csv,
        file_name=f"{first.name}-and-{second.name}.csv",
        mime="text/csv",
        icon=":material/download:",
        on_click="ignore",
    )


main()
