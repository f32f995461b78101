"""What counts as alike, early and late: the nearest neighbours of one picture in three layers."""

import hashlib
import random

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from components import gallery
from components.messages import percent, plain
from components.own_photo import choose_photo
from components.pickers import choose
from components.work import result_of
from tinymodel.evaluation import weights_version
from tinymodel.representation.features import PIXELS, Study, describe_image, layer_title
from tinymodel.representation.projection import nearest_images

COUNT = 6
SOURCES = {"map": "From the map", "mine": "My own picture"}


def show(study: Study, notes: DeltaGenerator) -> None:
    st.subheader("What counts as alike, early and late", anchor=False)
    st.markdown(
        "The pictures most like this one: judged by colours, by an early layer, and by a late one. Early layers match "
        "colours and textures, late ones things."
    )
    layers = {str(k): f"{k} · {layer_title(layer)}" for k, layer in enumerate(study.layers)}
    last = len(study.layers) - 1
    with st.container(horizontal=True, vertical_alignment="bottom"):
        source = choose("Picture", SOURCES, name="source", as_row=True, notes=notes)
        early = choose("Early layer", layers, name="early", default=str(min(1, last)), notes=notes)
        late = choose("Late layer", layers, name="late", default=str(last), notes=notes)
        if source == "map":
            st.button(
                "Another picture",
                icon=":material/casino:",
                help="A picture at random",
                on_click=lambda: st.query_params.update(
                    image=str(study.rows[random.choice(np.flatnonzero(study.validation))])
                ),
            )
    position, pixels = None, None
    if source == "mine":
        chosen = choose_photo()
        if chosen is None:
            return
        photo, square = chosen
        pixels = photo.seen(square)
    else:
        position = chosen_position(study)
        pixels = study.dataset.images[study.rows[position]]
    found = look(study, position, pixels, (PIXELS, *(study.layers[int(k)] for k in (early, late))))
    draw(study, position, pixels, found)


def chosen_position(study: Study) -> int:
    """Of the picture that `?image=` names, else of the first one."""
    wanted = st.query_params.get("image", "")
    places = (
        np.flatnonzero(study.rows == int(wanted)) if wanted.isdecimal() and len(wanted) < 10 else []
    )
    return int(places[0]) if len(places) else int(np.flatnonzero(study.validation)[0])


def look(study: Study, position: int | None, pixels: np.ndarray, layers: tuple) -> dict:
    """Layer → (positions, similarities) of the nearest neighbours, best first."""
    among = np.flatnonzero(study.validation)
    among = among[among != position] if position is not None else among

    def search(report) -> dict:
        if position is None:
            queries = describe_image(study.run, pixels)
        else:
            queries = {layer: study.features(layer, np.array([position]))[0] for layer in layers}
        return {
            layer: nearest_images(study, layer, queries[layer], among, COUNT)
            for layer in dict.fromkeys(layers)
        }

    digest = hashlib.sha256(pixels.tobytes()).hexdigest()
    key = (
        "neighbours",
        str(study.run.folder),
        weights_version(study.run),
        digest,
        position,
        layers,
    )
    return result_of(key, search, label="Looking for pictures that are alike", quick=True)


def draw(study: Study, position: int | None, pixels: np.ndarray, found: dict) -> None:
    left, right = st.columns([1, 4], gap="large")
    name = study.classes[study.labels[position]].name if position is not None else None
    with left:
        gallery.picture(pixels, side=192, caption=plain(name or "My own picture"))
    with right:
        for number, (layer, (positions, similarity)) in enumerate(found.items()):
            names = [study.classes[label].name for label in study.labels[positions]]
            own = sum(each == name for each in names) if name else None
            count = f": {own} of {len(names)} are {name}" if name else ""
            st.markdown(plain(f"{study.layers.index(layer)} · {layer_title(layer)}{count}"))
            gallery.grid(
                study.dataset.images[study.rows[positions]],
                [f"{each}{' ✓' if each == name else ''}" for each in names],
                hints=[
                    f"{each}, alike {percent(float(alike))}"
                    for each, alike in zip(names, similarity, strict=True)
                ],
                key=f"neighbours-{number}",
                side=96,
            )
