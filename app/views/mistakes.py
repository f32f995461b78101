"""Mistakes: every wrong answer of a run, worst first."""

from urllib.parse import urlencode

import pandas as pd
import streamlit as st
from components import gallery
from components.messages import missing, percent, show_error
from components.pickers import choose_class, choose_page, choose_run, forget
from components.work import result_of

from tinymodel.errors import UserError
from tinymodel.evaluation import (
    accuracy,
    evaluate_run,
    mistakes,
    predictions_are_current,
    run_dataset,
    weights_version,
)
from tinymodel.runs import ACTIVE, Run

PER_PAGE = 24


def main() -> None:
    st.title("Mistakes")
    st.caption(
        "Images that the network never learned from and named wrongly (misclassified), the worst first. "
        "Click one to see where the network looked."
    )
    notes = st.container()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        run = choose_run(
            "No network yet",
            "Here you will page through the pictures that a trained network gets wrong, from the most certain blunder "
            "to the near miss, and see where it looked. First a network must learn something.",
            notes=notes,
            on_change=lambda: forget("true", "predicted", "page"),
        )
        true_place, predicted_place = st.container(), st.container()
    predictions = get_predictions(run)
    wrong = mistakes(predictions)
    with true_place:
        true = choose_class(
            "What it is (true class)",
            run.classes,
            name="true",
            anything="All classes",
            counts=wrong["label"].value_counts().to_dict(),
            help="Only mistakes with pictures of this class. In brackets: how many.",
            notes=notes,
            on_change=lambda: forget("page"),
        )
    with predicted_place:
        predicted = choose_class(
            "What it says (predicted class)",
            run.classes,
            name="predicted",
            anything="All classes",
            counts=mistakes(predictions, true=true)["prediction"].value_counts().to_dict(),
            help="Only pictures that the network took for this class. In brackets: how many.",
            notes=notes,
            on_change=lambda: forget("page"),
        )
    show_numbers(run, predictions)
    show_mistakes(run, mistakes(predictions, true, predicted), filtered=len(wrong) > 0)


def get_predictions(run: Run) -> pd.DataFrame:
    """What the best weights so far say, made now if nobody has; ends the page meanwhile."""
    if not run.has_weights:
        missing(
            "Nothing learned yet",
            f"The run '{run.name}' has no weights yet: they are saved at the end of its first epoch. "
            "Then its wrong answers appear here.",
            page="views/train.py",
            label="See how far it is",
        )
    if predictions_are_current(run) and (kept := run.predictions()) is not None:
        return kept
    return result_of(
        ("evaluate", str(run.folder), weights_version(run)),
        lambda report: evaluate_run(run, report),
        label="Asking the network about every validation image",
    )


def show_numbers(run: Run, predictions: pd.DataFrame) -> None:
    total = len(predictions)
    right = accuracy(predictions)
    with st.container(horizontal=True, gap="large"):
        st.metric(
            "Wrong answers",
            f"{round(total * (1 - right)):,} of {total:,}",
            width="content",
            help="Of the validation images, which the network did not learn from.",
        )
        st.metric(
            "Right answers (accuracy)",
            percent(right),
            width="content",
            help="The share of validation images whose most probable class is the true one (top-1).",
        )
    if run.status in ACTIVE:
        st.caption("Training goes on: these are the answers of the best epoch so far.")


def show_mistakes(run: Run, chosen: pd.DataFrame, filtered: bool) -> None:
    if chosen.empty:
        if filtered:
            st.info("No mistake of this kind: choose other classes above.", icon=":material/info:")
        else:
            st.success("Not one mistake on the validation images.", icon=":material/celebration:")
        return
    pages = -(-len(chosen) // PER_PAGE)
    page = choose_page(pages)
    shown = chosen.iloc[(page - 1) * PER_PAGE : page * PER_PAGE]
    captions = [describe(run, row) for row in shown.itertuples()]
    try:
        images = run_dataset(run).images
    except UserError as error:
        show_error(f"The pictures cannot be shown. {error}")
        st.dataframe(
            dict(mistake=[text.replace("\n", " / ") for text in captions]), hide_index=True
        )
        return
    queries = [dict(run=run.name, image=index, source="mistakes") for index in shown["index"]]
    clicked = gallery.grid(
        [images[index] for index in shown["index"]],
        captions,
        key="mistakes",
        clickable=True,
        links=[f"gradcam?{urlencode(query)}" for query in queries],
    )
    if clicked is not None:
        st.switch_page("views/gradcam.py", query_params=queries[clicked])


def describe(run: Run, row) -> str:
    true, predicted = run.classes[row.label].name, run.classes[row.prediction].name
    return f"true: {true}\nsays: {predicted}, {percent(row.confidence)}"


main()
