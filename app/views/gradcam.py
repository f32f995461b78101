"""Grad-CAM: where in an image the network looks."""

import hashlib
import random
from dataclasses import dataclass

import numpy as np
import streamlit as st
from components import gallery, probabilities
from components.messages import missing, percent, show_error
from components.pickers import choose, choose_class, choose_run
from components.work import result_of

from tinymodel.data import PreparedDataset
from tinymodel.data.decoding import Unreadable, decode
from tinymodel.errors import UserError
from tinymodel.evaluation import mistakes, run_dataset, run_labels, weights_version
from tinymodel.explain import render
from tinymodel.explain.gradcam import LAST_BLOCK, METHODS, Explanation, explain_run
from tinymodel.network import block_title
from tinymodel.runs import ACTIVE, Run

SIDE = 640  # pixels of each of the three pictures: ten times 64
SOURCES = {"class": "By class", "mistakes": "From the mistakes", "upload": "My own picture"}
THUMBNAILS = 60
LAYERS = ["first", *(f"stage{n}.{b}" for n in (1, 2, 3) for b in ("bottleneck", "residual1", "residual2"))]  # fmt: skip


@dataclass(frozen=True)
class Subject:
    """The image that is looked at."""

    pixels: np.ndarray  # uint8 (64, 64, 3)
    name: str  # for the file that is downloaded
    true: int | None = None  # the run's label, None if it has none for it
    true_name: str | None = None  # None of one's own picture


def main() -> None:
    st.title("Grad-CAM")
    st.caption("Where does the network look? Bright places in the heat map spoke for the class.")
    controls = st.container(horizontal=True, vertical_alignment="bottom", key="subject")
    with controls:
        run = choose_run(
            "No network yet",
            "Here you will see which part of a picture made a network say what it says. "
            "First a network must learn something.",
            on_change=lambda: forget("image", "target"),
        )
    if not run.has_weights:
        missing(
            "Nothing learned yet",
            f"The run '{run.name}' has no weights yet: they are saved at the end of its first epoch. "
            "Then you can see through its eyes here.",
            page="views/train.py",
            label="See how far it is",
        )
    subject = choose_subject(run, controls)
    if subject is None:
        st.stop()
    verdict, pictures = st.container(), st.container()
    settings, answers = st.columns([1, 1], gap="large")
    with settings:
        choices, opacity, smooth = choose_view(run)
    with pictures:
        result = explain_subject(run, subject, choices)
    with verdict:
        show_verdict(run, subject, result)
    with pictures:
        show_pictures(run, subject, result, opacity, smooth)
    with answers:
        st.subheader("How sure it is (confidence)", anchor=False)
        probabilities.bars(result.top(), run.classes, subject.true, key="top")
        download(run, subject, result, opacity, smooth)
    how_it_works()


# The image


def choose_subject(run: Run, controls) -> Subject | None:
    try:
        dataset = run_dataset(run)
    except UserError as error:
        st.info(
            f"{error} Until then you can look at a picture of your own.", icon=":material/info:"
        )
        return upload()
    with controls:
        source = choose("Picture", SOURCES, name="source", as_row=True)
    if source == "upload":
        return upload()
    index = current_image(run, dataset)
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


def current_image(run: Run, dataset: PreparedDataset) -> int:
    """The row that `?image=` names, else the first validation image."""
    wanted = st.query_params.get("image")
    if wanted is not None and wanted.isdecimal() and int(wanted) < len(dataset.images):
        return int(wanted)
    first = int(run.val_indices[0])
    if wanted is not None:
        st.warning(
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


# How to look


def choose_view(run: Run) -> tuple[dict, float, bool]:
    """What to explain, opacity in [0, 1], and whether to smooth."""
    st.subheader("How to look", anchor=False)
    left, right = st.columns(2)
    with left:
        layer = choose(
            "Block of the network (layer)",
            {name: block_title(name) for name in LAYERS},
            name="layer",
            default=LAST_BLOCK,
            help="Late blocks see whole things on a coarse grid, early ones see edges and colours on a fine grid.",
        )
    with right:
        method = choose(
            "Method",
            {name: method.title for name, method in METHODS.items()},
            name="method",
            help="\n\n".join(f"**{method.title}**: {method.help}" for method in METHODS.values()),
        )
    with left:
        target = choose_class(
            "Look for (target class)",
            run.classes,
            name="target",
            anything="Its own answer",
            help="What speaks for this class? By default the one that the network says.",
        )
    with right:
        smooth = st.toggle(
            "Smooth pictures",
            key="smooth",
            bind="query-params",
            help="Off shows every pixel and every cell of the heat map as they are.",
        )
    opacity = st.slider(
        "Strength of the heat map over the image (opacity)",
        0, 100, 45,
        format="%d %%",
        key="opacity",
        bind="query-params",
    )  # fmt: skip
    return dict(layer=layer, method=method, target=target), opacity / 100, smooth


def explain_subject(run: Run, subject: Subject, choices: dict) -> Explanation:
    digest = hashlib.sha256(subject.pixels.tobytes()).hexdigest()
    return result_of(
        ("gradcam", str(run.folder), weights_version(run), digest, *choices.values()),
        lambda report: explain_run(run, subject.pixels, **choices),
        label="Asking the network where it looked",
        quick=True,
    )


# What comes out


def show_verdict(run: Run, subject: Subject, result: Explanation) -> None:
    says = f"**{run.classes[result.prediction].name}**, {percent(result.probabilities.max())}"
    if subject.true_name is None:
        st.markdown(f"##### The network says: {says}")
    elif result.prediction == subject.true:
        st.markdown(
            f"##### :green[:material/check_circle:] true: **{subject.true_name}** / says: {says}"
        )
    else:
        st.markdown(f"##### :red[:material/cancel:] true: **{subject.true_name}** / says: {says}")
        if subject.true is None:
            st.caption("This class is not among those that the network learned.")
    if run.status in ACTIVE:
        total = run.config.epochs
        st.caption(f"Training goes on; this is the network after epoch {result.epoch} of {total}.")
        look_again(run, weights_version(run))


@st.fragment(run_every=3)
def look_again(run: Run, version: int) -> None:
    """Draw the page anew when training has saved better weights: one sees attention move."""
    if weights_version(run) != version:
        st.rerun()


def show_pictures(
    run: Run, subject: Subject, result: Explanation, opacity: float, smooth: bool
) -> None:
    target = run.classes[result.target].name
    if not METHODS[result.method].uses_target:
        target = "every class alike"
    first, second, third = st.columns(3)
    with first:
        gallery.picture(subject.pixels, side=None, smooth=smooth, caption="What the network sees")
    heat = render.heat_map(result.heat, side=SIDE, smooth=smooth)
    cells = f"{result.heat.shape[1]}×{result.heat.shape[0]} cells"
    with second:
        gallery.picture(heat, side=None, caption=f"Heat map for {target}: {cells}")
    with third:
        mixed = render.overlay(
            subject.pixels, result.heat, opacity=opacity, side=SIDE, smooth=smooth
        )
        gallery.picture(mixed, side=None, caption="Both together")
    if result.blank:
        st.info(
            f"The heat map is empty: at this block nothing in the picture speaks for {target} (no positive evidence). "
            "Try another block or class.",
            icon=":material/visibility_off:",
        )


def download(run: Run, subject: Subject, result: Explanation, opacity: float, smooth: bool) -> None:
    says = f"{run.classes[result.prediction].name}, {percent(result.probabilities.max())}"
    title = f"true: {subject.true_name} / says: {says}" if subject.true_name else f"says: {says}"
    layer, method = block_title(result.layer), METHODS[result.method].title
    about = f"{method} for {run.classes[result.target].name} · {layer} · {run.name}, epoch {result.epoch}"
    st.download_button(
        "Download the three pictures (PNG)",
        lambda: render.triptych(
            subject.pixels, result.heat, [title, about], opacity=opacity, smooth=smooth
        ),
        file_name=f"{run.name}-{subject.name}-{result.method}-{result.layer}.png",
        mime="image/png",
        icon=":material/download:",
        on_click="ignore",
    )


def how_it_works() -> None:
    with st.expander("How Grad-CAM works", icon=":material/function:"):
        st.markdown(
            "Each block of the network turns the picture into many **feature maps** $A^k$: small pictures that show "
            "where it found something. Grad-CAM asks how much the score $y^c$ of class $c$ would rise if a map were "
            "stronger, on average over its cells, and adds the maps with that weight:"
        )
        st.latex(
            r"\alpha_k^c = \frac{1}{Z}\sum_{i,j}\frac{\partial y^c}{\partial A_{ij}^k}"
            r"\qquad L^c = \mathrm{ReLU}\Bigl(\sum_k \alpha_k^c A^k\Bigr)"
        )
        st.markdown(
            "The heat map is scaled to its own brightest cell: compare places within one picture, not the brightness "
            "of two pictures. (Selvaraju et al., *Grad-CAM*, ICCV 2017, equations 1 and 2.)"
        )


def forget(*names: str) -> None:
    for name in names:
        st.query_params.pop(name, None)


main()
