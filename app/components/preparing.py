"""Ways to get a dataset, each a job with its progress and a stop."""

import tempfile
from pathlib import Path

import streamlit as st

from components.messages import show_job, user_errors
from tinymodel import jobs
from tinymodel.data import (
    download,
    image_folder,
    list_datasets,
    prepare_folder,
    prepare_sample,
    prepare_tiny_imagenet,
    prepare_zip,
    tiny_imagenet,
)
from tinymodel.data.disk import check_space, format_bytes, free_bytes
from tinymodel.paths import archive_path, check_name, data_folder

JOB = "prepare a dataset"  # one at a time: a second click shows the first
ALL = 1_350_000_000  # bytes that all of Tiny ImageNet takes, prepared


def follow() -> None:
    """The preparation under way, or how the last one ended."""
    job = jobs.find(JOB)
    if job is None:
        return
    show_job(job)
    if job.state == "done":
        dataset = job.result
        jobs.forget(JOB)
        st.query_params["dataset"] = dataset.name
        st.toast(f"{dataset.name} is ready.", icon=":material/check:")
    elif not job.active:
        st.button("All right", on_click=jobs.forget, args=(JOB,))


def offer() -> None:
    """Every way to get pictures."""
    busy = (job := jobs.find(JOB)) is not None and job.active
    sample, genuine, own = st.tabs(
        [
            ":material/draw: The sample",
            ":material/public: Tiny ImageNet",
            ":material/folder: Your own",
        ]
    )
    with sample:
        st.markdown(
            "Ten classes drawn by this program: 200 training and 50 validation pictures each. Made in seconds, "
            "learned in a minute or two, no network connection needed."
        )
        there = "sample" in list_datasets()
        if st.button(
            "The sample is there" if there else "Make the sample",
            type="primary",
            disabled=there or busy,
            icon=":material/draw:",
        ):
            begin(lambda report: prepare_sample(progress=report), "Drawing the sample")
    with genuine:
        offer_tiny_imagenet(busy)
    with own:
        offer_own(busy)


def begin(work, label: str) -> None:
    jobs.forget(JOB)
    jobs.submit(JOB, work, label=label)
    st.rerun()


def offer_tiny_imagenet(busy: bool) -> None:
    st.markdown(
        "200 classes of photographs, 500 training and 50 validation images each, for research and education. "
        f"Prepared it takes about {format_bytes(ALL)}; {format_bytes(free_bytes())} are free here."
    )
    known = archive_path()
    place = st.text_input(
        "The zip, or the folder it was extracted to, on the computer this program runs on",
        value=str(known) if known.is_file() else "",
        placeholder="for instance C:\\Users\\me\\Downloads\\tiny-imagenet-200.zip",
        key="archive",
    ).strip()
    name = st.text_input("Call it", value="tiny-imagenet", key="archive-name", max_chars=60)
    with st.container(horizontal=True):
        from_zip = st.button("Prepare it", type="primary", disabled=busy or not place)
        from_web = st.button(
            "Download it first (248 MB)",
            icon=":material/download:",
            disabled=busy,
            help="From the official address at Stanford, which is often down.",
        )
    with user_errors():
        if from_zip:
            check_name(name, "dataset")
            check_space(tiny_imagenet.disk_needed(Path(place)), "Preparing it")
            begin(
                lambda report: prepare_tiny_imagenet(Path(place), name, progress=report),
                "Preparing Tiny ImageNet",
            )
        if from_web:
            check_name(name, "dataset")
            begin(lambda report: fetch_and_prepare(name, report), "Downloading Tiny ImageNet")


def fetch_and_prepare(name: str, report):
    archive = download(data_folder(), progress=lambda f, message: report(f / 2, message))
    return prepare_tiny_imagenet(
        archive, name, progress=lambda f, message: report(0.5 + f / 2, message)
    )


def offer_own(busy: bool) -> None:
    st.markdown(
        "One folder a class, the folder's name is the class's name: `cats/…`, `dogs/…`. Any size and format; the middle "
        "square of each picture is brought to 64×64 pixels. Every fifth picture or so is kept for validation."
    )
    place = st.text_input("A folder on the computer this program runs on", key="own-folder").strip()
    upload = st.file_uploader("Or a zip of such folders", type=["zip"], key="own-zip")
    name = st.text_input("Call it", value="my-pictures", key="own-name", max_chars=60)
    if st.button("Prepare them", type="primary", disabled=busy or not (place or upload)):
        with user_errors():
            check_name(name, "dataset")
            if upload:
                check_space(image_folder.disk_needed(upload, upload.name), "Preparing it")
                # The upload lives as long as the tab; the job may live longer.
                copy = tempfile.SpooledTemporaryFile(max_size=64_000_000)  # noqa: SIM115
                copy.write(upload.getvalue())
                copy.seek(0)
                title = upload.name
                begin(
                    lambda report: prepare_zip(copy, name, title=title, progress=report),
                    "Preparing your pictures",
                )
            else:
                begin(
                    lambda report: prepare_folder(Path(place), name, progress=report),
                    "Preparing your pictures",
                )
