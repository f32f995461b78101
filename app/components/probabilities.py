"""The most probable classes of one image as bars."""

from collections.abc import Sequence

import plotly.graph_objects as go
import streamlit as st

from components import palette
from components.messages import percent
from tinymodel.data import ClassInfo


def bars(
    top: Sequence[tuple[int, float]], classes: Sequence[ClassInfo], true: int | None, *, key: str
) -> None:
    """Draw (label, probability) pairs, best first: the true class green, a wrong first answer in the colour of errors."""
    colours = [palette.NEUTRAL] * len(top)
    if true is not None:
        colours[0] = palette.WRONG
        colours = [
            palette.CORRECT if label == true else colour
            for (label, _), colour in zip(top, colours, strict=True)
        ]
    figure = go.Figure(
        go.Bar(
            x=[100 * probability for _, probability in top],
            y=[f"{place}. {classes[label].name}" for place, (label, _) in enumerate(top, 1)],
            text=[percent(probability) for _, probability in top],
            textposition="outside",
            cliponaxis=False,
            orientation="h",
            marker_color=colours,
            hovertemplate="%{y}: %{text}<extra></extra>",
        )
    )
    palette.layout(figure, height=60 + 36 * len(top), showlegend=False, dragmode=False)
    ticks = [0, 25, 50, 75, 100]
    figure.update_xaxes(
        range=[0, 118], tickvals=ticks, ticktext=[f"{tick} %" for tick in ticks], fixedrange=True
    )
    figure.update_yaxes(autorange="reversed", fixedrange=True)
    st.plotly_chart(
        figure,
        key=key,
        config=palette.CHART_CONFIG,
        alt="How sure it is (confidence): "
        + "; ".join(f"{classes[label].name} {percent(probability)}" for label, probability in top),
    )
