"""Who uses this session: with a presenter's code set the presenter or a student, without one the owner of the tool.

The proof is looked at on the server at the moment of the action. It is a random token: in the session of the tab where
the code was entered, in a cookie for the other tabs of that browser.
"""

import contextlib
import os
import secrets

import streamlit as st

from components.presenter_code import SHORTEST, Roles, tidy
from tinymodel.errors import UserError
from tinymodel.jobs import Job
from tinymodel.runs import ACTIVE, list_runs
from tinymodel.training.supervisor import about

VARIABLE = "TINYMODEL_PRESENTER_CODE"
SECRET = "presenter_code"  # in .streamlit/secrets.toml
TOKEN = "presenter-token"  # in the session
START = "start another training"

roles = Roles()


class NotPresenter(UserError):
    """Somebody else than the presenter wanted to start, change or delete something."""


def code() -> str:
    """The presenter's code; '' if none is set. What the environment says goes before the file."""
    found = tidy(os.environ.get(VARIABLE, ""))
    if not found and _secrets_file() and st.secrets.load_if_toml_exists():
        found = tidy(str(st.secrets.get(SECRET, "")))
    return found


def problem() -> str:
    """Why nobody can enter the code that somebody has tried to set, or ''."""
    if 0 < len(code()) < SHORTEST:
        return (
            f"The presenter code has fewer than {SHORTEST} characters, so pupils could guess it. Set a longer one; "
            "until then nobody can change anything here."
        )
    if not code() and _secrets_file() and not st.secrets.load_if_toml_exists():
        return "The file secrets.toml cannot be read, and may hold a presenter code. Until it is mended nobody can change anything here."
    return ""


def _secrets_file() -> bool:
    """Looked up first: without a file Streamlit's own search costs a tenth of a script run."""
    return any(os.path.isfile(file) for file in st.get_option("secrets.files"))


def with_a_class() -> bool:
    """Whether there are a presenter and students, instead of one person with a tool of their own."""
    return bool(code() or problem())


def is_presenter() -> bool:
    """Whether who uses this session may change things: who entered the code, or anybody if there is none."""
    if problem():
        return False
    return not code() or roles.holds(token(), code())


def token() -> str | None:
    return st.session_state.get(TOKEN) or st.context.cookies.get(cookie())


def cookie() -> str:
    """Browsers do not tell cookies of one host apart by port."""
    return f"tinymodel-presenter-{st.get_option('server.port')}"


def require(action: str) -> None:
    """Go on only for the presenter.

    Args:
        action: What is about to be done, such as 'delete runs'.

    Raises:
        NotPresenter: A student wants it; the sentence says who may, and for a training which one is going.
    """
    if not is_presenter():
        raise NotPresenter(refusal(action))


def refusal(action: str) -> str:
    """What a student reads."""
    if action == START:
        if going := _going():
            return f"{going} Only the presenter can start another: watch it on Train."
        action = "start a training"
    return (
        f"Only the presenter can {action}. You can look at everything, and try out your own photo."
    )


def _going() -> str:
    """Whose run is in training and when it ends, or ''."""
    run = next((run for run in list_runs() if run.status in ACTIVE), None)
    if run is None:
        return ""
    state = "in training"
    with contextlib.suppress(UserError, KeyError, OSError):  # its tables are damaged
        progress = run.progress()
        if progress.status == "paused":
            state = "paused"
        elif progress.seconds_left is not None:
            state += f", {about(progress.seconds_left)} left"
    return f"The presenter's run '{run.name}' is {state}."


def me() -> str:
    """A word for this browser session that nobody else knows."""
    return st.session_state.setdefault("me", secrets.token_hex(8))


def may_stop(job: Job) -> bool:
    """One's own job, and the presenter any."""
    return is_presenter() or job.owner == me()
