"""Files that a browser sends: how much of them the server takes, and their content as far as it may be believed.

They are kept in memory (a larger one passes through a temporary file without a name) and go with the browser session.
The size that a widget names is watched by the browser alone: whoever talks to the server without one meets these bounds.
"""

import re
from collections.abc import Iterable

import streamlit as st
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit.runtime import Runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import UploadedFile

from tinymodel.errors import UserError

MB = 10**6
PHOTO = 20  # MB of one photograph
ZIP = 500  # MB of a zip, and what the server takes of any file (`server.maxUploadSize`): a full-width run has about 300
MOST_FILES = 400  # of one session: six classes of 40 photographs, and some that were taken back
MOST_OF_ONE = 700 * MB  # of one session
MOST_OF_ALL = 3000 * MB  # in the memory of the server, with those that are on their way
LONGEST_NAME = 80

_ROUTE = re.compile(r".*/_stcore/upload_file/([^/]+)/[^/]+")


class Bounds:
    """ASGI middleware before Streamlit's upload route: no session and no room full of them fills the memory."""

    def __init__(self, app: ASGIApp):
        self.app = app
        self.coming: dict[str, list[int]] = {}  # session → bytes of each upload on its way

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match = scope["type"] == "http" and _ROUTE.fullmatch(scope["path"])
        if not match or scope["method"] != "PUT":
            await self.app(scope, receive, send)
            return
        session, size = match[1], _announced(scope)
        if problem := self._problem(session, size):
            await PlainTextResponse(problem, status_code=413)(scope, receive, send)
            return
        self.coming.setdefault(session, []).append(size)
        try:
            await self.app(scope, receive, send)
        finally:
            self.coming[session].remove(size)
            if not self.coming[session]:
                del self.coming[session]

    def _problem(self, session: str, size: int) -> str:
        """Why this one is not taken; '' if it is."""
        kept = _kept()
        mine, coming = kept.get(session, []), self.coming.get(session, [])
        if len(mine) + len(coming) >= MOST_FILES:
            return f"This page holds {MOST_FILES} files already. Reload it to begin anew."
        if sum(mine) + sum(coming) + size > MOST_OF_ONE:
            return f"This page may hold {MOST_OF_ONE // MB} MB of files at a time. Reload it to begin anew."
        if _total(kept.values()) + _total(self.coming.values()) + size > MOST_OF_ALL:
            return (
                "The memory for files is full: others have sent many. Try again in a few minutes."
            )
        return ""


def _announced(scope: Scope) -> int:
    """Bytes that are coming; where nothing true is said of it, as many as the server would take."""
    text = dict(scope["headers"]).get(b"content-length", b"")
    return int(text) if text.isdigit() and len(text) < 16 else ZIP * MB


def _kept() -> dict[str, list[int]]:
    """Session → bytes of each file that Streamlit holds for it."""
    storage = getattr(Runtime.instance().uploaded_file_mgr, "file_storage", {})
    return {
        session: [len(file.data) for file in list(files.values())]
        for session, files in list(storage.items())
    }


def _total(lists: Iterable[list[int]]) -> int:
    return sum(map(sum, lists))


def content(file: UploadedFile, megabytes: int) -> bytes:
    """All of a file.

    Raises:
        UserError: It is larger than the widget said.
    """
    if file.size > megabytes * 1024 * 1024:  # as the browser counts
        raise UserError(
            f"The file {title(file)!r} has {file.size / MB:,.0f} MB, and {megabytes} MB is the most: choose a smaller one."
        )
    return file.getvalue()


def title(file: UploadedFile) -> str:
    """Its name, to be shown: one line of letters that can be seen, and no longer than a line."""
    name = "".join(letter if letter.isprintable() else " " for letter in file.name)
    name = " ".join(name.split()) or "without a name"
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 12]}…{name[-11:]}"


def release(file: UploadedFile) -> None:
    """Give its memory back, once it has been read and its widget is not drawn again."""
    if context := get_script_run_ctx():
        context.uploaded_file_mgr.remove_file(context.session_id, file.file_id)


def key(name: str) -> str:
    """Of an uploader that is empty again after every `done_with`."""
    count = st.session_state.get(f"{name}-count", 0)
    return f"{name}-{count}" if count else name


def done_with(file: UploadedFile, name: str) -> None:
    """`release`, and an empty uploader in its place."""
    st.session_state[f"{name}-count"] = st.session_state.get(f"{name}-count", 0) + 1
    release(file)
