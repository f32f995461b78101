"""Teach it: a new classifier on layer k, from a few pictures a class, and what became of it."""

import hashlib
from collections.abc import Mapping

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from components import gallery, presenter
from components.bottleneck import learning, own_classes
from components.messages import percent, plain, show_error
from components.pickers import choose
from components.work import result_of, result_of_mine
from tinymodel.errors import UserError
from tinymodel.evaluation import weights_version
from tinymodel.explain import render
from tinymodel.network import BLOCKS, DEPTH, block_title
from tinymodel.representation.features import Study
from tinymodel.representation.teaching import (
    DRAWS,
    SHOTS,
    Lesson,
    describe_photographs,
    save,
    teach,
    try_out,
)
from tinymodel.runs import Run

SHOWN = 12  # test pictures with their heat maps


def show(run: Run, study: Study | None, notes: DeltaGenerator) -> None:
    st.markdown(
        "The network stays as it is. Only a new classifier is stacked on layer k: it learns to tell **new classes** apart "
        "from the numbers that layer gives. Because so little has to be learned, a few pictures are enough."
    )
    left, right = st.columns([3, 2], gap="large")
    with left:
        labels = choose_new_classes(study, notes) if study else []
        own = own_classes.choose()
    with right:
        blocks = BLOCKS[: run.info()["model"].get("depth", DEPTH)]
        layer = choose(
            "Stack it on (layer k)",
            {name: f"{k} · {block_title(name)}" for k, name in enumerate(blocks, 1)},
            name="layer",
            default=blocks[-1],
            help="The new network ends after this block. Which one is best for classes it has never seen? The probe "
            "ladder under *Measure it* says.",
            notes=notes,
        )
        shots = int(
            choose(
                "Pictures of each class to learn from",
                {str(count): str(count) for count in SHOTS},
                name="shots",
                default="5",
                as_row=True,
                notes=notes,
            )
        )
    if len(labels) + len(own) < 2:
        st.info(
            "Choose or add two classes or more: telling one apart from nothing is no task.",
            icon=":material/info:",
        )
        return
    lessons = learn(run, study, layer, labels, own)
    draw = chosen_draw()
    lesson = lessons[shots][draw]
    learning.show(lessons, lesson, draw)
    learning.show_learned(study, lesson)
    show_answers(run, study, lesson, own)
    offer_to_keep(run, lesson, own)


def chosen_draw() -> int:
    """Which pictures it learns from: `?draw=`, from 1 in the address."""
    wanted = st.query_params.get("draw", "1")
    return (int(wanted) - 1) % DRAWS if wanted.isdecimal() and 0 < len(wanted) < 4 else 0


def choose_new_classes(study: Study, notes: DeltaGenerator) -> list[int]:
    """Labels of classes that the network has never seen, as `?pick=` says; by default up to five."""
    unseen = list(study.unseen())
    if not unseen:
        st.info(
            "This run has seen every class of its dataset. Add photographs of your own below, or train a network with "
            "*Classes kept for later*.",
            icon=":material/lightbulb:",
        )
        st.page_link("views/train.py", label="Train a network", icon=":material/model_training:")
        return []
    ids = {study.classes[label].wnid: label for label in unseen}
    wanted = st.query_params.get("pick")
    known = [ids[wnid] for wnid in (wanted or "").split(",") if wnid in ids]
    if wanted and len(known) < len(wanted.split(",")):
        notes.warning(
            "Some classes in the address are not among those that this run has never seen; they are left out.",
            icon=":material/help:",
        )
    st.session_state["new-classes"] = unseen[:5] if wanted is None else known

    def keep() -> None:
        chosen = st.session_state["new-classes"]
        st.query_params["pick"] = ",".join(study.classes[label].wnid for label in chosen)

    chosen = st.multiselect(
        "Classes that it has never seen",
        unseen,
        format_func=lambda label: study.classes[label].name,
        key="new-classes",
        on_change=keep,
        help="Held out of training: no picture of them was ever shown to the network.",
    )
    return sorted(chosen)


def learn(
    run: Run, study: Study | None, layer: str, labels: list[int], own: Mapping[str, np.ndarray]
) -> dict[int, list[Lesson]]:
    """By number of pictures, a lesson for each draw of them; the page ends meanwhile.

    Of one's own photographs no job keeps anything: their lessons live in the session.
    """
    pixels = b"".join(name.encode() + images.tobytes() for name, images in own.items())
    digest = hashlib.sha256(pixels).hexdigest()
    key = ("lessons", str(run.folder), weights_version(run), layer, tuple(labels), digest)

    def work(report) -> dict[int, list[Lesson]]:
        lessons = {}
        known = None
        if own:
            known = describe_photographs(run, np.concatenate(list(own.values())), layer)
        for number, shots in enumerate(SHOTS):
            lessons[shots] = []
            for draw in range(DRAWS):
                done = (number * DRAWS + draw) / (len(SHOTS) * DRAWS)
                report(
                    done,
                    f"Learning from {learning.pictures(shots)} a class, draw {draw + 1} of {DRAWS}",
                )
                lessons[shots].append(teach(run, study, layer, labels, own, shots, draw, known))
        return lessons

    ask = result_of_mine if own else result_of
    return ask(key, work, label="Teaching the new classifier", quick=True)


def show_answers(
    run: Run, study: Study | None, lesson: Lesson, own: Mapping[str, np.ndarray]
) -> None:
    """Test pictures with what it says now, and where it looked."""
    images, truth = some_tests(study, lesson)
    if not len(images):
        return
    st.subheader("What it says now, and where it looks", anchor=False)
    digest = hashlib.sha256(lesson.probe.weight.tobytes() + images.tobytes()).hexdigest()
    key = ("answers", str(run.folder), weights_version(run), lesson.layer, digest)
    ask = result_of_mine if own else result_of
    found = ask(
        key,
        lambda report: try_out(lesson, images, report=report),
        label="Asking the new network where it looks",
        quick=True,
    )
    names = [item.name for item in lesson.classes]
    overlays = [
        render.overlay(image, each.heat, opacity=0.45, side=192, smooth=True)
        for image, each in zip(images, found, strict=True)
    ]
    captions = [
        f"{'✓' if each.prediction == label else '✗'} true: {names[label]}\n"
        f"says: {names[each.prediction]}, {percent(float(each.probabilities.max()))}"
        for each, label in zip(found, truth, strict=True)
    ]
    gallery.grid(
        images,
        captions,
        beside=[[(overlay, "")] for overlay in overlays],
        key="answers",
        side=128,
    )
    st.caption("Bright places spoke for what it says (Grad-CAM at layer k).")


def some_tests(study: Study | None, lesson: Lesson) -> tuple[np.ndarray, np.ndarray]:
    """Up to `SHOWN` test pictures, uint8 (n, 64, 64, 3), of all classes in turn, and their labels."""
    labels = lesson.test_labels
    turn = np.zeros(len(labels))
    for label in set(labels.tolist()):
        turn[labels == label] = np.arange((labels == label).sum())
    chosen = np.argsort(turn, kind="stable")[:SHOWN]
    count = len(lesson.test_rows)
    images = [
        study.dataset.images[lesson.test_rows[i]] if i < count else lesson.own_tests[i - count]
        for i in chosen
    ]
    return np.array(images, dtype=np.uint8).reshape(-1, 64, 64, 3), labels[chosen]


def offer_to_keep(run: Run, lesson: Lesson, own: Mapping[str, np.ndarray]) -> None:
    st.subheader("Keep it", anchor=False)
    text = "As a run of its own, it can be opened on every page: Grad-CAM, Mistakes, and this one."
    if own:
        text += (
            " Of your photographs nothing is kept but what they taught: the weights and the names of the classes. Nor "
            "are answers to them stored. Remember that photographs of people belong to those people: ask them first."
        )
    st.markdown(text)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.text_input(
            "Name of the run", f"{run.name[:40]}-taught", key="taught-name", max_chars=60, width=360
        )
        pressed = presenter.button(
            "Save as a run", to="save a run", icon=":material/save:", type="primary"
        )
    if pressed:
        st.query_params["run"] = (
            run.name
        )  # else the page would go on with the newest run, which is the saved one
        try:
            saved = save(lesson, name.strip() or None)
        except UserError as error:
            show_error(error)
            return
        st.session_state["saved-lesson"] = saved.name
    saved = st.session_state.get("saved-lesson")
    if saved and (run.folder.parent / saved / "run.json").is_file():
        st.success(plain(f"Saved as the run '{saved}'."), icon=":material/check_circle:")
        query = dict(run=saved)
        with st.container(horizontal=True):
            st.page_link(
                "views/gradcam.py",
                label="Where does it look?",
                icon=":material/center_focus_strong:",
                query_params=query
                | dict(layer=lesson.layer)
                | (dict(source="upload") if own else {}),
            )
            if len(lesson.test_rows):
                st.page_link(
                    "views/mistakes.py",
                    label="What does it get wrong?",
                    icon=":material/rule:",
                    query_params=query,
                )
