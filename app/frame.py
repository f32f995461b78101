"""What surrounds every page: navigation, and the card of the run that is going."""

from pathlib import Path

import streamlit as st
from components import first_start, follow, live, page_words, presenter, tour

HERE = Path(__file__).parent

st.set_page_config(
    page_title="Tiny ImageNet classroom",
    page_icon=str(HERE / "icon.svg"),
    layout="wide",
)

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


def page(name: str, title: str, icon: str, help: str) -> st.Page:
    return st.Page(
        f"views/{name}.py",
        title=title,
        icon=f":material/{icon}:",
        url_path="" if name == "overview" else name,
        default=name == "overview",
        help=help,
    )


sections = {title: [page(*about) for about in pages] for title, pages in SECTIONS.items()}
chosen = st.navigation(sections, expanded=True)
with st.sidebar:
    live.status_card()
    first_start.show()
    follow.switch()
    presenter.corner()
st.html(HERE / "style.css")
name = chosen.url_path or "overview"
body = st.container(key="page")
with st.container(key="foot"):  # before the page, which may end early
    page_words.link(name)
views = {each.url_path for pages in sections.values() for each in pages}
with first_start.page(), body, follow.view(chosen, views):
    tour.bar(name)
    chosen.run()
