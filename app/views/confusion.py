"""Confusion: which classes a run takes for one another, class by class, and how honest its confidence is."""

import numpy as np
import pandas as pd
import streamlit as st
from components import cells, matrix, score_charts
from components.messages import percent, user_errors
from components.pickers import choose, choose_classes, choose_run, forget
from components.predictions import predictions_of, still_training

from tinymodel import scores
from tinymodel.runs import Run

VIEWS = {
    "matrix": "What it mixes up",
    "classes": "Class by class",
    "calibration": "How honest it is",
}
COUNTS = {"5": "5", "10": "10", "20": "20", "40": "40", "all": "All"}
ORDERS = {
    "alike": "Confused ones together",
    "name": "By name",
    "worst": "Worst class first",
}
BARS = {
    "worst": "Worst first",
    "best": "Best first",
    "name": "By name",
    "said": "Most often said first",
}


def main() -> None:
    st.title("Confusion")
    st.caption(
        "Which classes the network takes for one another, on pictures it never learned from."
    )
    notes = st.container()
    with user_errors():
        run = choose_run(
            "No network yet",
            "Here you will see at a glance which classes a trained network mixes up (its confusion matrix), and a "
            "click shows the pictures. First a network must learn something.",
            notes=notes,
            on_change=lambda: forget("true", "predicted", "classes"),
        )
        view = choose("View", VIEWS, name="view", as_row=True, notes=notes)
        answers = predictions_of(run)
        still_training(run)
        counts = scores.confusion(answers, len(run.classes))
        if view == "matrix":
            show_matrix(run, answers, counts, notes)
        elif view == "classes":
            show_classes(run, answers, notes)
        else:
            show_calibration(answers)


def show_matrix(run: Run, answers: pd.DataFrame, counts: np.ndarray, notes) -> None:
    names = [item.name for item in run.classes]
    cell = cells.in_address(run, notes)
    labels = choose_labels(run, counts, notes)
    inside = counts[np.ix_(labels, labels)]
    wrong, shown = (m.sum() - np.trace(m) for m in (counts, inside))
    left, right = st.columns([1.5, 1], gap="large")
    with left:
        matrix.show(
            counts,
            labels,
            names,
            key="matrix",
            selected=cell,
            on_open=lambda *cell: cells.open_cell(run, *cell),
        )
        if len(labels) < len(names):
            st.caption(
                f"{shown:,} of its {wrong:,} mistakes are between these {len(labels)} of {len(names)} classes."
            )
    with right:
        if cell == (None, None):
            cells.show_pairs(run, counts)
        else:
            cells.show_pictures(run, answers, counts, *cell)
    with st.container(horizontal=True):
        download(run, "confusion matrix", lambda: pd.DataFrame(counts, names, names).to_csv())
        download(run, "pairs", lambda: cells.named_pairs(run, counts).to_csv(index=False))


def choose_labels(run: Run, counts: np.ndarray, notes) -> list[int]:
    """Which classes, in what order."""
    total = len(run.classes)
    sizes = {value: title for value, title in COUNTS.items() if value == "all" or int(value) < total}  # fmt: skip
    with st.container(horizontal=True, vertical_alignment="bottom"):
        size = choose(
            "How many classes",
            sizes,
            name="count",
            default="20" if "20" in sizes else "all",
            as_row=True,
            help="Those that are confused most come first.",
            notes=notes,
        )
        order = choose("Order", ORDERS, name="order", notes=notes)
        chosen = choose_classes(
            "Only these classes",
            run.classes,
            name="classes",
            help="Instead of those that are confused most.",
            notes=notes,
        )
    labels = chosen or scores.most_confused(counts, total if size == "all" else int(size))
    if order == "name":
        return sorted(labels, key=lambda label: run.classes[label].name.lower())
    if order == "worst":
        share = counts.diagonal() / np.maximum(counts.sum(1), 1)
        return sorted(labels, key=lambda label: share[label])
    return [labels[place] for place in scores.similar_together(counts[np.ix_(labels, labels)])]


# Class by class


def show_classes(run: Run, answers: pd.DataFrame, notes) -> None:
    names = [item.name for item in run.classes]
    table = scores.per_class(answers, len(names))
    show_accuracy(answers)
    order = choose("Order", BARS, name="bars", as_row=True, notes=notes)
    keys = dict(
        worst=(["accuracy", "top5"], True),
        best=(["accuracy", "top5"], False),
        said=(["said"], False),
    )
    if order == "name":
        table = table.iloc[sorted(table["label"], key=lambda label: names[label].lower())]
    else:
        columns, ascending = keys[order]
        table = table.sort_values(columns, ascending=ascending, kind="stable")
    images = table["images"].median()
    st.caption(
        f"A class has about {images:.0f} pictures here, so one picture more or less is "
        f"{percent(1 / max(images, 1))}: small differences between classes are chance. Click a bar to see its mistakes."
    )
    clicked = score_charts.class_bars(table, names, key=f"bars-{order}")
    if clicked is not None:
        st.switch_page("views/mistakes.py", query_params=cells.mistakes_query(run, clicked, None, "mistakes"))  # fmt: skip
    table = table.assign(
        label=[names[label] for label in table["label"]],
        mostly=[names[label] if label >= 0 else "" for label in table["mostly"]],
    )
    download(run, "classes", lambda: table.to_csv(index=False))


def show_accuracy(answers: pd.DataFrame) -> None:
    with st.container(horizontal=True, gap="medium"):
        st.metric(
            "Right answers (top-1)",
            percent(scores.accuracy(answers)),
            width="content",
            help="The share of validation images whose most probable class is the true one.",
        )
        st.metric(
            "Right or near (top-5)",
            percent(scores.top5_accuracy(answers)),
            width="content",
            help="The share of validation images whose true class is among the five most probable ones.",
        )


# How honest it is


def show_calibration(answers: pd.DataFrame) -> None:
    curve = scores.calibration(answers)
    says, right = answers["confidence"].mean(), scores.accuracy(answers)
    error = scores.calibration_error(curve)
    chart, words = st.columns([1.5, 1], gap="large")
    with chart:
        score_charts.calibration_curve(curve)
    with words:
        st.metric(
            "Expected calibration error (ECE)",
            percent(error),
            help="How far what it says is from how often it is right, on average over all pictures.",
        )
        verdict = (
            "It is too sure of itself (overconfident)."
            if says > right
            else "It is too modest (underconfident)."
        )
        if abs(says - right) < 0.01:
            verdict = "On average that is honest."
        st.markdown(
            f"On average the network says it is **{percent(says)}** sure, and it is right **{percent(right)}** of the "
            f"time. {verdict}"
        )
        st.markdown(
            "Of all answers about which it says '80 % sure', 80 % should be right. Then the bars end at the dashed "
            "line. Bars below it: it promises more than it keeps."
        )
        with st.expander("How it is computed", icon=":material/function:"):
            st.latex(r"\mathrm{ECE} = \sum_m \tfrac{|B_m|}{n}\,\bigl|a_m - c_m\bigr|")
            st.markdown(
                f"The $n$ answers are sorted into {scores.BINS} equal ranges of confidence $B_m$; $a_m$ is the share of "
                "right answers in a range, $c_m$ its mean confidence. (Guo, Pleiss, Sun and Weinberger, *On "
                "Calibration of Modern Neural Networks*, ICML 2017, equation 3.)"
            )


def download(run: Run, what: str, table) -> None:
    st.download_button(
        f"Download the {what} (CSV)",
        table,
        file_name=f"{run.name}-{what.replace(' ', '-')}.csv",
        mime="text/csv",
        icon=":material/download:",
        on_click="ignore",
    )


main()
