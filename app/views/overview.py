"""Home: what this is, how things stand, and the one next step."""

import numpy as np
import streamlit as st
from components import (
    gallery,
    live,
    preparing,
    presenter,
    ready_made,
    role,
    share,
    stream,
    tour,
)
from components.messages import percent, show_job, user_errors

from tinymodel import jobs
from tinymodel.config import from_preset
from tinymodel.data import PreparedDataset, list_datasets, open_dataset
from tinymodel.data.sample import CLASSES, draw, prepare_sample
from tinymodel.errors import UserError
from tinymodel.runs import ACTIVE, Run, list_runs
from tinymodel.training.supervisor import supervisor

JOB = "train on the sample"
EXAMPLES = CLASSES[:8]  # as many as fit into a row
ASKED = (
    "asked-for-the-sample"  # in the session state of whoever clicked, who is then taken to Train
)
EPOCHS = 10  # about a minute on two cores with AMX, two or three on an older laptop


def main() -> None:
    st.title("Teach a network to see")
    st.markdown(
        "Here you train a small neural network to tell pictures apart, and watch it learn while it does. "
        "Then you look through its eyes: which part of a picture made it decide (Grad-CAM), and what it gets wrong. "
        "Everything happens on this computer: no picture leaves it.",
        width=760,
    )
    current, _ = stream.current() or (None, None)
    with st.container(border=True, key="next-step"):
        next_step(current)
    if current is None:
        ready_made.show()
        st.subheader("How things stand", anchor=False)
        show_beginning()
    else:
        st.subheader("How things stand", anchor=False)
        data, training, best = st.columns(3)
        with data.container(border=True, height="stretch"):
            show_data()
        with training.container(border=True, height="stretch"):
            show_training(current)
        with best.container(border=True, height="stretch"):
            show_best()
        tour.offer()
    share.show()


# The one next step


def next_step(run: Run | None) -> None:
    """What is most worth doing now, which depends on what there is."""
    job, status = jobs.find(JOB), run.status if run else None
    if job and (job.active or ASKED in st.session_state):
        follow(job)
        return
    if run is None:
        offer(
            "Start here: one click, and it learns",
            "A small network learns to tell ten kinds of drawn pictures apart, while you watch: about a minute on a fast "
            "laptop, a few on an older one.",
        )
        with st.container(horizontal=True, vertical_alignment="center"):
            train_button("Train on the sample", "primary")
            tour.offer()
        gallery.grid(drawn_examples(), [item.name for item in EXAMPLES], key="examples", side=96)
    elif status in ACTIVE:
        offer(
            "It is learning right now",
            f"The run **{run.name}** is in training: watch its curves grow.",
        )
        live.progress(run)
        step("train", "Watch it learn", run)
    elif run.best_accuracy is None or not run.has_weights:
        offer(
            f"The run {run.name} has learned nothing yet", "See what happened, and go on with it."
        )
        step("train", "Go to the run", run)
    else:
        offer(
            "See through its eyes",
            f"The run {run.name} gets {percent(run.best_accuracy)} of unseen pictures right. "
            "Which part of a picture does it look at?",
        )
        with st.container(horizontal=True, vertical_alignment="center"):
            step("gradcam", "See where it looks (Grad-CAM)", run)
            link("mistakes", "What it gets wrong", "rule", run=run.name)
            link("train", "Train another", "model_training", run="new")


@st.cache_data
def drawn_examples() -> list[np.ndarray]:
    """One picture each of some classes of the sample, before it is made."""
    return [draw("val", label, 0)[0] for label in range(len(EXAMPLES))]


def offer(title: str, text: str) -> None:
    st.subheader(title, anchor=False)
    st.markdown(text, width=760)


def step(page: str, label: str, run: Run) -> None:
    if st.button(label, type="primary", icon=":material/arrow_forward:"):
        st.switch_page(f"views/{page}.py", query_params=dict(run=run.name))


def link(page: str, label: str, icon: str, **query: str) -> None:
    st.page_link(
        f"views/{page}.py", label=label, icon=f":material/{icon}:", query_params=query or None
    )


def train_button(label: str, kind: str) -> None:
    if presenter.button(label, to=role.START, type=kind, icon=":material/play_arrow:"):
        jobs.forget(JOB)
        jobs.submit(JOB, train_on_sample, label="Making the sample")
        st.session_state[ASKED] = True
        st.rerun()


def train_on_sample(report) -> str:
    """The name of the run that was started. Runs as a job, so that closing the tab does not undo the click."""
    if "sample" not in list_datasets():
        prepare_sample(progress=report)
    report(1.0, "Starting the training")
    return supervisor.start(from_preset("classroom", dataset="sample", epochs=EPOCHS))


def follow(job: jobs.Job) -> None:
    offer("Getting ready", "The sample is being made; then the training starts by itself.")
    show_job(job)
    if job.state == "done":
        # ASKED stays until Train takes it: the live card may interrupt this script run, and the way there would be lost.
        st.switch_page("views/train.py", query_params=dict(run=job.result))
    elif not job.active:
        train_button("Try again", "primary")


# How things stand


def show_beginning() -> None:
    """Before the first training there is little to say, so it takes little room."""
    drawing = jobs.find(preparing.JOB)
    if drawing is not None and drawing.active:
        pictures = "Pictures are being made this moment; you need not wait for them."
    elif list_datasets():
        pictures = "There are pictures to learn from:"
    else:
        pictures = "There are no pictures yet: the sample is made when you start."
    st.caption(f"Nothing has been trained yet. {pictures}")
    with st.container(horizontal=True):
        show_datasets()
        link("data", "Use Tiny ImageNet or your own pictures", "photo_library")


def show_data() -> None:
    st.markdown("**Data**")
    names = list_datasets()
    if not names:
        st.caption("No pictures yet: the sample, Tiny ImageNet or your own.")
        link("data", "Get pictures", "photo_library")
        return
    with user_errors():
        show_some(open_dataset(names[0]))
    show_datasets()


def show_datasets() -> None:
    for name in list_datasets():
        with user_errors():
            dataset = open_dataset(name)
            count = sum(dataset.info["counts"].values())
            label = f"{name}: {len(dataset.classes)} classes, {count:,} pictures"
            st.page_link("views/data.py", label=label, query_params=dict(dataset=name))


def show_some(dataset: PreparedDataset) -> None:
    rows = [dataset.indices("val", label) for label in range(min(3, len(dataset.classes)))]
    images = [dataset.images[row[0]] for row in rows if len(row)]
    gallery.grid(images, key="some-pictures", side=64)


def show_training(run: Run | None) -> None:
    st.markdown("**Training**")
    if run is None:
        st.caption("Nothing has been trained yet.")
        return
    progress = run.progress()
    if progress.status in ACTIVE:
        st.metric(run.name, "in training")  # how far it is moves above
    else:
        st.metric(f"Last run: {run.name}", progress.status)
    link("train", "Go to the run", "model_training", run=run.name)


def show_best() -> None:
    st.markdown("**Best run**")
    scored = []
    for run in list_runs():
        try:
            if not run.shipped and (accuracy := run.best_accuracy) is not None:
                scored.append((accuracy, run.name, run.config.dataset, run.has_weights))
        except UserError:
            continue
    if not scored:
        st.caption("The best accuracy on pictures it has never seen appears here.")
        return
    accuracy, name, dataset, has_weights = max(scored)
    st.metric(f"{name}, on {dataset}", percent(accuracy))
    if has_weights:
        link("gradcam", "See where it looks", "center_focus_strong", run=name)


main()
