"""Which image to study: of a class, at random, from the mistakes, or one's own. The address names it."""

import random
from dataclasses import dataclass

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from components import gallery
from components.messages import show_error
from components.pickers import choose
from tinymodel.data import PreparedDataset
from tinymodel.data.decoding import Unreadable, decode
from tinymodel.errors import UserError
from tinymodel.evaluation import mistakes, run_dataset, run_labels
from tinymodel.runs import Run

SOURCES = {"class": "By class", "mistakes": "From the mistakes", "upload": "My own picture"}
THUMBNAILS = 60


@dataclass(frozen=True)
class Subject:
    """The image that is looked at."""

    pixels: np.ndarray  # uint8 (64, 64, 3)
    name: str  # for the file that is downloaded
    true: int | None = None  # the run's label, None if it has none for it
    true_name: str | None = None  # None of one's own picture


def choose_subject(run: Run, controls: DeltaGenerator, notes: DeltaGenerator) -> Subject | None:
    """The image that `?source=` and `?image=` name, or None while there is none yet.

    Args:
        controls: The row that the choices join.
        notes: Where sentences about nonsense in the address go.
    """
    try:
        dataset = run_dataset(run)
    except UserError as error:
        st.info(
            f"{error} Until then you can look at a picture of your own.", icon=":material/info:"
        )
        return upload()
    with controls:
        source = choose("Picture", SOURCES, name="source", as_row=True, notes=notes)
    if source == "upload":
        return upload()
    index = current_image(run, dataset, notes)
    with controls:
        if source == "class":
            choose_image_class(run, dataset, index)
        st.button(
            "Any picture",
            icon=":material/casino:",
            help="A validation image at random",
            on_click=lambda: st.query_params.update(
                source="class", image=str(random.choice(run.val_indices))
            ),
        )
    rows = candidates(run, dataset, source, index)
    if len(rows):
        pick(dataset, rows, index)
    true = int(run_labels(run, dataset, np.array([index]))[0])
    name = dataset.classes[dataset.samples["label"].iloc[index]].name
    return Subject(dataset.images[index], str(index), true if true >= 0 else None, name)


def current_image(run: Run, dataset: PreparedDataset, notes: DeltaGenerator) -> int:
    """The row that `?image=` names, else the first validation image."""
    wanted = st.query_params.get("image")
    if (
        wanted is not None
        and wanted.isdecimal()
        and len(wanted) < 10
        and int(wanted) < len(dataset.images)
    ):
        return int(wanted)
    first = int(run.val_indices[0])
    if wanted is not None:
        notes.warning(
            f"There is no image {wanted[:40]!r} in the dataset {dataset.name!r}; this is image {first}.",
            icon=":material/help:",
        )
    return first


def choose_image_class(run: Run, dataset: PreparedDataset, index: int) -> None:
    """The class of the image; another one goes to its first validation image."""
    labels = run_labels(run, dataset, run.val_indices)
    names = {label: item.name for label, item in enumerate(run.classes) if (labels == label).any()}
    st.session_state["image-class"] = int(run_labels(run, dataset, np.array([index]))[0])

    def go() -> None:
        chosen = labels == st.session_state["image-class"]
        if chosen.any():
            st.query_params["image"] = str(run.val_indices[chosen][0])

    other = {-1: "another class"} if st.session_state["image-class"] not in names else {}
    names = other | dict(sorted(names.items(), key=lambda item: item[1].lower()))
    st.selectbox("Class", list(names), format_func=names.get, key="image-class", on_change=go)


def candidates(run: Run, dataset: PreparedDataset, source: str, index: int) -> np.ndarray:
    """Rows of the images to choose from: of the same class, or the worst mistakes."""
    if source == "class":
        label = run_labels(run, dataset, np.array([index]))[0]
        return run.val_indices[run_labels(run, dataset, run.val_indices) == label][:THUMBNAILS]
    predictions = run.predictions()
    if predictions is None:
        st.page_link(
            "views/mistakes.py",
            label="Find this run's mistakes first",
            icon=":material/rule:",
            query_params=dict(run=run.name),
        )
        return np.array([], dtype=np.int64)
    return mistakes(predictions)["index"].to_numpy()[:THUMBNAILS]


def pick(dataset: PreparedDataset, rows: np.ndarray, index: int) -> None:
    """A strip of small pictures; a click looks at that one."""
    chosen = np.flatnonzero(rows == index)
    names = [dataset.classes[label].name for label in dataset.samples["label"].iloc[rows]]
    with st.container(height=128 if len(rows) > 12 else "content", border=False, key="strip"):
        clicked = gallery.grid(
            dataset.images[rows],
            hints=[f"{name}, image {row}" for name, row in zip(names, rows, strict=True)],
            key="thumbnails",
            side=64,
            clickable=True,
            selected=int(chosen[0]) if len(chosen) else None,
        )
    if clicked is not None and rows[clicked] != index:
        st.query_params["image"] = str(rows[clicked])
        st.rerun()


def upload() -> Subject | None:
    file = st.file_uploader(
        "A picture from your device",
        help="The largest square in its middle is shrunk to 64×64 pixels, like the images the network knows. "
        "It is not stored: it is gone when you leave.",
    )
    if file is None:
        return None
    try:
        return Subject(decode(file.getvalue()), "upload")
    except Unreadable as reason:
        show_error(f"The file {file.name!r} {reason}; choose another picture.")
        return None
