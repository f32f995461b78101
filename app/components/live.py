"""What moves by itself: curves, epoch table, progress and the status card, fed by the event stream of `stream`.

New rows reach them without a script run. The page is run again only when a run changes its state.
"""

from pathlib import Path
from typing import Any

import streamlit as st

from components import palette, stream
from tinymodel.replay import Replay
from tinymodel.runs import Run


def _read(file: str) -> str:
    return (Path(__file__).parent / file).read_text(encoding="utf-8")


_LIVE = st.components.v2.component(
    "live",
    html='<div class="tm-live"></div>',
    css=_read("live.css"),
    js=stream.SCRIPT
    + "".join(map(_read, ("live_words.js", "live_status.js", "live_curves.js", "live.js"))),
    isolate_styles=False,  # inside a shadow root plotly's own styles are missing, and dragging does nothing
)


def curves(run: Run, replay: Replay | None = None) -> None:
    """Accuracy, loss and learning rate of a run, growing while it trains; zoom and hidden traces stay.

    With a `replay`, here and below: as the run was at the moment that is seen now.
    """
    _draw("curves", run, replay, epochs=run.config.epochs)


def epoch_table(run: Run, replay: Replay | None = None) -> None:
    """One row per finished epoch, newest first, growing while it trains."""
    _draw("table", run, replay)


def progress(run: Run, replay: Replay | None = None) -> float | None:
    """Epoch and whole training as bars, with time left and images per second.

    Returns the moment (seconds of training) to which somebody just moved a replay.
    """
    return _draw("progress", run, replay).get("seek")


def status_card() -> None:
    """The run that is going, in a few words, on every page; a click leads to Train."""
    run = stream.current_run()
    clicked = _draw("card", run).get("open")
    if clicked:
        st.switch_page("views/train.py", query_params={"run": clicked})


def _draw(kind: str, run: Run | None, replay: Replay | None = None, **data: Any) -> Any:
    base = st.get_option("server.baseUrlPath").strip("/")
    prefix = f"/{base}" if base else ""
    status = None
    if replay:
        status = stream.describe_replay(replay)
    elif run:
        status = stream.describe(run)
    return _LIVE(
        data=dict(
            kind=kind,
            name=run.name if run else None,
            run=replay.key if replay else run.name if run else None,  # as the stream knows it
            replay=replay is not None,
            status=status,
            events=prefix + stream.EVENTS_URL,
            worker=prefix + stream.WORKER_URL,
            plotly=prefix + stream.PLOTLY_URL,
            train=f"{prefix}/train",
            colours=dict(train=palette.TRAIN, validation=palette.VALIDATION),
            **data,
        ),
        key=f"live-{kind}" if kind == "card" or not run else f"live-{kind}-{run.name}",
        on_open_change=lambda: None,
        on_state_change=lambda: None,
        on_seek_change=lambda: None,
    )
