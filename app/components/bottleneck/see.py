"""See it: a map of the pictures in every layer, a prediction, and the nearest neighbours of one of them."""

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from components import feature_map
from components.bottleneck import neighbours, quiz
from components.feature_map import MOST_CLASSES
from components.messages import plain
from components.pickers import choose, forget
from components.work import result_of
from tinymodel.evaluation import weights_version
from tinymodel.representation.features import Study
from tinymodel.representation.projection import MOST_POINTS, MOST_TSNE, Projection, project

MAPS = {"pca": "Flat (PCA)", "pca3": "3-D (PCA)", "tsne": "By neighbours (t-SNE)"}
HELP = (
    "**Flat** and **in space**: of the many numbers of a layer, the two or three directions in which the pictures differ "
    "most (principal components).\n\n**By neighbours**: pictures that are alike lie together; distances between groups "
    "mean little. It takes a minute."
)
DEFAULT_SEEN, DEFAULT_UNSEEN = 7, 3  # classes


def show(study: Study, notes: DeltaGenerator) -> None:
    st.markdown(
        "Every point is a picture that the network did not learn from. **Press ▶, or drag the slider:** at the left lies "
        "what the pictures are (colours), at the right what the last layer makes of them. Do the classes separate?"
    )
    left, right = st.columns(2, vertical_alignment="bottom")
    with left:
        labels = choose_classes(study, notes)
    with right:
        kind = choose("Kind of map", MAPS, name="map", as_row=True, help=HELP, notes=notes)
        everything = st.toggle(
            "All other classes in grey",
            key="others",
            bind="query-params",
            disabled=len(labels) == len(study.classes),
        )
    if not labels:
        st.info(
            "Choose two classes or more to see where their pictures lie.", icon=":material/info:"
        )
        return
    chosen = choose_points(study, labels, everything, MOST_TSNE if kind == "tsne" else MOST_POINTS)
    projection = lay_out(study, chosen, kind)
    moved = feature_map.draw(
        study,
        projection,
        labels,
        k=chosen_layer(study),
        revision=f"{study.folder} {kind} {labels} {len(chosen)}",
        key="map",
    )
    if moved.layer is not None:
        st.query_params["k"] = str(moved.layer)
    if moved.clicked is not None:
        st.query_params.update(image=str(study.rows[moved.clicked]), source="map")
    caption(study, labels)
    quiz.show(study, labels)
    neighbours.show(study, notes)


def choose_classes(study: Study, notes: DeltaGenerator) -> list[int]:
    """Labels of the classes that `?classes=` names, else a few of both kinds."""
    ids = {item.wnid: label for label, item in enumerate(study.classes)}
    wanted = st.query_params.get("classes")
    if wanted is None:
        labels = default_classes(study)
    else:
        known = [ids[wnid] for wnid in wanted.split(",") if wnid in ids]
        labels = sorted(set(known))[:MOST_CLASSES]
        if wanted and len(known) < len(wanted.split(",")):
            notes.warning(
                "Some classes in the address are not known to this run; they are left out.",
                icon=":material/help:",
            )
    st.session_state["map-classes"] = labels

    def keep() -> None:
        chosen = st.session_state["map-classes"]
        st.query_params["classes"] = ",".join(study.classes[label].wnid for label in chosen)
        forget("about", "guess")

    def title(label: int) -> str:
        return study.classes[label].name + (" (never seen)" if label >= study.seen else "")

    order = sorted(range(len(study.classes)), key=lambda label: study.classes[label].name.lower())
    chosen = st.multiselect(
        "Classes",
        order,
        format_func=title,
        key="map-classes",
        max_selections=MOST_CLASSES,
        on_change=keep,
        help=f"At most {MOST_CLASSES}, so that colours and shapes can be told apart.",
    )
    return sorted(chosen)


def default_classes(study: Study) -> list[int]:
    """A few that are far apart in the list, so not ten kinds of dog."""
    unseen = list(study.unseen())
    parts = []
    for labels, count in (
        (list(range(study.seen)), DEFAULT_SEEN if unseen else DEFAULT_SEEN + DEFAULT_UNSEEN),
        (unseen, DEFAULT_UNSEEN),
    ):
        places = np.linspace(0, len(labels) - 1, min(count, len(labels))).round().astype(int)
        parts += [labels[place] for place in places]
    return parts


def choose_points(study: Study, labels: list[int], everything: bool, most: int) -> np.ndarray:
    """Positions of the validation images of these classes, and of all others if there is room."""
    chosen = study.of_classes(labels)
    chosen = chosen[:: max(1, -(-len(chosen) // most))]
    if everything:
        others = study.of_classes([n for n in range(len(study.classes)) if n not in set(labels)])
        room = most - len(chosen)
        stride = max(1, -(-len(others) // max(1, room)))
        chosen = np.concatenate([chosen, others[::stride][:room]])
    return chosen


def lay_out(study: Study, chosen: np.ndarray, kind: str) -> Projection:
    method, dimensions = ("tsne", 2) if kind == "tsne" else ("pca", 3 if kind == "pca3" else 2)
    digest = hash(chosen.tobytes())
    return result_of(
        ("map", str(study.run.folder), weights_version(study.run), kind, digest),
        lambda report: project(study, chosen, dimensions, method, report),
        label="Laying out the pictures in every layer",
        quick=kind != "tsne" and len(chosen) <= 1000,
    )


def chosen_layer(study: Study) -> int:
    """`?k=`, else raw pixels, where it begins."""
    wanted = st.query_params.get("k", "")
    last = len(study.layers) - 1
    return min(int(wanted), last) if wanted.isdecimal() and len(wanted) < 4 else 0


def caption(study: Study, labels: list[int]) -> None:
    unseen = [study.classes[label].name for label in labels if label >= study.seen]
    text = "Point at a picture to see it; click it to see its neighbours below. "
    if unseen:
        text += (
            f"Hollow marks: classes that the network has never seen ({', '.join(unseen[:4])}"
            f"{' …' if len(unseen) > 4 else ''}). Watch whether they find together all the same."
        )
    st.caption(plain(text))
