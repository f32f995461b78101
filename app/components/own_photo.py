"""Somebody's own photo: chosen from the device, cut to a square, and seen by nobody else.

It lives in the memory of this browser session: not in the address, not on the disk, not in what the jobs keep.
"""

import streamlit as st

from components import crop, gallery, uploads
from components.messages import show_error
from tinymodel.errors import UserError
from tinymodel.explain.photo import Crop, Photo, open_photo

_STORE = "own-photo"  # in the session: (Photo, number of the upload)
_UPLOADER = "own-photo-file"


def choose_photo() -> tuple[Photo, Crop] | None:
    """The photo and the square of it that the network is to see, or None while there is none."""
    count = st.session_state.setdefault("own-photo-count", 0)
    if _STORE not in st.session_state:
        file = st.file_uploader(
            "A picture from your device",
            key=f"{_UPLOADER}-{count}",
            max_upload_size=uploads.PHOTO,
            on_change=_read,
            help="Only you see it, and it is not stored: it is gone when you close this tab.",
        )
        if file is not None and (problem := st.session_state.get("own-photo-problem")):
            show_error(problem)
        return None
    photo: Photo = st.session_state[_STORE]
    left, right = st.columns([3, 2], gap="large")
    with left:
        square = crop.choose_square(photo, key=f"own-photo-square-{count}")
        st.caption(
            "Drag the square to what the network should look at, and its corner to make it smaller or larger."
            + (f" {photo.note}" if photo.note else "")
        )
    with right:
        gallery.picture(photo.seen(square), side=192, caption="The square in 64×64 pixels")
        st.button("Another picture", icon=":material/refresh:", on_click=_forget)
    return photo, square


def _read() -> None:
    file = st.session_state.get(f"{_UPLOADER}-{st.session_state['own-photo-count']}")
    st.session_state.pop("own-photo-problem", None)
    if file is None:
        return
    try:
        content = uploads.content(file, uploads.PHOTO)
        st.session_state[_STORE] = open_photo(content, uploads.title(file))
        uploads.release(file)
    except UserError as error:
        st.session_state["own-photo-problem"] = str(error)


def _forget() -> None:
    st.session_state.pop(_STORE, None)
    st.session_state["own-photo-count"] += 1
