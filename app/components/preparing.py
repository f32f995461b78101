"""Ways to get a dataset, each a job with its progress, a way to stop it, and the disk space said before it starts."""

import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import streamlit as st

from components import gallery, presenter, role, uploads
from components.messages import concerns, show_job, user_errors
from components.pickers import forget
from tinymodel import jobs
from tinymodel.data import (
    PreparedDataset,
    download,
    image_folder,
    list_datasets,
    prepare_folder,
    prepare_sample,
    prepare_tiny_imagenet,
    prepare_zip,
    sample,
    tiny_imagenet,
)
from tinymodel.data.disk import check_space, format_bytes, free_bytes
from tinymodel.data.prepared import bytes_needed, check_new_name
from tinymodel.paths import archive_path, data_folder

JOB = "prepare a dataset"  # one at a time: whoever comes second sees the first
ASKED = "asked-for-a-dataset"  # in the session of whoever began it, who is then taken to the result
WHOLE = bytes_needed(110_000)  # of official Tiny ImageNet


def follow() -> None:
    """The preparation that is going on, or how the last one failed; whoever asked for it is taken to its result."""
    job = jobs.find(JOB)
    if job is None:
        return
    if job.state == "done":
        if st.session_state.pop(ASKED, False):
            forget("class", "split", "image", "page")
            st.query_params["dataset"] = job.result
            st.toast(f"{job.result} is ready.", icon=":material/check:")
        return
    mine = ASKED in st.session_state
    if not concerns(job, mine):
        return
    with st.container(border=True, key="preparation"):
        st.markdown(f"**{job.label}**")
        show_job(job)
        if not job.active:
            presenter.button("All right", to="put this away", on_click=put_away)


def put_away() -> None:
    jobs.forget(JOB)
    st.session_state.pop(ASKED, None)


@st.dialog("Get pictures", width="large")
def ask() -> None:
    offer()


def offer() -> None:
    """Every way to get pictures."""
    if not role.is_presenter():
        presenter.say_no("get pictures")
        return
    drawn, genuine, own = st.tabs(
        [
            ":material/draw: The sample",
            ":material/public: Tiny ImageNet",
            ":material/folder: Your own pictures",
        ]
    )
    with drawn:
        offer_sample()
    with genuine:
        offer_tiny_imagenet()
    with own:
        offer_own()


def start_button(label: str, key: str, ready: bool = True, **options: str) -> bool:
    """Nothing can be started while something else is being prepared."""
    job = jobs.find(JOB)
    busy = job is not None and job.active
    options["help"] = "Something is being prepared already." if busy else options.get("help")
    return presenter.button(
        label, to="prepare pictures", key=key, disabled=busy or not ready, **options
    )


def begin(
    label: str,
    name: str,
    needed: int,
    work: Callable[[Callable], PreparedDataset],
    begun: Callable[[], None] = lambda: None,
) -> None:
    """Check what can be checked at once, then start the job and call `begun`."""
    with user_errors():
        check_new_name(name)
        check_space(needed, label)
        jobs.forget(JOB)
        jobs.submit(JOB, lambda report: work(report).name, label=label)
        st.session_state[ASKED] = True
        begun()
        st.rerun()


def offer_sample() -> None:
    st.markdown(
        "Ten classes drawn by this program, 200 training and 50 validation pictures each: made in seconds, learned in a "
        "minute or two, and nothing needs to be downloaded."
    )
    gallery.grid(drawn_examples(), key="drawn-examples", side=64)
    images = len(sample.CLASSES) * (sample.TRAIN + sample.VAL)
    show_space(needed := bytes_needed(images))
    there = "sample" in list_datasets()
    if start_button(
        "The sample is there already" if there else "Make the sample",
        "make-sample",
        not there,
        type="primary",
        icon=":material/draw:",
    ):
        begin(
            "Drawing the sample", "sample", needed, lambda report: prepare_sample(progress=report)
        )


@st.cache_data(show_spinner=False)
def drawn_examples() -> list[np.ndarray]:
    return [sample.draw("val", label, 1)[0] for label in range(len(sample.CLASSES))]


def offer_tiny_imagenet() -> None:
    st.markdown(
        "200 classes of photographs, 500 training and 50 validation images each, for research and education. It is read "
        "straight from its zip, or from the folder that was unpacked from it."
    )
    known = archive_path()
    place = st.text_input(
        "Where the zip or the folder is, on the computer that runs this program",
        value=str(known) if known.is_file() else "",
        placeholder="for instance C:\\Users\\me\\Downloads\\tiny-imagenet-200.zip",
        key="archive",
    ).strip(' "')
    name = name_field("tiny-imagenet", "archive-name")
    needed = None
    if place:
        with user_errors():
            show_space(needed := archive_space(place, stamp(place)))
    if start_button("Prepare it", "prepare-archive", needed is not None, type="primary"):
        begin(
            "Preparing Tiny ImageNet",
            name,
            needed,
            lambda report: prepare_tiny_imagenet(Path(place), name, progress=report),
        )
    st.divider()
    both = tiny_imagenet.SIZE + WHOLE
    st.markdown(
        f"**Not there yet?** The download has {format_bytes(tiny_imagenet.SIZE)} and is taken up again where it broke. "
        "Its address at Stanford is often down: a copy from a colleague is as good."
    )
    show_space(both)
    if start_button(
        "Download and prepare it", "download", type="secondary", icon=":material/download:"
    ):
        begin(
            "Downloading and preparing Tiny ImageNet",
            name,
            both,
            lambda report: download_and_prepare(name, report),
        )


def download_and_prepare(name: str, report: Callable[[float, str], None]) -> PreparedDataset:
    archive = download(data_folder(), lambda done, message: report(0.6 * done, message))
    return prepare_tiny_imagenet(
        archive, name, progress=lambda done, message: report(0.6 + 0.4 * done, message)
    )


def offer_own() -> None:
    st.markdown(
        "One folder for each class, named like it: `cats/…`, `dogs/…`. Any size and format will do: the middle square of "
        "each picture is brought to 64×64 pixels."
    )
    place = st.text_input(
        "The folder that holds them, on the computer that runs this program", key="own-folder"
    ).strip(' "')
    upload = st.file_uploader(
        "Or a zip of these folders, from your computer",
        "zip",
        max_upload_size=uploads.ZIP,
        key=uploads.key("own-zip"),
        help="Larger ones: give their place on the computer that runs this program instead.",
    )
    kept = st.slider(
        "Kept for validation (percent)",
        5,
        50,
        20,
        5,
        key="own-validation",
        help="Chosen by chance within each class. The network never learns from them: they show what it does with "
        "pictures it has not seen.",
    )
    title = uploads.title(upload) if upload else Path(place).name
    name = name_field(_as_name(title), "own-name")
    needed = None
    with user_errors():
        if upload:
            needed = upload_space(upload, upload.file_id)
        elif place:
            needed = folder_space(place, stamp(place))
        if needed is not None:
            show_space(needed)
    if start_button("Prepare them", "prepare-own", needed is not None, type="primary"):
        options = dict(validation=kept / 100)
        if upload:
            copy = tempfile.SpooledTemporaryFile(64_000_000)  # noqa: SIM115  the job outlives the tab
            copy.write(upload.getbuffer())

            def work(report):
                with copy:
                    return prepare_zip(copy, name, title=title, progress=report, **options)
        else:

            def work(report):
                return prepare_folder(Path(place), name, progress=report, **options)

        begin(
            "Preparing your pictures",
            name,
            needed,
            work,
            lambda: upload and uploads.done_with(upload, "own-zip"),
        )


def name_field(suggestion: str, key: str) -> str:
    """What the dataset is to be called; what is suggested if nothing is typed."""
    text = st.text_input(
        "What to call it", placeholder=suggestion, key=key, max_chars=60, width=320
    )
    return text.strip() or suggestion


def _as_name(text: str) -> str:
    """'My pets.zip' → 'My-pets'"""
    words = re.sub(r"[^A-Za-z0-9_]+", "-", text.removesuffix(".zip")).strip("-")
    return words[:60] or "my-pictures"


def show_space(needed: int) -> None:
    st.caption(
        f":material/hard_drive: Takes {format_bytes(needed)} of disk space; {format_bytes(free_bytes())} are free."
    )


def stamp(place: str) -> float | None:
    """Changes when the file or folder does."""
    try:
        return Path(place).expanduser().stat().st_mtime
    except (OSError, ValueError):
        return None


# Kept, because counting the 85,000 files of a zip takes half a second.


@st.cache_data(max_entries=20, show_spinner="Looking what is in it …")
def archive_space(place: str, stamp: float | None) -> int:
    return tiny_imagenet.disk_needed(Path(place))


@st.cache_data(max_entries=20, show_spinner="Looking what is in it …")
def folder_space(place: str, stamp: float | None) -> int:
    return image_folder.disk_needed(Path(place))


@st.cache_data(max_entries=20, show_spinner="Looking what is in it …")
def upload_space(_upload, file_id: str) -> int:
    return image_folder.disk_needed(_upload, _upload.name)
