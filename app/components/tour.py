"""A guided first visit: five steps from the pictures to the mistakes. The step is in the address: `?tour=2`."""

import streamlit as st

from components.tour_steps import STEPS, Room
from tinymodel.errors import UserError

STEP = (
    "tour-step"  # in the session: where it is, for pages that were opened without it in the address
)
OVER = "tour-over"  # in the session: it was skipped or has been seen to its end
AFTER = "end"  # in the address, after the last step


def bar(page: str) -> None:
    """One quiet box above the page while somebody takes the tour.

    Args:
        page: The name of the page that is open, such as 'data'.
    """
    number = _number()
    if number is not None and number > len(STEPS) and page != "overview":
        _leave()  # it has ended there
        number = None
    if number is None:
        return
    with st.container(border=True, key="tour"):
        if number > len(STEPS):
            _show_end()
        else:
            _show(number, page)


def _number() -> int | None:
    """The step of now, from 1; one more than there are after the last; None outside the tour."""
    text = st.query_params.get("tour")
    if text is None:
        number = st.session_state.get(STEP)
        if number is not None:
            st.query_params["tour"] = _written(number)
        return number
    if text == AFTER:
        number = len(STEPS) + 1
    elif text.isdecimal() and len(text) < 4:
        number = min(len(STEPS), max(1, int(text)))
    else:
        _leave()
        return None
    st.session_state[STEP] = number
    return number


def _written(number: int) -> str:
    return AFTER if number > len(STEPS) else str(number)


def _show(number: int, page: str) -> None:
    step, room = STEPS[number - 1], Room()
    here = step.page == page
    words = step.words(room) if here else f"This step is on the page {step.where}."
    st.markdown(f"Step {number} of {len(STEPS)} · **{step.title}**: {words}", width=980)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if number > 1 and st.button("Back", key="tour-back", icon=":material/arrow_back:"):
            go(number - 1)
        if not here and st.button("Go there", type="primary", icon=":material/arrow_forward:"):
            go(number)
        last = number == len(STEPS)
        if here and st.button(
            "Done" if last else "Next",
            key="tour-next",
            type="secondary" if step.waits(room) else "primary",
            icon=":material/check:" if last else ":material/arrow_forward:",
        ):
            go(number + 1)
        st.button("Skip the tour", key="tour-skip", type="tertiary", on_click=_leave)


def go(number: int) -> None:
    """To the page of this step, or home after the last."""
    st.session_state[STEP] = number
    if number > len(STEPS):
        st.session_state[OVER] = True
        st.switch_page("views/overview.py", query_params=dict(tour=AFTER))
    step = STEPS[number - 1]
    try:
        query = step.query(Room())
    except UserError:  # a run deleted this moment: the page says so
        query = {}
    st.switch_page(f"views/{step.page}.py", query_params=query | dict(tour=str(number)))


def _leave() -> None:
    st.session_state[OVER] = True
    st.session_state.pop(STEP, None)
    st.query_params.pop("tour", None)


def _show_end() -> None:
    st.markdown("**That was the whole way**, from pictures to mistakes. Where next?")
    with st.container(horizontal=True, vertical_alignment="center"):
        for page, label, icon, query in (
            ("gradcam", "Try a photo of your own", "add_a_photo", dict(source="upload")),
            ("train", "Train one your way", "model_training", dict(run="new")),
            ("bottleneck", "What each layer knows", "hub", None),
            ("glossary", "Look up a word", "dictionary", None),
        ):
            st.page_link(
                f"views/{page}.py", label=label, icon=f":material/{icon}:", query_params=query
            )
        st.button("Close", key="tour-skip", type="tertiary", on_click=_leave)


def offer() -> None:
    """The way in, for Home: prominent once, and not there during the tour."""
    if STEP in st.session_state:
        return
    label = "First time here? A tour in five steps, three minutes"
    st.page_link(
        "views/data.py",
        label="Take the tour again" if OVER in st.session_state else label,
        icon=":material/tour:",
        query_params=STEPS[0].query(Room()) | dict(tour="1"),
    )
