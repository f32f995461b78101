"""Mistakes: what a run says about every validation image; to begin with, what it got wrong, worst first."""

from urllib.parse import urlencode

import numpy as np
import pandas as pd
import streamlit as st
from components import gallery, guess, keyboard, one_answer, selection
from components.messages import percent, plain, user_errors
from components.pickers import choose, choose_class, choose_page, choose_range, choose_run, forget
from components.predictions import describe, images_of, predictions_of, still_training

from tinymodel.runs import Run
from tinymodel.scores import LUCKY, accuracy, named, select, top5_accuracy

PER_PAGE = 24
KINDS = {  # in the address → title, the order to begin with, and what to know
    "mistakes": ("Wrong answers", "loss", ""),
    "near": (
        "Near misses",
        "margin",
        "Wrong, but the true class was among its five most probable ones (top-5).",
    ),
    "suspicious": (
        "Suspicious labels",
        "disagreement",
        "Here the network contradicts the label and is at least as sure as it usually is of that class "
        "(confident learning, Northcutt et al. 2021). **That does not make the label wrong:** most of these are "
        "mistakes of a network that is too sure of itself. Only looking at the picture decides.",
    ),
    "lucky": (
        "Lucky hits",
        "unsure",
        f"Right, but less than {LUCKY:.0%} sure: a little less luck, and it would have said something else.",
    ),
    "right": ("Right answers", "sure", ""),
    "all": ("All pictures", "shuffled", ""),
}
SORTS = {
    "loss": "Worst first (by loss)",
    "sure": "Surest first (highest confidence)",
    "unsure": "Least sure first (lowest confidence)",
    "margin": "Closest call first (smallest margin)",
    "disagreement": "Strongest contradiction of the label first",
    "shuffled": "Mixed",
}


def main() -> None:
    st.title("Mistakes")
    st.caption(
        "Pictures that the network never learned from, and what it says about them. Click one to see where it looked; "
        "tick several to compare their heat maps."
    )
    notes = st.container()
    with user_errors():
        with st.container(horizontal=True, vertical_alignment="bottom"):
            run = choose_run(
                "No network yet",
                "Here you will page through the pictures that a trained network gets wrong, from the most certain "
                "blunder to the near miss, and see where it looked. First a network must learn something.",
                notes=notes,
                on_change=lambda: forget("true", "predicted", "page", "image", "pick", "heat"),
            )
            kind = choose(
                "Show",
                {name: title for name, (title, _, _) in KINDS.items()},
                name="show",
                notes=notes,
                on_change=lambda: forget("sort", "page"),
            )
            sort = choose(
                "Order",
                SORTS,
                name="sort",
                default=KINDS[kind][1],
                help="Loss: minus the logarithm of the probability of the true class. Confidence: the probability of "
                "its answer. Margin: by how much the answer leads over the runner-up.",
                notes=notes,
                on_change=lambda: forget("page"),
            )
        answers = predictions_of(run)
        chosen = choose_answers(run, answers, kind, sort, notes)
        if KINDS[kind][2]:
            st.info(KINDS[kind][2], icon=":material/lightbulb:")
        images = images_of(run)
        if images is not None and hide_names():
            guess.play(run, answers, chosen, images)
        else:
            show_numbers(run, answers)
            if images is None:
                show_table(run, chosen)
            else:
                show_answers(run, answers, chosen, images, notes)
        download(run, chosen, kind)


def hide_names() -> bool:
    return st.toggle(
        "Your guess first",
        key="guess",
        bind="query-params",
        help="Names stay hidden until you have said what you see.",
    )


def choose_answers(run: Run, answers: pd.DataFrame, kind: str, sort: str, notes) -> pd.DataFrame:
    """The answers of this kind, class and confidence, in order. Counts say what a choice would leave."""

    def start() -> None:
        forget("page")

    def class_of(name: str, label: str, column: str, **kept) -> int | None:
        return choose_class(
            label,
            run.classes,
            name=name,
            anything="All classes",
            counts=select(answers, kind, **kept)[column].value_counts().to_dict(),
            help="In brackets: how many pictures.",
            notes=notes,
            on_change=start,
        )

    with st.container(horizontal=True, vertical_alignment="bottom"):
        true = class_of("true", "What it is (true class)", "label")
        predicted = class_of("predicted", "What it says (predicted class)", "prediction", true=true)
        confidence = choose_range(
            "How sure it is (confidence)", name="confidence", notes=notes, on_change=start
        )
    return select(answers, kind, sort=sort, true=true, predicted=predicted, confidence=confidence)


def show_numbers(run: Run, answers: pd.DataFrame) -> None:
    total, right = len(answers), accuracy(answers)
    with st.container(horizontal=True, gap="medium"):
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
        st.metric(
            "Right or near (top-5)",
            percent(top5_accuracy(answers)),
            width="content",
            help="The share of validation images whose true class is among the five most probable ones.",
        )
    still_training(run)


def show_answers(
    run: Run, answers: pd.DataFrame, chosen: pd.DataFrame, images: np.ndarray, notes
) -> None:
    picked = selection.read(answers, notes)
    selection.show_bar(picked)
    if picked and st.query_params.get("heat"):
        selection.show_heat_maps(run, answers, picked, images)
        return
    image = read_image(answers, notes)
    if answers["right"].all() and chosen.empty:
        st.success("Not one mistake on the validation images.", icon=":material/celebration:")
    elif chosen.empty:
        st.info("No picture of this kind: choose something else above.", icon=":material/info:")
    else:
        show_page(run, chosen, images, picked, image)
    if image is not None:
        one_answer.show(run, answers, chosen, images)


def show_page(
    run: Run, chosen: pd.DataFrame, images: np.ndarray, picked: list[int], image: int | None
) -> None:
    pages = -(-len(chosen) // PER_PAGE)
    places = np.flatnonzero(chosen["index"] == image) if image is not None else []
    if len(places) and "page" not in st.query_params:  # a link to an image leads to its page
        st.query_params["page"] = str(places[0] // PER_PAGE + 1)
    with st.container(horizontal=True, vertical_alignment="center"):
        page = choose_page(pages)
        keyboard.on_pages(page, pages, f"{len(chosen):,} pictures")
    shown = chosen.iloc[(page - 1) * PER_PAGE : page * PER_PAGE]
    rows = shown["index"].tolist()
    kept = st.query_params.to_dict()
    clicked = gallery.grid(
        [images[row] for row in rows],
        [describe(run, answer) for answer in shown.itertuples()],
        key="mistakes",
        clickable=True,
        links=[
            f"mistakes?{urlencode(kept | dict(run=run.name, page=page, image=row))}" for row in rows
        ],
        ticked=[row in picked for row in rows],
        on_tick=lambda place: selection.toggle(picked, rows[place]),
    )
    if clicked is not None:
        st.query_params.update(page=str(page), image=str(rows[clicked]))
        st.rerun()


def read_image(answers: pd.DataFrame, notes) -> int | None:
    """The image of `?image=`, or None."""
    text = st.query_params.get("image")
    if text is None:
        return None
    if text.isdecimal() and len(text) < 10 and (answers["index"] == int(text)).any():
        return int(text)
    notes.warning(
        plain(f"There is no validation image {text[:40]!r} of this run."), icon=":material/help:"
    )
    return None


def show_table(run: Run, chosen: pd.DataFrame) -> None:
    names = [item.name for item in run.classes]
    st.dataframe(named(chosen, names), hide_index=True, alt="Answers")


def download(run: Run, chosen: pd.DataFrame, kind: str) -> None:
    names = [item.name for item in run.classes]
    st.download_button(
        f"Download these {len(chosen):,} answers (CSV)",
        lambda: named(chosen, names).to_csv(index=False),
        file_name=f"{run.name}-{kind}.csv",
        mime="text/csv",
        icon=":material/download:",
        on_click="ignore",
        disabled=chosen.empty,
    )


main()
