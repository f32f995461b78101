"""Bottleneck: what the k-th layer knows."""

import streamlit as st
from components import no_pictures
from components.bottleneck import measure, see, teach, widen
from components.messages import missing, plain
from components.pickers import choose, choose_run, forget
from components.work import result_of

from tinymodel import jobs
from tinymodel.errors import UserError
from tinymodel.evaluation import run_dataset, weights_version
from tinymodel.network import BLOCKS, DEPTH, block_title
from tinymodel.representation.features import Study, study_run
from tinymodel.runs import ACTIVE, Run

PARTS = {
    "see": "See it",
    "measure": "Measure it",
    "teach": "Teach it new classes",
    "widen": "Widen or narrow it",
}
OF_A_RUN = ("classes", "image", "about", "guess", "rung", "pick", "layer")  # in the address


def main() -> None:
    st.title("Bottleneck")
    st.caption(
        "What does the k-th layer know? The first k blocks of a network turn a picture into a short list of numbers "
        "(features). Look at them, measure what they know, and teach them something new."
    )
    notes = st.container()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        run = choose_run(
            "No network yet",
            "Here you will see how the pictures of a class find together, layer by layer, and teach a trained network "
            "new classes from five pictures each. First a network must learn something.",
            notes=notes,
            on_change=lambda: forget(*OF_A_RUN),
        )
        part = choose("What to do", PARTS, name="part", as_row=True, notes=notes)
    if not run.has_weights:
        missing(
            "Nothing learned yet",
            plain(
                f"The run '{run.name}' has no weights yet: they are saved at the end of its first epoch. "
                "Then you can see here what its layers know."
            ),
            page="views/train.py",
            label="See how far it is",
        )
    describe(run)
    study = features_of(run, needed=part != "teach")
    if part == "see":
        see.show(study, notes)
    elif part == "measure":
        measure.show(study)
    elif part == "teach":
        teach.show(run, study, notes)
    else:
        widen.show(run, notes)


def describe(run: Run) -> None:
    """Where these weights come from, if that is not plain."""
    info = run.info()
    if stacked := info.get("stacked_on"):
        st.caption(
            plain(
                f"A new classifier stacked on the layer {block_title(stacked['layer'])} of the run {stacked['run']}: the "
                f"first {info['model'].get('depth', DEPTH)} of {len(BLOCKS)} blocks."
            )
        )
    if run.status in ACTIVE:
        st.caption("Training goes on: this is what its best weights so far know.")


def features_of(run: Run, *, needed: bool) -> Study | None:
    """The run's images and their features; until they are there the page ends with the progress of computing them.

    Args:
        needed: Whether the page ends without them if the dataset is gone; else they are None.
    """
    try:
        run_dataset(run)
    except UserError as error:
        no_pictures.show(
            run, error, "Here you see and measure what each layer makes of the run's pictures."
        )
        if needed:
            st.stop()
        return None
    key = ("features", str(run.folder), weights_version(run))
    job = jobs.find(key)
    if job is not None and job.state == "done" and not job.result.folder.is_dir():
        jobs.forget(key)  # somebody has tidied up
    return result_of(
        key,
        lambda report: study_run(run, report),
        label="Showing the network every picture, and writing down what each layer says",
    )


main()
