"""Where a page needs pictures that are not on this computer: what it will show, and the button that brings them."""

import streamlit as st

from components import preparing
from components.messages import plain
from tinymodel import jobs
from tinymodel.data import list_datasets, prepare_sample, sample
from tinymodel.data.prepared import bytes_needed
from tinymodel.errors import UserError
from tinymodel.runs import Run

DRAWN = "sample"  # the dataset that this program draws itself


def show(run: Run, problem: UserError, will_show: str) -> None:
    """An invitation instead of an error, or the progress of the preparation that is going on.

    Args:
        problem: As `evaluation.run_dataset` says it.
        will_show: A sentence: what will be here.
    """
    with st.container(border=True, key="no-pictures"):
        st.subheader("The pictures are not here", anchor=False)
        st.markdown(f"{will_show} {plain(str(problem))}")
        job = jobs.find(preparing.JOB)
        if job is not None and job.active:
            preparing.follow()
        elif run.config.dataset == DRAWN and DRAWN not in list_datasets():
            offer_to_draw()
        else:
            st.page_link("views/data.py", label="Get the pictures", icon=":material/photo_library:")


def offer_to_draw() -> None:
    preparing.follow()  # how the last attempt failed
    if preparing.start_button(
        "Draw the sample",
        "draw-for-this-page",
        type="primary",
        icon=":material/draw:",
    ):
        needed = bytes_needed(len(sample.CLASSES) * (sample.TRAIN + sample.VAL))
        preparing.begin(
            "Drawing the sample",
            DRAWN,
            needed,
            lambda report: prepare_sample(progress=report),
            stay,
        )


def stay() -> None:
    """Whoever began it wants this page, not the dataset's own."""
    st.session_state.pop(preparing.ASKED, None)
