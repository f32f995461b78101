"""Glossary: the words of this app, each in plain words, with where one sees it."""

import streamlit as st
from components import term_figures
from components.messages import plain
from components.pickers import forget
from components.terms import BY_SLUG, GROUPS, TERMS, Term, search, words_of

TITLES = {  # of pages, as the navigation names them
    "data": "Data",
    "network": "Network",
    "train": "Train",
    "runs": "Runs",
    "gradcam": "Grad-CAM",
    "looks": "Where it looks",
    "timelapse": "Time-lapse",
    "mistakes": "Mistakes",
    "confusion": "Confusion",
    "compare": "Compare",
    "bottleneck": "Bottleneck",
}


def main() -> None:
    st.title("Glossary")
    st.caption("The words of this app: what the field calls a thing, and what it means.")
    text = st.text_input(
        "Look for a word",
        key="q",
        bind="query-params",
        placeholder="loss, heat map, step size …",
        max_chars=60,
        icon=":material/search:",
        on_change=lambda: forget("term", "on"),
        width=420,
    )
    term, page = (st.query_params.get(name, "") for name in ("term", "on"))
    if text.strip():
        show_found(text)
    elif term in BY_SLUG:
        show_one(BY_SLUG[term])
    elif page in TITLES:
        st.header(f"Words on the page {TITLES[page]}", anchor=False)
        show(words_of(page))
        all_words()
    else:
        if term or page:
            wanted = term or page
            st.info(plain(f"There is no {wanted[:60]!r} here; these are all words."))
        for group, title in GROUPS.items():
            st.header(title, anchor=False)
            show([term for term in TERMS if term.group == group])


def show_found(text: str) -> None:
    found = search(text)
    if found:
        show(found)
    else:
        st.info(
            plain(f"No word here has {text.strip()!r} in it. Try a shorter piece of it."),
            icon=":material/search_off:",
        )


def show_one(term: Term) -> None:
    """One word, and those that one meets beside it."""
    describe(term)
    beside = [other for other in words_of(term.pages[0]) if other.group == term.group]
    if others := [other for other in beside if other is not term][:6]:
        st.header("Beside it", anchor=False)
        show(others)
    all_words()


def show(terms: list[Term]) -> None:
    grid = st.grid(2, min_column_width=340, gap="large")
    for term in terms:
        with grid.cell():
            describe(term)


def describe(term: Term) -> None:
    st.subheader(term.name, anchor=term.slug)
    st.markdown(f"*{term.plain}*  \n{term.text}")
    term_figures.show(term.slug)
    page = term.pages[0]
    st.page_link(
        f"views/{page}.py",
        label=f"See it on {TITLES[page]}",
        icon=":material/arrow_forward:",
        query_params=term.query or None,
    )


def all_words() -> None:
    st.button("All words", icon=":material/dictionary:", on_click=lambda: forget("term", "on"))


main()
