"""Classes of one's own: a name and a handful of photographs each. They live in this browser session and nowhere else."""

import hashlib

import numpy as np
import streamlit as st

from components import gallery, uploads
from components.messages import plain, show_error
from tinymodel.data.decoding import Unreadable, decode
from tinymodel.errors import UserError

MOST_CLASSES = 6
MOST_PHOTOS = 40  # a class


def choose() -> dict[str, np.ndarray]:
    """Photographs, uint8 (n, 64, 64, 3), by the name of their class; classes without any are left out."""
    with st.expander("Add classes of your own", icon=":material/add_a_photo:"):
        st.caption(
            "A name and a few photographs each: your cup, your cat, your left hand. The largest square in the middle is "
            "shrunk to 64×64 pixels. Nobody else sees them, and they are gone when you close this tab."
        )
        count = int(
            st.number_input(
                "How many classes of your own",
                0,
                MOST_CLASSES,
                0,
                key="own-count",
                persist_state="session",
            )
        )
        found: dict[str, np.ndarray] = {}
        for number in range(1, count + 1):
            left, right = st.columns([1, 2])
            with left:
                name = st.text_input(
                    f"Name of class {number}",
                    key=f"own-name-{number}",
                    max_chars=40,
                    persist_state="session",
                ).strip()
                name = name or f"my class {number}"
            with right:
                files = st.file_uploader(
                    f"Photographs of class {number}",
                    accept_multiple_files=True,
                    max_upload_size=uploads.PHOTO,
                    key=f"own-files-{number}",
                )
            images = read(files[:MOST_PHOTOS])
            if len(files) > MOST_PHOTOS:
                st.caption(f"The first {MOST_PHOTOS} are used.")
            if not len(images):
                continue
            if name in found:
                show_error(f"Two classes are called {name!r}: give one another name.")
                continue
            found[name] = images
            gallery.grid(
                list(images[:12]),
                hints=[f"{name}, photograph {place + 1}" for place in range(min(12, len(images)))],
                key=f"own-photos-{number}",
                side=64,
            )
            st.caption(plain(f"{len(images)} of {name}."))
    return found


def read(files: list) -> np.ndarray:
    """The photographs as the network sees them; a sentence for each that is none, and for one given twice."""
    images: dict[str, np.ndarray] = {}
    known = st.session_state.setdefault(
        "own-decoded", {}
    )  # each is unpacked once, not in every run
    for file in files:
        if file.file_id not in known:
            known[file.file_id] = _decoded(file)
        image = known[file.file_id]
        if isinstance(image, str):
            show_error(image)
            continue
        digest = hashlib.sha256(image.tobytes()).hexdigest()
        if digest in images:
            st.caption(plain(f"{uploads.title(file)} is there twice; it counts once."))
        images[digest] = image
    return np.array(list(images.values()), dtype=np.uint8).reshape(-1, 64, 64, 3)


def _decoded(file) -> np.ndarray | str:
    """The photograph as uint8 (64, 64, 3), or the sentence that says why it is none."""
    try:
        return decode(uploads.content(file, uploads.PHOTO))
    except Unreadable as reason:
        return f"The file {uploads.title(file)!r} {reason}; it is left out."
    except UserError as error:
        return str(error)
