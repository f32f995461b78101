"""Where a network looks so far: a few pictures with their heat maps, moving on after every epoch without a script run.

The training loop's hook records them (`tinymodel.explain.timelapse`); nothing here touches the network that is trained.
A browser hears from the live path that an epoch has ended and asks for that epoch once: `/live/insight/<run>/<epoch>.json`.
"""

import base64
import functools
import gzip
import io
import json
import threading
from pathlib import Path
from typing import Any

import anyio.to_thread
import streamlit as st
from PIL import Image
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from components import pictures
from components.messages import percent
from tinymodel.errors import UserError
from tinymodel.runs import ACTIVE, Run

INSIGHT_URL = "/live/insight"
SIDE = 256  # pixels of a picture with its heat map, which is shown half as large
EXPECTED = 8  # pictures that are watched if nobody chooses others: as many places are kept free

_HERE = Path(__file__).parent
_INSIGHT = st.components.v2.component(
    "insight",
    html='<div class="tm-insight"></div>',
    css=(_HERE / "insight.css").read_text(encoding="utf-8"),
    js=(_HERE / "insight.js").read_text(encoding="utf-8"),
)


def strip(run: Run, feed: str | None = None) -> None:
    """The watched pictures after the newest epoch; nothing for a run that was not watched.

    Args:
        feed: The name under which the event stream knows the run, if that is another one: of a replay.
    """
    from tinymodel.explain.timelapse import RECORD  # torch: not before a page needs it

    active = run.status in ACTIVE
    if not active and not (run.folder / RECORD).is_file():
        return
    st.subheader("Where it looks so far" if active or feed else "Where it looks", anchor=False)
    _INSIGHT(
        data=dict(
            feed=feed or run.name,
            run=run.name,
            epochs=run.config.epochs,
            address=pictures.prefix() + INSIGHT_URL,
            expected=EXPECTED,
        ),
        key=f"insight-{feed or run.name}",
    )
    st.page_link(
        "views/timelapse.py",
        label="Every epoch, and other pictures to watch (Time-lapse)",
        icon=":material/timelapse:",
        query_params=dict(run=run.name),
    )


def looks(run: Run, epoch: int) -> list[dict[str, Any]]:
    """The watched pictures after this epoch, as the strip draws them; none while they are not recorded.

    Raises:
        UserError: The pictures of the run are not on this machine.
    """
    from tinymodel.evaluation import run_dataset
    from tinymodel.explain import render
    from tinymodel.explain.timelapse import read_moments

    dataset = run_dataset(run)
    address = pictures.address(dataset)
    found = []
    for index, recorded in read_moments(run).items():
        if (moment := recorded.get(epoch)) is None:
            continue
        true = dataset.classes[int(dataset.samples["label"].iloc[index])].name
        label, share = moment.top[0]
        says = run.classes[label].name
        mixed = render.overlay(
            dataset.images[index], moment.heat, opacity=0.5, side=SIDE, smooth=True
        )
        found.append(
            dict(
                index=index,
                true=true,
                says=says,
                right=says == true,
                sure=percent(share),
                blank=not bool(moment.heat.max() > 0),
                picture=f"{address}/{index}.png",
                overlay=_address(mixed),
            )
        )
    return found


def _address(image) -> str:
    """A smooth picture, uint8 (h, w, 3), in an address: 8 kB as JPEG, 60 as PNG."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=88)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()


_drawing = threading.Lock()  # thirty browsers ask in the same moment: drawn once


@functools.lru_cache(maxsize=32)
def _packed(name: str, epoch: int, version: int) -> bytes:
    return gzip.compress(json.dumps(dict(looks=looks(Run.open(name), epoch))).encode(), 5)


def _answer(name: str, epoch: int) -> bytes:
    from tinymodel.explain.timelapse import RECORD

    run = Run.open(name)
    file = run.folder / RECORD
    version = file.stat().st_mtime_ns if file.is_file() else 0
    with _drawing:
        return _packed(name, epoch, version)


async def insight(request: Request) -> Response:
    name, epoch = request.path_params["run"], request.path_params["epoch"]
    try:
        content = await anyio.to_thread.run_sync(_answer, name, epoch)
    except (UserError, OSError) as error:
        said = str(error) if isinstance(error, UserError) else "The pictures cannot be read."
        content = gzip.compress(json.dumps(dict(looks=[], error=said)).encode())
    headers = {"Cache-Control": "no-store", "Content-Encoding": "gzip"}
    return Response(content, media_type="application/json", headers=headers)


routes = [Route(f"{INSIGHT_URL}/{{run}}/{{epoch:number}}.json", insight)]
