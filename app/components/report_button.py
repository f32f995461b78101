"""The report of a run, to hand in: made as a job, then downloaded."""

import streamlit as st

from components import role
from components.messages import show_job
from tinymodel import jobs
from tinymodel.errors import UserError
from tinymodel.runs import ACTIVE, Run


def offer(run: Run) -> None:
    """A button that makes the report, then its progress, then the download; nothing while the run trains."""
    if not run.has_weights or run.status in ACTIVE:
        return
    from tinymodel.evaluation import weights_version  # torch: only where a network is looked at

    key = ("report", str(run.folder), weights_version(run), _has_pictures(run))
    job = jobs.find(key)
    if job is not None and job.state == "done":
        st.download_button(
            "Download the report",
            job.result,
            file_name=f"report-{run.name}.html",
            mime="text/html",
            icon=":material/download:",
            on_click="ignore",
            help="One file that opens in any browser. Print it there: two sides of paper.",
        )
        return
    if job is not None:
        show_job(job)
    if (job is None or not job.active) and st.button(
        "Report to hand in",
        icon=":material/description:",
        help="Curves, accuracy, confusions and heat maps of this run on two sides of paper, with lines for your name.",
    ):
        jobs.submit(
            key, lambda report: _write(run, report), label="Writing the report", owner=role.me()
        )
        st.rerun()


def _write(run: Run, report) -> str:
    from tinymodel.report import write_report

    return write_report(run, report)


def _has_pictures(run: Run) -> bool:
    """Whether its dataset is here: a report made before is not the one that can be made now."""
    from tinymodel.evaluation import run_dataset

    try:
        run_dataset(run)
    except UserError:
        return False
    return True
