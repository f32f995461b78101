"""What can be done with runs: resume, rename, delete, download, carry away and bring in."""

import io
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import streamlit as st

from components import presenter, report_button, role, runs_table, uploads
from components.messages import concerns, plain, show_error, show_job, user_errors
from tinymodel import jobs
from tinymodel.data.disk import format_bytes
from tinymodel.errors import UserError
from tinymodel.run_archive import export_run, import_run
from tinymodel.runs import ACTIVE, Run
from tinymodel.training.supervisor import supervisor

JOB = "import a run"  # one at a time: whoever comes second sees the first
ASKED = "asked-for-an-import"  # in the session of whoever began it, who is then shown the run
SAID = "said-after-an-import"  # in the session: names of files that stayed out
RESUMABLE = ("stopped", "interrupted", "failed")
FILES = (
    ("epochs.csv", "Epochs (CSV)", "table_rows"),
    ("steps.csv", "Steps (CSV)", "table_rows"),
    ("best.pt", "Best weights", "neurology"),
)


def bar(chosen: Sequence[Run]) -> None:
    """Buttons for the runs that are ticked."""
    statuses = {run.name: run.status for run in chosen}
    training = [name for name, status in statuses.items() if status in ACTIVE]
    with st.container(horizontal=True, vertical_alignment="center", key="run-actions"):
        if len(chosen) == 1:
            (run,) = chosen
            st.page_link(
                "views/train.py",
                label="Watch it live" if training else "See it on the Train page",
                icon=":material/monitoring:",
                query_params=dict(run=run.name),
            )
            if statuses[run.name] in RESUMABLE and presenter.button(
                "Resume",
                to=role.START,
                icon=":material/play_arrow:",
                help="Train on from its last checkpoint.",
            ):
                resume(run)
            with st.popover("Rename", icon=":material/edit:", disabled=bool(training)):
                rename(run)
        with st.popover("Download", icon=":material/download:"):
            for run in chosen:
                downloads(run)
        label = "Delete" if len(chosen) == 1 else f"Delete {len(chosen)} runs"
        if presenter.button(
            label, to="delete runs", icon=":material/delete:", disabled=bool(training)
        ):
            confirm_deletion(list(chosen))
    if len(chosen) == 1:
        report_button.offer(run)
    if training:
        names = " and ".join(repr(name) for name in training)
        st.caption(
            plain(
                f"{names} {'is' if len(training) == 1 else 'are'} being trained: to rename or delete, stop first."
            )
        )


def resume(run: Run) -> None:
    with user_errors():
        name = supervisor.resume(run.name)
        st.switch_page("views/train.py", query_params=dict(run=name))


def rename(run: Run) -> None:
    with st.form("rename", border=False, enter_to_submit=True):
        name = st.text_input("New name", run.name, key=f"new-name-{run.name}", max_chars=60)
        if presenter.button(
            "Rename", to="rename runs", widget=st.form_submit_button, type="primary"
        ):
            with user_errors():
                renamed = run.rename(name.strip())
                runs_table.show([renamed.name])
                st.rerun()


def downloads(run: Run) -> None:
    """A row of files: the whole run as a zip, its tables, its weights."""
    st.markdown(f"**{plain(run.name)}**")
    with st.container(horizontal=True, gap="small"):
        download = partial(st.download_button, on_click="ignore")
        download(
            "The whole run (zip)",
            partial(packed, run),
            file_name=f"{run.name}.zip",
            mime="application/zip",
            icon=":material/folder_zip:",
            key=f"zip-{run.name}",
            help="Everything of it, to be imported on another computer.",
        )
        for file, label, icon in FILES:
            if (run.folder / file).is_file():
                download(
                    label,
                    partial(content, run.folder / file),
                    file_name=f"{run.name}-{file}",
                    mime="text/csv" if file.endswith(".csv") else "application/octet-stream",
                    icon=f":material/{icon}:",
                    key=f"{file}-{run.name}",
                )


def packed(run: Run) -> bytes:
    target = io.BytesIO()
    export_run(run, target)
    return target.getvalue()


def content(file: Path) -> bytes:
    return file.read_bytes()


@st.dialog("Delete for good?", icon=":material/delete:")
def confirm_deletion(runs: Sequence[Run]) -> None:
    for run in runs:
        st.markdown(f"- **{plain(run.name)}**, {format_bytes(run.size())}")
    st.markdown(
        "The weights, the tables and everything found out about them go. This cannot be undone."
    )
    with st.container(horizontal=True):
        if presenter.button("Delete", to="delete runs", type="primary", icon=":material/delete:"):
            delete(runs)
        if st.button("Keep"):
            st.rerun()


def delete(runs: Sequence[Run]) -> None:
    left = runs_table.in_address()
    refused = []
    for run in runs:
        try:
            run.delete()
            left = [name for name in left if name != run.name]
        except UserError as error:
            refused.append(str(error))
    runs_table.show(left)
    if refused:
        for sentence in refused:
            show_error(sentence)
        return
    st.rerun()


# Bringing one in


@st.dialog("Import a run", icon=":material/unarchive:")
def ask_for_import() -> None:
    st.markdown(
        "A run that was exported as a zip, here or on another computer: its curves, its network and what it got wrong "
        "are all in it."
    )
    upload = st.file_uploader(
        "The zip of the run", "zip", max_upload_size=uploads.ZIP, key=uploads.key("import")
    )
    job = jobs.find(JOB)
    busy = job is not None and job.active
    if presenter.button(
        "Import it",
        to="import a run",
        type="primary",
        icon=":material/unarchive:",
        disabled=upload is None or busy,
        help="Another run is being imported right now." if busy else None,
    ):
        name = uploads.title(upload)
        begin_import(lambda report: import_run(upload, name, report), name)
        uploads.done_with(upload, "import")
        st.rerun()


def begin_import(work: Callable, name: str) -> None:
    jobs.forget(JOB)
    jobs.submit(JOB, work, label=f"Importing {name}")
    st.session_state[ASKED] = True


def put_away() -> None:
    jobs.forget(JOB)
    st.session_state.pop(ASKED, None)


def follow_import() -> None:
    """The import that is going on, or how the last one failed; whoever asked for it is shown the run."""
    job = jobs.find(JOB)
    if job is not None and job.state == "done" and st.session_state.pop(ASKED, False):
        runs_table.show([job.result.run.name])
        st.toast(f"{plain(job.result.run.name)} is here.", icon=":material/check:")
        st.session_state[SAID] = job.result.left_out
    elif job is not None and job.state != "done" and concerns(job, ASKED in st.session_state):
        with st.container(border=True, key="importing"):
            show_job(job)
            if not job.active:
                presenter.button("All right", to="put this away", on_click=put_away)
    if left_out := st.session_state.get(SAID):
        names = ", ".join(left_out[:5]) + (" …" if len(left_out) > 5 else "")
        st.info(
            plain(
                f"These files of the zip are no part of a run, or damaged, and stayed out: {names}."
            ),
            icon=":material/info:",
        )
