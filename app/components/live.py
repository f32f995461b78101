"""What moves by itself: curves, epoch table, progress and the status card, fed by the event stream of `stream`.

New rows reach them without a script run. The page is run again only when a run changes its state.
"""

from pathlib import Path
from typing import Any

import streamlit as st

from components import palette, stream
from tinymodel.runs import Run


def _read(file: str) -> str:
    return (Path(__file__).parent / file).read_text(encoding="utf-8")


_LIVE = st.components.v2.component(
    "live",
    html='<div class="tm-live"></div>',
    css=_read("live.css"),
    js=stream.SCRIPT + _read("live.js"),
    isolate_styles=False,  # inside a shadow root plotly's own styles are missing, and dragging does nothing
)


def curves(run: Run) -> None:
    """Accuracy, loss and learning rate of a run, growing while it trains; zoom and hidden traces stay."""
    _draw("curves", run, epochs=run.config.epochs)


def epoch_table(run: Run) -> None:
    """One row per finished epoch, newest first, growing while it trains."""
    _draw("table", run)


def progress(run: Run) -> None:
    """Epoch and run as bars, with time left and images per second."""
    _draw("progress", run)


def status_card() -> None:
    """The run that is going, in a few words, on every page; a click leads to Train."""
    run = stream.current_run()
    clicked = _draw("card", run).get("open")
    if clicked:
        st.switch_page("views/train.py", query_params={"run": clicked})


def _draw(kind: str, run: Run | None, **data: Any) -> Any:
    base = st.get_option("server.baseUrlPath").strip("/")
    prefix = f"/{base}" if base else ""
    return _LIVE(
        data=dict(
            kind=kind,
            run=run.name if run else None,
            status=stream.describe(run) if run else None,
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
    )
