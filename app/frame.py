"""What surrounds every page: navigation, and the card of the run that is going."""

from pathlib import Path

import streamlit as st
from components import live

HERE = Path(__file__).parent

st.set_page_config(
    page_title="Tiny ImageNet classroom",
    page_icon=str(HERE / "icon.svg"),
    layout="wide",
)

PAGES = [
    st.Page(
        f"views/{name}.py",
        title=title,
        icon=f":material/{icon}:",
        url_path="" if name == "overview" else name,
        default=name == "overview",
        help=help,
    )
    for name, title, icon, help in (
        ("overview", "Home", "home", "What this is, how things stand, and what to do next."),
        ("data", "Data", "photo_library", "The images the network learns from."),
        ("network", "Network", "account_tree", "What the network looks like inside."),
        ("train", "Train", "model_training", "Train the network and watch it learn."),
        ("runs", "Runs", "stacked_line_chart", "All runs side by side: compare, share, delete."),
        ("gradcam", "Grad-CAM", "center_focus_strong", "Where the network looks."),
        ("looks", "Where it looks", "my_location", "Does the heat lie on the thing? Measured."),
        (
            "timelapse",
            "Time-lapse",
            "timelapse",
            "The same pictures after every epoch: attention as it forms.",
        ),
        ("mistakes", "Mistakes", "rule", "What the network got wrong (misclassified)."),
        (
            "confusion",
            "Confusion",
            "grid_on",
            "What it mixes up, class by class (confusion matrix).",
        ),
        ("compare", "Compare", "compare", "What one run gets right and another one does not."),
        (
            "bottleneck",
            "Bottleneck",
            "hub",
            "What each layer knows, and teaching it something new.",
        ),
    )
]

page = st.navigation(PAGES)
with st.sidebar:
    live.status_card()
page.run()
