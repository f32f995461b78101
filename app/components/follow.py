"""Follow the presenter: the page and the address of one tab go to every browser, and students' pages go there if they like.

What the presenter shows travels with the status of the event stream (`stream.hub.teacher`); the browser of who follows
goes there as with Back and Forward, and a page is run again only when the view has changed. Only the address travels,
never what lives in a session: no photo, no text half typed.
"""

import itertools
from collections.abc import Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from components import presenter, role, stream
from components.pictures import prefix

FOLLOWED = "followed-view"  # in the session: the number of the view that it was taken to; absent: it goes its own way
SETTLED = "settled-address"  # in the session: where that page had come to rest
LEFT = "left-the-presenter"  # in the session: it has followed, and then went somewhere else
SWITCH, TOGGLE = "show-my-view", "follow-the-presenter"
Address = tuple[str, dict[str, list[str]]]

_LISTENER = st.components.v2.component(
    "follow", html="", js=(Path(__file__).parent / "follow.js").read_text(encoding="utf-8")
)
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Showing:
    """Whose view is shown: a tab, and the proof that it is the presenter's."""

    session: str
    token: str | None


_showing: Showing | None = None


@contextmanager
def view(chosen: st.Page, pages: Set[str]) -> Iterator[None]:
    """Around the page: tells the class where the presenter is, and a student whether they are still there too.

    Args:
        pages: The paths in the address that are pages.
    """
    if role.with_a_class() and not role.is_presenter():
        _follow(_address(chosen), pages)
    publishes = shows_this_tab()
    if publishes:
        publish(_address(chosen))
    yield
    if publishes:
        publish(_address(chosen))  # the page may have changed it
    if FOLLOWED in st.session_state:
        st.session_state.setdefault(SETTLED, _address(chosen))


def _address(chosen: st.Page) -> Address:
    """Where somebody is, but for the tour, which everybody takes at their own pace."""
    names = (name for name in st.query_params if name != "tour")
    return chosen.url_path, {name: st.query_params.get_all(name) for name in names}


# The presenter's side


def switch() -> None:
    """For the presenter: whether the class sees this tab's view."""
    shown()  # ends what is shown if the role has ended
    if not (role.with_a_class() and role.is_presenter()):
        return
    _take_over()
    st.session_state[SWITCH] = shows_this_tab()
    st.toggle(
        "Show my view to the class",
        key=SWITCH,
        on_change=_begin_or_end,
        help="Students who follow go with you to the same page, run, picture and epoch. A photo of your own stays with "
        "you.",
    )


def _begin_or_end() -> None:
    global _showing
    if st.session_state[SWITCH] and role.is_presenter():
        _showing = Showing(_session(), role.token())
    else:
        end()


def end() -> None:
    """Nothing is shown any more."""
    global _showing
    _showing = None
    stream.hub.teacher = None


def _take_over() -> None:
    """A reloaded tab is another session: it goes on with what its browser has shown."""
    global _showing
    if _showing is None or shows_this_tab() or _showing.token != role.token():
        return
    if not _is_open(_showing.session):
        _showing = Showing(_session(), role.token())


def _is_open(session: str) -> bool:
    return st.runtime.exists() and st.runtime.get_instance().is_active_session(session)


def _session() -> str:
    return get_script_run_ctx().session_id


def shows_this_tab() -> bool:
    return _showing is not None and _showing.session == _session() and role.is_presenter()


def publish(address: Address) -> None:
    """Tell every browser, if it has changed."""
    page, query = address
    own_photo = query.get("source") == ["upload"]
    if own_photo:
        query = {name: values for name, values in query.items() if name != "source"}
    url = page + (f"?{urlencode(query, doseq=True)}" if query else "")
    now = dict(page=page, query=query, url=url, own_photo=own_photo)
    before = stream.hub.teacher
    if before is None or before != now | dict(number=before["number"]):
        stream.hub.teacher = now | dict(number=next(_numbers))


# A student's side


def shown() -> dict[str, Any] | None:
    """The view that is being shown, unless its presenter has left the role."""
    if _showing is not None and not role.roles.holds(_showing.token, role.code()):
        end()
    return stream.hub.teacher


def _follow(here: Address, pages: Set[str]) -> None:
    """Notice whether this page is the presenter's, and draw the switch. Getting there is the browser's part: follow.js."""
    session, now = st.session_state, shown()
    if now is None or now["page"] not in pages:
        now = None
        for name in (FOLLOWED, SETTLED, LEFT):
            session.pop(name, None)
    elif FOLLOWED in session and session[FOLLOWED] != now["number"]:
        if here == (now["page"], now["query"]):
            session[FOLLOWED] = now["number"]
            session.pop(SETTLED, None)
    elif FOLLOWED in session and (
        here[0] != now["page"] or here != session.get(SETTLED, here)
    ):  # another page, or another choice on this one
        session.pop(FOLLOWED)
        session[LEFT] = True
    with st.sidebar:
        _LISTENER(
            data=dict(shown=now is not None, followed=session.get(FOLLOWED), prefix=prefix() + "/"),
            key="follow",
            on_changed_change=lambda: None,
        )
    if now is not None:
        _bar(now)


def _bar(now: dict[str, Any]) -> None:
    """One line above the page."""
    with st.container(horizontal=True, vertical_alignment="center", key="follow-bar"):
        if LEFT in st.session_state:
            st.markdown(f"{presenter.ICON} You have left the presenter's view.", width="content")
            st.button("Go back", key="go-back", icon=":material/undo:", on_click=_begin)
            return
        st.session_state[TOGGLE] = follows = FOLLOWED in st.session_state
        st.toggle("Follow the presenter", key=TOGGLE, on_change=_toggle, width="content")
        if now["own_photo"]:
            st.caption("The presenter looks at a photo of their own, which only they can see.")
        elif not follows:
            st.caption("The presenter is showing a page to the class.")


def _toggle() -> None:
    if st.session_state[TOGGLE]:
        _begin()
    else:
        st.session_state.pop(FOLLOWED, None)


def _begin() -> None:
    st.session_state[FOLLOWED] = 0  # no view's number: it is taken to the one that is shown now
    st.session_state.pop(LEFT, None)
