"""At the foot of each page: the way to the words that are used on it."""

import streamlit as st

from components.terms import words_of


def link(page: str) -> None:
    """A small link to the glossary, with the terms of this page.

    Args:
        page: The name of its view, such as 'gradcam'.
    """
    words = words_of(page)
    if not words:
        return
    some = ", ".join(term.name for term in words[:3])
    st.page_link(
        "views/glossary.py",
        label=f"Words used here: {some} …",
        icon=":material/dictionary:",
        query_params=dict(on=page),
    )
