"""The presenter's buttons, and where the code is entered.

The code travels in the body of a post of its own, so it is in no address, no log and no widget. What stays in the
browser is a random token in a cookie that no script can read.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import streamlit as st
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from components import role, stream
from components.messages import plain, show_error
from components.pictures import prefix
from components.presenter_code import LASTS, Busy, Door
from tinymodel import jobs

ENTER_URL = "/presenter/enter"
LARGEST = 2000  # bytes of a post
ICON = ":material/co_present:"

door = Door(closing=lambda: stream.hub.closing)


def button(
    label: str,
    *,
    to: str,
    on_click: Callable | None = None,
    args: Sequence[Any] = (),
    widget: Callable[..., bool] = st.button,
    **options: Any,
) -> bool:
    """A button for the presenter: True, and `on_click` called, only if the presenter has pressed it.

    Anybody else who presses it reads why not.

    Args:
        to: What it does, as of `role.require`.
    """

    def act() -> None:
        if role.is_presenter():
            on_click(*args)

    pressed = widget(label, on_click=act if on_click else None, **options)
    if pressed and not role.is_presenter():
        say_no(to)
        return False
    return pressed


def say_no(action: str) -> None:
    """The sentence of `role.refusal`, calmly; in a row of buttons of its own width, so that it is not squeezed."""
    st.info(plain(role.refusal(action)), icon=ICON, width=420)


# Where the code is entered


def _read(file: str) -> str:
    return (Path(__file__).parent / file).read_text(encoding="utf-8")


_FORM = st.components.v2.component(
    "presenter-code",
    html="""<form class="form">
<label for="code">Presenter code</label>
<div class="row"><input id="code" type="password" autocomplete="off" spellcheck="false" maxlength="200">
<button type="submit">Enter</button></div>
<p class="said" role="status"></p></form>""",
    css=_read("presenter.css"),
    js=_read("presenter.js"),
)


def corner() -> None:
    """At the end of the sidebar, if a code is set: the way into the role and out of it."""
    if sentence := role.problem():
        show_error(sentence)
    if not role.with_a_class() or sentence:
        return
    # Dialogs: what opens at the lower edge of the sidebar has no room for an answer there.
    if not role.is_presenter():
        if st.button("Presenter", icon=ICON, type="tertiary"):
            _enter()
        if role.token():
            st.caption("Your time as the presenter has ended. Enter the code to go on.")
    elif st.button("You are the presenter", icon=ICON):
        _be()


@st.dialog("Presenter")
def _enter() -> None:
    if role.is_presenter():
        st.rerun()
    st.markdown(
        "Who enters the code may start, stop and delete. Everybody else may look at everything."
    )
    _FORM(
        data=dict(address=prefix() + ENTER_URL),
        key="presenter-code",
        on_ticket_change=_redeem,
    )


@st.dialog("You are the presenter")
def _be() -> None:
    if not role.is_presenter():
        st.rerun()
    st.markdown(
        f"In every tab of this browser, for {LASTS / 3600:.0f} hours or until you leave the role."
    )
    st.button("Leave the role", icon=":material/logout:", on_click=_leave)
    _show_jobs()


def _redeem() -> None:
    token = role.roles.redeem(st.session_state["presenter-code"].ticket)
    if token is not None:
        st.session_state[role.TOKEN] = token


def _leave() -> None:
    role.roles.close(role.token())  # what is shown ends with it: see follow.shown
    st.session_state.pop(role.TOKEN, None)


def _show_jobs() -> None:
    """What the class has asked for and is still being computed, each with a way to end it."""
    for job in jobs.active():
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(plain(job.label), width="stretch")
            button(
                "Stop", to="stop it", key=f"end-{job.key}", icon=":material/stop:", on_click=job.stop
            )  # fmt: skip


async def enter(request: Request) -> Response:
    """Try a code. The answer is a ticket for the tab and a cookie for the browser, or a sentence.

    Only JSON is read: a page of somebody else cannot post it here without being asked first (CORS), and nobody answers.
    """
    code = role.code()
    if role.problem() or not code:
        return _say("There is no presenter code to enter.", 404)
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST:
            return _say("That is too long.", 413)
    try:
        if not request.headers.get("content-type", "").startswith("application/json"):
            raise ValueError
        given = json.loads(body)["code"]
        if not isinstance(given, str):
            raise ValueError
    except (ValueError, KeyError, TypeError, RecursionError):
        return _say("That is no code.", 400)
    try:
        right = await door.check(given, code, request.client.host if request.client else "")
    except Busy:
        return _say("Too many codes are being tried. Try again in a moment.", 429)
    if not right:
        return _say("That is not the code.", 200)  # browsers write any other number to the console
    token = role.roles.open(code)
    answer = JSONResponse(
        dict(ticket=role.roles.ticket(token)), headers={"Cache-Control": "no-store"}
    )
    answer.set_cookie(
        role.cookie(),
        token,
        path="/",
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return answer


def _say(sentence: str, status: int) -> Response:
    return JSONResponse(dict(sentence=sentence), status, headers={"Cache-Control": "no-store"})


routes = [Route(ENTER_URL, enter, methods=["POST"])]
