"""What a run says about its validation images, for every page that studies it."""

from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st

from components import no_pictures
from components.messages import missing, percent
from components.work import result_of
from tinymodel.errors import UserError
from tinymodel.evaluation import (
    PREDICTIONS,
    current_predictions,
    evaluate_run,
    run_dataset,
    weights_version,
)
from tinymodel.runs import ACTIVE, Run
from tinymodel.scores import described


def predictions_of(run: Run) -> pd.DataFrame:
    """The answers of the best weights so far, as `scores.described`; shared by everybody, so never change them.

    They are made now if nobody has; meanwhile the page ends with the progress.
    """
    if not run.has_weights:
        missing(
            "Nothing learned yet",
            f"The run '{run.name}' has no weights yet: they are saved at the end of its first epoch. "
            "Then its answers appear here.",
            page="views/train.py",
            label="See how far it is",
        )
    version = weights_version(run)
    kept = _kept(str(run.folder), _written(run), version)
    if kept is not None:
        return kept
    made = result_of(
        ("evaluate", str(run.folder), version),
        lambda report: evaluate_run(run, report),
        label="Asking the network about every validation image",
    )
    return described(made)


def _written(run: Run) -> int:
    try:
        return (run.folder / PREDICTIONS).stat().st_mtime_ns
    except OSError:
        return 0


@st.cache_resource(max_entries=16, show_spinner=False)
def _kept(folder: str, written: int, version: int) -> pd.DataFrame | None:
    """Read once for all: 10,000 rows with their top five take longer than all that a page does with them."""
    return current_predictions(Run(Path(folder)))


def images_of(run: Run) -> np.ndarray | None:
    """The images of the run's dataset, uint8 (N, 64, 64, 3); None after a sentence if they are not here."""
    try:
        return run_dataset(run).images
    except UserError as error:
        no_pictures.show(run, error, "Here the pictures appear, with what the network says.")
        return None


def describe(run: Run, answer) -> str:
    """Two lines about one row of the answers: 'true: cat', 'says: dog, 62.0 %'."""
    true, predicted = run.classes[answer.label].name, run.classes[answer.prediction].name
    return f"true: {true}\nsays: {predicted}, {percent(answer.confidence)}"


def still_training(run: Run) -> None:
    if run.status in ACTIVE:
        st.caption("Training goes on: these are the answers of the best epoch so far.")
