"""Runs: all of them, side by side, and what can be done with them."""

import streamlit as st
from components import comparison, presenter, run_actions, runs_table
from components.messages import invite, plain

from tinymodel.runs import Run, damaged_runs, list_runs


def main() -> None:
    with st.container(
        horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"
    ):
        st.title("Runs", width="content")
        if presenter.button("Import a run", to="import a run", icon=":material/unarchive:"):
            run_actions.ask_for_import()
    run_actions.follow_import()
    damaged = damaged_runs()
    broken = {run.name for run, _ in damaged}
    runs = [run for run in list_runs() if run.name not in broken]
    if runs:
        st.caption(
            "Every trained network. Tick some rows to compare them; click a column's head to sort."
        )
        show(runs_table.choose(runs))
    elif not damaged:
        invite(
            "No runs yet",
            "Here all trained networks will stand side by side: what they were told, how they learned, and which was "
            "best. Train a first one, or import one that was trained on another computer.",
            page="views/train.py",
            label="Train a network",
        )
    show_damaged(damaged)


def show(chosen: list[Run]) -> None:
    if not chosen:
        st.info(
            "Tick one run to rename, resume, download or delete it, or several to compare them.",
            icon=":material/check_box:",
        )
        return
    run_actions.bar(chosen)
    comparison.show_curves(chosen)
    comparison.show_settings(chosen)


def show_damaged(damaged: list[tuple[Run, str]]) -> None:
    if not damaged:
        return
    with st.expander(
        f"Folders that cannot be read ({len(damaged)})", icon=":material/broken_image:"
    ):
        for run, reason in damaged:
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(plain(reason))
                if presenter.button(
                    "Delete",
                    to="delete runs",
                    key=f"delete-{run.name}",
                    icon=":material/delete:",
                ):
                    run_actions.confirm_deletion([run])


main()
