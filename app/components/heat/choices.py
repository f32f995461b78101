"""How to look: the choices that the views of the Grad-CAM page share. All of them are in the address."""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from components.pickers import choose, choose_class
from tinymodel.explain.gradcam import ALL_METHODS, METHODS
from tinymodel.network import BLOCKS, block_title
from tinymodel.runs import Run

SCALES = {"own": "Each by itself", "same": "All alike"}
DRAWINGS = {"both": "Cells and smooth", "cells": "Cells", "smooth": "Smooth", "over": "Over the picture"}  # fmt: skip


def layers(run: Run) -> list[str]:
    """The blocks of a run's network in order; fewer than ten of one that was cut short."""
    return list(BLOCKS[: run.info()["model"].get("depth", len(BLOCKS))])


def choose_layer(run: Run, notes: DeltaGenerator | None = None) -> str:
    names = layers(run)
    return choose(
        "Block of the network (layer)",
        {name: block_title(name) for name in names},
        name="layer",
        default=names[-1],
        help="Late blocks see whole things on a coarse grid, early ones see edges and colours on a fine grid.",
        notes=notes,
    )


def choose_method(*, slow: bool, notes: DeltaGenerator | None = None) -> str:
    """A method; with `slow` also one of those that take their time."""
    methods = ALL_METHODS if slow else METHODS
    titles = {
        name: f"{method.title} (slow)" if method.at_once else method.title
        for name, method in methods.items()
    }
    return choose(
        "Method",
        titles,
        name="method",
        help="\n\n".join(f"**{method.title}**: {method.help}" for method in methods.values()),
        notes=notes,
    )


def choose_target(run: Run, notes: DeltaGenerator | None = None) -> int | None:
    return choose_class(
        "Look for (target class)",
        run.classes,
        name="target",
        anything="Its own answer",
        help="What speaks for this class? By default the one that the network says.",
        notes=notes,
    )


def choose_scale(notes: DeltaGenerator | None = None) -> bool:
    """Whether the pictures share one scale."""
    chosen = choose(
        "Brightness (scale)",
        SCALES,
        name="scale",
        as_row=True,
        help="**Each by itself**: every map is as bright as can be, so look at places. **All alike**: the maps of one "
        "column share one scale, so that a weak one stays dark, and strength can be compared between pictures.",
        notes=notes,
    )
    return chosen == "same"


def choose_drawing(default: str = "both", notes: DeltaGenerator | None = None) -> str:
    return choose(
        "Drawn as",
        DRAWINGS,
        name="draw",
        default=default,
        as_row=True,
        help="**Cells** are the map as it is, on the grid of the block. **Smooth** is the same, blown up to the size of "
        "the picture: easier on the eye, but nothing finer is known than the cells.",
        notes=notes,
    )


def smoothly() -> bool:
    return st.toggle(
        "Smooth pictures",
        key="smooth",
        bind="query-params",
        help="Off shows every pixel and every cell of the heat map as they are.",
    )


def opacity() -> float:
    """In [0, 1]."""
    percent = st.slider(
        "Strength of the heat map over the image (opacity)",
        0, 100, 45,
        format="%d %%",
        key="opacity",
        bind="query-params",
    )  # fmt: skip
    return percent / 100
