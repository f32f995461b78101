"""Which images to study: of a class, at random, from the mistakes, or one's own. The address names them.

`?image=12` is one image, `?images=12,40,7` are several.
"""

import hashlib
import random
from dataclasses import dataclass

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from components import gallery, no_pictures
from components.messages import plain
from components.own_photo import choose_photo
from components.pickers import choose, forget
from tinymodel.data import PreparedDataset
from tinymodel.errors import UserError
from tinymodel.evaluation import run_dataset, run_labels
from tinymodel.explain.photo import Crop, Photo
from tinymodel.runs import Run
from tinymodel.scores import mistakes

SOURCES = {"class": "By class", "mistakes": "From the mistakes", "upload": "My own picture"}
THUMBNAILS = 60
TWO_ROWS = 152  # pixels
MOST = 48  # images that are studied at once
MORE = 6  # that one click adds


@dataclass(frozen=True, eq=False)
class Subject:
    """An image that is looked at."""

    pixels: np.ndarray  # uint8 (64, 64, 3)
    name: str  # for the file that is downloaded
    index: int | None = None  # its row in the dataset, None of one's own picture
    true: int | None = None  # the run's label, None if it has none for it
    true_name: str | None = None  # None of one's own picture
    photo: Photo | None = None  # one's own picture as a whole
    crop: Crop | None = None  # the square of it that is looked at

    @property
    def digest(self) -> str:
        return hashlib.sha256(np.ascontiguousarray(self.pixels).tobytes()).hexdigest()


def choose_subjects(
    run: Run, controls: DeltaGenerator, notes: DeltaGenerator, *, several: bool = False
) -> list[Subject]:
    """The images that the address names; none while one's own picture is still to be chosen.

    Args:
        controls: The row that the choices join.
        notes: Where sentences about nonsense in the address go.
        several: Whether more than one may be chosen.
    """
    try:
        dataset = run_dataset(run)
    except UserError as error:
        no_pictures.show(
            run, error, "Here you choose a picture; until then you can look at one of your own."
        )
        return own_picture()
    with controls:
        source = choose("Picture", SOURCES, name="source", as_row=True, notes=notes)
    if source == "upload":
        return own_picture()
    chosen = current_images(run, dataset, notes) if several else []
    if chosen and "image" not in st.query_params:
        index = chosen[0]  # whose class is the first to choose more from
    else:
        index = current_image(run, dataset, notes)
    chosen = chosen or [index]
    with controls:
        if source == "class":
            choose_image_class(run, dataset, index)
        offer_random(run, chosen) if several else offer_another(run)
    rows = candidates(run, dataset, source, index)
    if len(rows):
        pick(dataset, rows, chosen, several)
    return [subject_of(run, dataset, row) for row in chosen]


def subject_of(run: Run, dataset: PreparedDataset, row: int) -> Subject:
    """One image of the dataset."""
    true = int(run_labels(run, dataset, np.array([row]))[0])
    name = dataset.classes[dataset.samples["label"].iloc[row]].name
    return Subject(dataset.images[row], str(row), row, true if true >= 0 else None, name)


def own_picture() -> list[Subject]:
    chosen = choose_photo()
    if chosen is None:
        return []
    photo, crop = chosen
    return [Subject(photo.seen(crop), "my-picture", photo=photo, crop=crop)]


def current_image(run: Run, dataset: PreparedDataset, notes: DeltaGenerator) -> int:
    """The row that `?image=` names, else the first validation image."""
    wanted = st.query_params.get("image")
    row = _row(wanted or "", dataset)
    if row is not None:
        return row
    first = int(run.val_indices[0])
    if wanted is not None:
        notes.warning(
            plain(
                f"There is no image {wanted[:40]!r} in the dataset {dataset.name!r}; this is image {first}."
            ),
            icon=":material/help:",
        )
    return first


def current_images(run: Run, dataset: PreparedDataset, notes: DeltaGenerator) -> list[int]:
    """The rows that `?images=` names, each once and at most `MOST`."""
    wanted = [text for text in st.query_params.get("images", "").split(",") if text.strip()]
    rows = [_row(text.strip(), dataset) for text in wanted]
    if None in rows:
        text = wanted[rows.index(None)][:40]
        notes.warning(
            plain(f"There is no image {text!r} in the dataset {dataset.name!r}; it is left out."),
            icon=":material/help:",
        )
    found = list(dict.fromkeys(row for row in rows if row is not None))
    if len(found) > MOST:
        notes.warning(
            f"These are the first {MOST} of {len(found)} images: more do not fit.",
            icon=":material/help:",
        )
    return found[:MOST]


def _row(text: str, dataset: PreparedDataset) -> int | None:
    if text.isdecimal() and len(text) < 10 and int(text) < len(dataset.images):
        return int(text)
    return None


def keep_images(rows: list[int]) -> None:
    """Put these into the address."""
    st.query_params["images"] = ",".join(map(str, rows))
    forget("page")


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


def offer_another(run: Run) -> None:
    st.button(
        "Any picture",
        icon=":material/casino:",
        help="A validation image at random",
        on_click=lambda: st.query_params.update(
            source="class", image=str(random.choice(run.val_indices))
        ),
    )


def offer_random(run: Run, chosen: list[int]) -> None:
    """Buttons: more images by chance, and back to one."""
    others = [int(row) for row in set(run.val_indices.tolist()) - set(chosen)]
    count = min(MORE, len(others), MOST - len(chosen))
    st.button(
        f"Add {MORE} by chance",
        icon=":material/casino:",
        help="Validation images at random, beside those that are chosen",
        disabled=count < 1,
        on_click=lambda: keep_images([*chosen, *random.sample(others, count)]),
    )
    st.button(
        "Only the first",
        icon=":material/filter_1:",
        disabled=len(chosen) < 2,
        on_click=lambda: keep_images(chosen[:1]),
    )


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


def pick(dataset: PreparedDataset, rows: np.ndarray, chosen: list[int], several: bool) -> None:
    """A strip of small pictures; a click looks at that one, or with `several` adds it or takes it away."""
    framed = [place for place, row in enumerate(rows.tolist()) if row in set(chosen)]
    names = [dataset.classes[label].name for label in dataset.samples["label"].iloc[rows]]
    if several:
        st.caption(
            f"{len(chosen)} chosen, {MOST} at most: a click adds a picture or takes it away."
        )
    many = len(rows) > 12
    with st.container(height=TWO_ROWS if many else "content", border=False, key="strip"):
        clicked = gallery.grid(
            dataset.images[rows],
            hints=[f"{name}, image {row}" for name, row in zip(names, rows, strict=True)],
            key="thumbnails",
            side=64,
            clickable=True,
            selected=framed if several else (framed[0] if framed else None),
        )
    if many:
        st.caption(f"{len(rows)} pictures: scroll in them for more.")
    if clicked is None:
        return
    row = int(rows[clicked])
    if several:
        rest = [other for other in chosen if other != row]
        keep_images((rest or chosen) if row in chosen else [*chosen, row][:MOST])
        st.rerun()
    elif row not in chosen:
        st.query_params["image"] = str(row)
        st.rerun()
