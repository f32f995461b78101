"""Playing a run back on Train: which moment is seen, and the controls. The address holds it all (`tinymodel.replay`)."""

import time

import streamlit as st

from components.messages import plain, show_error
from tinymodel import replay
from tinymodel.errors import UserError
from tinymodel.replay import Replay, recording
from tinymodel.runs import Run, list_runs

ADDRESS = "replay"  # in the query string


def chosen(run: Run) -> Replay | None:
    """The replay that the address names, or None. An address that makes no sense is said to."""
    text = st.query_params.get(ADDRESS)
    if not text:
        return None
    try:
        return Replay.parse(run.name, text)
    except UserError as error:
        show_error(error)
        return None


def offer() -> None:
    """For a class without time to train: the newest finished run, to be played back."""
    run = next((run for run in list_runs() if run.status == "finished"), None)
    if run is None:
        return
    try:
        duration = recording(run).duration
    except UserError:  # the Runs page says so
        return
    if duration > 0:
        st.caption("No time to train? Watch one that is finished once more, faster.")
        st.button(
            f"Play {plain(run.name)} again",
            icon=":material/replay:",
            width="stretch",
            on_click=lambda: st.query_params.update(
                {
                    "run": run.name,
                    ADDRESS: replay.begin(run.name, replay.usual_speed(duration), time.time()).text,
                }
            ),
        )


def controls(run: Run, now: Replay | None) -> None:
    """Play again, pause, go on, speed, leave: what fits. Nothing if the run has nothing to play.

    Raises:
        UserError: The run's tables are damaged.
    """
    duration = recording(run).duration
    if duration <= 0:
        return
    key = f"replay-speed-{run.name}"
    if now:
        st.session_state[key] = now.speed
    else:
        st.session_state.setdefault(key, replay.usual_speed(duration))
    ended = now is not None and now.moment(time.time()) >= duration
    if now is None or ended:
        st.button(
            "Play it again",
            icon=":material/replay:",
            on_click=lambda: show(replay.begin(run.name, st.session_state[key], time.time())),
            help="See this training once more as it was, faster. Nothing is trained, and nothing changes.",
        )
    elif now.playing:
        st.button(
            "Pause the replay",
            icon=":material/pause:",
            on_click=lambda: show(now.paused(time.time(), duration)),
        )
    else:
        st.button(
            "Go on",
            icon=":material/play_arrow:",
            on_click=lambda: show(now.going_on(time.time())),
        )
    st.selectbox(
        "Speed of the replay",
        replay.SPEEDS,
        format_func=lambda speed: "as it was" if speed == 1 else f"{speed} times as fast",
        key=key,
        on_change=lambda: now and show(now.at_speed(st.session_state[key], time.time())),
        width=190,
    )
    if now:
        st.button(
            "Leave the replay",
            icon=":material/close:",
            on_click=lambda: st.query_params.pop(ADDRESS, None),
        )


def move(run: Run, now: Replay, moment: float | None) -> None:
    """Go to the moment (seconds of training) that somebody chose, if anybody did."""
    if moment is not None:
        show(now.moved(max(0.0, min(float(moment), recording(run).duration)), time.time()))
        st.rerun()


def show(wanted: Replay) -> None:
    st.query_params[ADDRESS] = wanted.text
