"""Grad-CAM: where in an image the network looks."""

import streamlit as st
from components.heat import columns, contrast, many, one
from components.image_picker import choose_subjects
from components.messages import missing, user_errors
from components.pickers import choose, choose_run, forget

VIEWS = {
    "one": "One picture",
    "layers": "Layers",
    "methods": "Methods",
    "contrast": "This or that",
    "many": "Many pictures",
}
WORDS = {
    "one": "Where does the network look? Bright places in the heat map spoke for the class.",
    "layers": "The heat map forming, block by block, from a fine grid to a coarse one.",
    "methods": "The same question, asked in several ways. Where the methods agree, trust the map more.",
    "contrast": "Why this class and not that one? Two maps, and where they differ.",
    "many": "Many pictures side by side: does the network look at the same thing in all of them?",
}


def main() -> None:
    st.title("Grad-CAM")
    words = st.empty()
    notes = st.container()
    view = choose(
        "What to see",
        VIEWS,
        name="view",
        as_row=True,
        notes=notes,
        on_change=lambda: forget("page"),
    )
    words.caption(WORDS[view])
    controls = st.container(horizontal=True, vertical_alignment="bottom", key="subject")
    with controls:
        run = choose_run(
            "No network yet",
            "Here you will see which part of a picture made a network say what it says. "
            "First a network must learn something.",
            notes=notes,
            on_change=lambda: forget("image", "images", "page", "target", "this", "that", "layer"),
        )
    if not run.has_weights:
        missing(
            "Nothing learned yet",
            f"The run '{run.name}' has no weights yet: they are saved at the end of its first epoch. "
            "Then you can see through its eyes here.",
            page="views/train.py",
            label="See how far it is",
        )
    subjects = choose_subjects(run, controls, notes, several=view != "one")
    if not subjects:
        st.stop()
    if view == "layers":
        columns.show_layers(run, subjects)
    elif view == "methods":
        columns.show_methods(run, subjects)
    elif view == "contrast":
        contrast.show(run, subjects)
    elif view == "many":
        many.show(run, subjects)
    else:
        one.show(run, subjects[0])


with user_errors():  # a run deleted this moment
    main()
