"""What surrounds every page: navigation, and the card of the run that is going."""

import streamlit as st
from components import first_start, follow, live, page_words, presenter, tour
from components.sections import APP, ICON, pages

st.set_page_config(page_title="Tiny ImageNet classroom", page_icon=ICON, layout="wide")

sections = pages()
chosen = st.navigation(sections, expanded=True)
with st.sidebar:
    live.status_card()
    first_start.show()
    follow.switch()
    presenter.corner()
st.html(APP / "style.css")
name = chosen.url_path or "overview"
body = st.container(key="page")
with st.container(key="foot"):  # before the page, which may end early
    page_words.link(name)
views = {each.url_path for made in sections.values() for each in made}
with first_start.page(), body, follow.view(chosen, views):
    tour.bar(name)
    chosen.run()
