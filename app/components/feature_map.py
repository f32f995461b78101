"""The map of features: a point an image, a slider over the layers, and the points move. Drawn by plotly in the browser."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import streamlit as st

from components import palette, pictures, stream
from components.messages import percent
from tinymodel.representation.features import Study, layer_title
from tinymodel.representation.projection import Projection

SYMBOLS = ("circle", "diamond", "square")
MOST_CLASSES = len(SYMBOLS) * len(palette.SERIES)  # that can be told apart by colour and shape
EDGE = 1.3  # the map reaches so far; the few points that lie further out are drawn there, so that the others have room
OTHERS = "other classes"


def _read(file: str) -> str:
    return (Path(__file__).parent / file).read_text(encoding="utf-8")


_MAP = st.components.v2.component(
    "feature_map",
    html='<div class="tm-map"></div>',
    css=_read("feature_map.css"),
    js=_read("feature_map.js"),
    isolate_styles=False,  # plotly's own styles must reach it
)


@dataclass(frozen=True)
class Moved:
    """What somebody did on the map, in this one run of the script."""

    layer: int | None  # where the slider rests now
    clicked: int | None  # a position in the study's `rows`


def draw(
    study: Study, projection: Projection, labels: Sequence[int], k: int, *, revision: str, key: str
) -> Moved:
    """Draw the classes `labels` in colours and all others in grey.

    Args:
        k: The layer to begin with; afterwards the slider decides.
        revision: Names the content: while it stays, the map keeps its place, zoom and hidden classes.
    """
    points = projection.points
    whole = np.round(np.clip(points / EDGE, -1, 1) * 32767).astype("<i2")
    result = _MAP(
        data=dict(
            points=base64.b64encode(whole.tobytes()).decode(),
            limit=EDGE,
            count=points.shape[1],
            dimensions=points.shape[2],
            layers=[
                dict(title=layer_title(layer), note=_note(share, points.shape[2]))
                for layer, share in zip(projection.layers, projection.shares, strict=True)
            ],
            groups=_groups(study, study.labels[projection.chosen], labels),
            names=[item.name for item in study.classes],
            labels=study.labels[projection.chosen].tolist(),
            rows=study.rows[projection.chosen].tolist(),
            k=k,
            revision=revision,
            plotly=pictures.prefix() + stream.PLOTLY_URL,
            pictures=pictures.address(study.dataset),
        ),
        key=key,
        on_layer_change=lambda: None,
        on_clicked_change=lambda: None,
    )
    clicked = result.clicked
    if clicked is not None and not 0 <= int(clicked) < len(projection.chosen):
        clicked = None
    return Moved(
        layer=None if result.layer is None else int(result.layer),
        clicked=None if clicked is None else int(projection.chosen[int(clicked)]),
    )


def _note(share: float | None, dimensions: int) -> str:
    if share is None:
        return "neighbours in this layer lie together"
    return f"these {dimensions} directions hold {percent(share)} of the differences"


def _groups(study: Study, shown: np.ndarray, labels: Sequence[int]) -> list[dict]:
    groups = []
    others = np.flatnonzero(~np.isin(shown, labels))
    if len(others):
        groups.append(
            dict(name=OTHERS, colour=palette.NEUTRAL, symbol="circle", size=4, opacity=0.5,
                 members=others.tolist())
        )  # fmt: skip
    for number, label in enumerate(labels):
        symbol = SYMBOLS[number // len(palette.SERIES) % len(SYMBOLS)]
        unseen = label >= study.seen
        groups.append(
            dict(
                name=study.classes[label].name + (" (never seen)" if unseen else ""),
                colour=palette.SERIES[number % len(palette.SERIES)],
                symbol=f"{symbol}-open" if unseen else symbol,
                size=8,
                opacity=0.9,
                members=np.flatnonzero(shown == label).tolist(),
            )
        )
    return groups
