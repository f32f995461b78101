"""Train: choose what to learn from and how, start, watch it learn."""

import streamlit as st
from components import (
    comparison,
    estimate,
    insight,
    live,
    presenter,
    range_test,
    replaying,
    report_button,
    role,
    stream,
)
from components.config_form import choose_preset, config_form
from components.messages import missing, plain, show_error, user_errors
from components.pickers import choose
from streamlit.delta_generator import DeltaGenerator

from tinymodel.config import TrainConfig
from tinymodel.data import list_datasets, open_dataset
from tinymodel.errors import UserError
from tinymodel.runs import ACTIVE, Run, list_runs
from tinymodel.training.supervisor import describe, supervisor

NEW = "new"
ASKED = "asked-for-the-sample"  # in the session state, by Home: who clicked there has arrived
BEGUN = "begun-run"  # in the session state: the run somebody has just begun, to be shown next


def main() -> None:
    st.title("Train")
    st.session_state.pop(ASKED, None)
    begun = st.session_state.get(BEGUN)
    if begun and st.query_params.get("run") != begun:
        st.query_params["run"] = (
            begun  # again, until the browser says so: a rerun may carry its old address
        )
    elif begun:
        del st.session_state[BEGUN]
    bar = st.container(horizontal=True, vertical_alignment="bottom", key="bar")
    if (name := choose_run(bar)) == NEW:
        prepare_run()
    else:
        with user_errors():
            watch(Run.open(name), bar)


def choose_run(bar: DeltaGenerator) -> str:
    """A run or `NEW`, as the address says; else the run that trains now."""
    names = [NEW, *(run.name for run in list_runs())]
    wanted = st.query_params.get("run")
    if wanted not in names:
        if wanted:
            st.warning(
                plain(f"There is no run {wanted[:60]!r} any more: it was deleted or renamed."),
                icon=":material/help:",
            )
        current, _ = stream.current() or (None, None)
        wanted = current.name if current and current.status in ACTIVE else NEW
    if names == [NEW]:
        return NEW
    st.session_state["train-run"] = wanted
    return bar.selectbox(
        "Run",
        names,
        format_func=lambda name: "✚ A new run" if name == NEW else name,
        key="train-run",
        on_change=keep_choice,
        width=420,
    )


def keep_choice() -> None:
    st.session_state.pop(BEGUN, None)
    st.query_params.pop(replaying.ADDRESS, None)
    st.query_params["run"] = st.session_state["train-run"]


# A new run


def prepare_run() -> None:
    states = [(run, run.status) for run in list_runs()]
    offer_interrupted(next((run for run, status in states if status == "interrupted"), None))
    datasets = list_datasets()
    if not datasets:
        missing(
            "No pictures yet",
            "Here you will choose how the network learns, and watch its curves while it does. "
            "First it needs pictures to learn from: the sample is made in seconds.",
            page="views/data.py",
            label="Get pictures",
        )
    form, start = st.columns([2, 1], gap="large")
    with form, user_errors():
        name = choose(
            "Pictures to learn from (dataset)", {name: name for name in datasets}, name="dataset"
        )
        config = config_form(open_dataset(name), choose_preset())
        busy = next((run for run, status in states if status in ACTIVE), None)
        with start:
            with st.container(border=True):
                show_start(config, busy)
            if busy is None:
                replaying.offer()
        range_test.offer(config, busy is not None)


def offer_interrupted(run: Run | None) -> None:
    """The newest run whose program ended in the middle, to go on with: found again after a restart."""
    if run is None:
        return
    try:
        progress = run.progress()
    except UserError:  # its tables are damaged: the Runs page says so
        return
    with st.container(border=True, horizontal=True, vertical_alignment="center", key="interrupted"):
        st.markdown(
            plain(
                f"The run {run.name!r} was cut off in epoch {progress.epoch} of {progress.epochs}. It can go on from its "
                "last checkpoint."
            ),
            width="stretch",
        )
        if presenter.button("Resume it", to=role.START, icon=":material/play_arrow:"):
            go_to(lambda: supervisor.resume(run.name))
        st.page_link("views/train.py", label="Look at it", query_params=dict(run=run.name))


def show_start(config: TrainConfig, busy: Run | None) -> None:
    """How long it will take here, measured; then the button."""
    st.subheader("How long it will take", anchor=False)
    try:
        estimate.show(config, may_measure=busy is None)
    except UserError as error:
        show_error(error)
        return
    if busy:
        st.info(describe(busy), icon=":material/hourglass_top:")
        st.page_link("views/train.py", label="Watch it", query_params=dict(run=busy.name))
    if presenter.button(
        "Start training",
        to=role.START,
        type="primary",
        icon=":material/play_arrow:",
        width="stretch",
    ):
        range_test.stop_all()
        go_to(lambda: supervisor.start(config))


def go_to(begin) -> None:
    """Begin or resume a run and show it, or say why not."""
    with user_errors():
        # Not at once into the address: the live card may interrupt this script run as soon as the run is there.
        st.session_state[BEGUN] = begin()
        st.rerun()


# A run to watch


def watch(run: Run, bar: DeltaGenerator) -> None:
    status = run.status
    replay = replaying.chosen(run) if status not in ACTIVE else None
    with bar, user_errors():
        controls(run, status)
        if status not in ACTIVE:
            replaying.controls(run, replay)
    if replay:
        st.caption(
            "A replay: nothing is trained. Everybody who opens the address of this page sees the same moment."
        )
    elif status == "failed":
        show_error(run.message or "This run failed; its log has the details.")
    elif status == "interrupted":
        st.warning(
            "The program that trained this run ended in the middle. Resume goes on from the last checkpoint.",
            icon=":material/power_off:",
        )
    moment = live.progress(run, replay)
    if replay:
        replaying.move(run, replay, moment)
    live.curves(run, replay)
    st.caption(
        "Thin line: the running average of the last steps. Dots: whole epochs. "
        "Drag over a curve to look closer, double-click to see all of it again."
    )
    insight.strip(run, replay.key if replay else None)
    st.subheader("Epoch by epoch", anchor=False)
    live.epoch_table(run, replay)
    if run.has_weights:
        with st.container(horizontal=True):
            query = dict(run=run.name)
            for page, label, icon in (
                ("gradcam", "Where does it look?", "center_focus_strong"),
                ("mistakes", "What does it get wrong?", "rule"),
            ):
                st.page_link(
                    f"views/{page}.py", label=label, icon=f":material/{icon}:", query_params=query
                )
        report_button.offer(run)
    box = st.expander(
        "Settings of this run", icon=":material/tune:", key="settings", on_change="rerun"
    )
    if box.open:
        settings = comparison.settings(run)
        box.dataframe(
            dict(Setting=list(settings), Value=list(settings.values())),
            hide_index=True,
            height="content",
            alt="Settings of this run",
        )


def controls(run: Run, status: str) -> None:
    if status in ACTIVE:
        if status == "paused" or run.requested() == "pause":
            if presenter.button(
                "Resume", to="resume this training", icon=":material/play_arrow:", type="primary"
            ):
                run.request("resume")
                st.rerun()
        elif presenter.button("Pause", to="pause this training", icon=":material/pause:"):
            run.request("pause")
            st.rerun()
        stopping = run.requested() == "stop"
        if presenter.button(
            "Stop", to="stop this training", icon=":material/stop:", disabled=stopping
        ):
            run.request("stop")
            st.rerun()
    elif status in ("stopped", "interrupted", "failed") and presenter.button(
        "Resume", to=role.START, icon=":material/play_arrow:", type="primary"
    ):
        go_to(lambda: supervisor.resume(run.name))


main()
