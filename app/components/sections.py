"""The pages, in the sections of the navigation."""

import base64
from copy import copy
from functools import cache
from pathlib import Path

import streamlit as st

APP = Path(__file__).parent.parent
ICON = "data:image/svg+xml;base64," + base64.b64encode((APP / "icon.svg").read_bytes()).decode()

SECTIONS = {
    "": [("overview", "Home", "home", "What this is, how things stand, and what to do next.")],
    "Teach it": [
        ("data", "Data", "photo_library", "The images the network learns from."),
        ("network", "Network", "account_tree", "What the network looks like inside."),
        ("train", "Train", "model_training", "Train the network and watch it learn."),
        ("runs", "Runs", "stacked_line_chart", "All runs side by side: compare, share, delete."),
    ],
    "See where it looks": [
        ("gradcam", "Grad-CAM", "center_focus_strong", "Where the network looks."),
        ("looks", "Where it looks", "my_location", "Does the heat lie on the thing? Measured."),
        ("timelapse", "Time-lapse", "timelapse", "The same pictures after every epoch."),
    ],
    "Find what it gets wrong": [
        ("mistakes", "Mistakes", "rule", "What the network got wrong (misclassified)."),
        ("confusion", "Confusion", "grid_on", "What it mixes up, class by class."),
        ("compare", "Compare", "compare", "What one run gets right and another one does not."),
    ],
    "Understand it": [
        ("bottleneck", "Bottleneck", "hub", "What each layer knows; teaching it something new."),
        ("glossary", "Glossary", "dictionary", "The words used here, in plain words."),
    ],
}


def _page(name: str, title: str, icon: str, help: str) -> st.Page:
    return st.Page(
        f"views/{name}.py",
        title=title,
        icon=f":material/{icon}:",
        url_path="" if name == "overview" else name,
        default=name == "overview",
        help=help,
    )


@cache
def _pages() -> dict[str, list[st.Page]]:
    """Each looks for its file when it is made: a tenth of a script run, so they are made once."""
    return {title: [_page(*about) for about in pages] for title, pages in SECTIONS.items()}


def pages() -> dict[str, list[st.Page]]:
    """Section → its pages, for one script run, which marks the one that it shows."""
    return {title: list(map(copy, made)) for title, made in _pages().items()}
