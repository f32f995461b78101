"""What moves by itself: curves, epoch table, progress and the status card, fed by the event stream of `stream`.

New rows reach them without a script run. The page is run again only when a run changes its state.
"""

import hashlib
from pathlib import Path
from typing import Any

import streamlit as st
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from components import palette, stream
from components.pictures import prefix
from tinymodel.replay import Replay
from tinymodel.runs import Run


def _read(file: str) -> str:
    return (Path(__file__).parent / file).read_text(encoding="utf-8")


_SCRIPT = stream.SCRIPT + "".join(
    map(_read, ("live_words.js", "live_status.js", "live_curves.js", "live.js"))
)
SCRIPT_URL = f"/live/live-{hashlib.sha256(_SCRIPT.encode()).hexdigest()[:12]}.js"
# Streamlit sends the script of a component along with its data, at every click, for every one on the page, to everybody:
# 30 kB each. This one sends for it instead, which a browser does once.
_LIVE = st.components.v2.component(
    "live",
    html='<div class="tm-live"></div>',
    css=_read("live.css"),
    js=f"const live = await import(location.origin + '{prefix()}{SCRIPT_URL}')\nexport default live.default",
    isolate_styles=False,  # inside a shadow root plotly's own styles are missing, and dragging does nothing
)


async def _script(request: Request) -> Response:
    return Response(_SCRIPT, media_type="text/javascript", headers=stream.FOR_EVER)


routes = [Route(SCRIPT_URL, _script)]


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
    status = stream.describe_replay(replay) if replay else stream.describe(run)
    return _draw("progress", run, replay, status=status).get("seek")


def status_card() -> None:
    """The run that is going, in a few words, on every page; a click leads to Train."""
    run, status = stream.current() or (None, None)
    clicked = _draw("card", run, status=status).get("open")
    if clicked:
        st.switch_page("views/train.py", query_params={"run": clicked})


def _draw(kind: str, run: Run | None, replay: Replay | None = None, **data: Any) -> Any:
    base = prefix()
    return _LIVE(
        data=dict(
            kind=kind,
            name=run.name if run else None,
            run=replay.key if replay else run.name if run else None,  # as the stream knows it
            replay=replay is not None,
            events=base + stream.EVENTS_URL,
            worker=base + stream.WORKER_URL,
            plotly=base + stream.PLOTLY_URL,
            train=f"{base}/train",
            colours=dict(train=palette.TRAIN, validation=palette.VALIDATION),
            **data,
        ),
        key=f"live-{kind}" if kind == "card" or not run else f"live-{kind}-{run.name}",
        on_open_change=lambda: None,
        on_state_change=lambda: None,
        on_seek_change=lambda: None,
    )
