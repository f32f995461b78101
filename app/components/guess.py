"""Your guess first: the names stay hidden until the student has said what the picture shows."""

import numpy as np
import pandas as pd
import streamlit as st

from components import gallery, keyboard, probabilities
from components.messages import percent, plain
from tinymodel.runs import Run

OFFERED = 4  # names


def play(run: Run, answers: pd.DataFrame, chosen: pd.DataFrame, images: np.ndarray) -> None:
    """One picture after the other of `chosen`, beginning with `?image=`; the score is this student's own.

    Args:
        answers: Of all validation images, as `scores.described`.
    """
    guesses: dict[int, int] = st.session_state.setdefault("guesses", {}).setdefault(run.name, {})
    known = answers.set_index("index", drop=False)
    keep_score(known, guesses)
    wanted = st.query_params.get("image", "")
    left = [int(index) for index in chosen["index"] if index not in guesses]
    if wanted.isdecimal() and len(wanted) < 10 and int(wanted) in known.index:
        index = int(wanted)
    elif left:
        index = left[0]
    else:
        st.success(
            "You have guessed them all: choose others above, or start over.",
            icon=":material/celebration:",
        )
        return
    answer = known.loc[index]
    picture, words = st.columns([1, 1.6], gap="large")
    with picture:
        gallery.picture(images[index], side=320, alt="The picture to guess")
    with words:
        if index in guesses:
            reveal(run, answer, guesses[index], left)
        else:
            ask(run, answer, guesses)


def ask(run: Run, answer: pd.Series, guesses: dict[int, int]) -> None:
    st.subheader("What is it?", anchor=False)
    index, actions = int(answer["index"]), {}
    with st.grid(2, min_column_width=150):
        for number, label in enumerate(offered(answer, len(run.classes)), 1):

            def guess(label: int = label) -> None:
                guesses[index] = label
                st.query_params["image"] = str(index)  # stays until the student goes on

            actions[str(number)] = guess
            st.button(
                f"{number}. {plain(run.classes[label].name)}",
                key=f"guess-{index}-{label}",
                on_click=guess,
                width="stretch",
            )
    keyboard.on_keys(actions, f"Keys 1 to {len(actions)} choose too.", key="guess-keys")


def offered(answer: pd.Series, classes: int) -> list[int]:
    """A few labels in random order, the same for everybody: the truth, what the network thought of, and others."""
    generator = np.random.default_rng(int(answer["index"]))
    candidates = [answer["label"], *answer["top5"], *generator.permutation(classes)]
    labels = list(dict.fromkeys(int(label) for label in candidates))[:OFFERED]
    return generator.permutation(labels).tolist()


def reveal(run: Run, answer: pd.Series, guess: int, left: list[int]) -> None:
    names = [plain(run.classes[label].name) for label in (answer["label"], guess)]
    if guess == answer["label"]:
        st.subheader(f":green[:material/check_circle:] Yes, {names[0]}", anchor=False)
    else:
        st.subheader(
            f":red[:material/cancel:] You said {names[1]}; the label says {names[0]}", anchor=False
        )
    says = plain(run.classes[answer["prediction"]].name)
    st.markdown(f"The network says **{says}**, {percent(answer['confidence'])}.")
    offer_next(left)
    top = list(zip(answer["top5"], answer["top5_probabilities"], strict=True))
    probabilities.bars(top, run.classes, int(answer["label"]), key="guess-top")


def offer_next(left: list[int]) -> None:
    def go() -> None:
        if left:
            st.query_params["image"] = str(left[0])
        else:
            st.query_params.pop("image", None)

    with st.container(horizontal=True, vertical_alignment="center"):
        st.button("Next picture", icon=":material/arrow_forward:", type="primary", on_click=go)
        keyboard.on_keys({"ArrowRight": go}, "or the key →", key="guess-keys")


def keep_score(known: pd.DataFrame, guesses: dict[int, int]) -> None:
    mine = [index for index in guesses if index in known.index]
    right = sum(guesses[index] == known.at[index, "label"] for index in mine)
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        st.metric("You", f"{right} of {len(mine)}", width="content")
        st.metric(
            "The network",
            f"{int(known.loc[mine, 'right'].sum())} of {len(mine)}",
            width="content",
            help="On the same pictures. Among the wrong answers it cannot win: show all pictures for a fair match.",
        )
        if mine:
            st.button("Start over", icon=":material/restart_alt:", on_click=guesses.clear)
