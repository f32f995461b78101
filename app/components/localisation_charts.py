"""Where it looks, in charts: the network beside maps that know nothing of it, and the classes beside one another."""

from collections.abc import Mapping, Sequence

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from components import palette
from tinymodel.data import ClassInfo
from tinymodel.explain.findings import Estimate

NAMES = {
    "network": "The network",
    "edges": "Edges of the picture",
    "random": "Random map",
    "centre": "Centre pixel",
}
LIKELY = "95 % interval"


def points(fraction: float) -> str:
    """A difference of shares, for people: '+12.3 points'."""
    return f"{100 * fraction:+.1f} points".replace("-", "−")


def compare(estimates: Mapping[str, Estimate], *, key: str, unit: str, title: str) -> None:
    """One line a map: its mean and the 95 % interval.

    Args:
        unit: Behind the numbers: '%', or 'points', of which zero means something.
        title: Of the axis.
    """
    names = list(estimates)
    found = [estimates[name] for name in names]
    sign = "+" if unit == "points" else ""
    figure = go.Figure(
        go.Scatter(
            x=[100 * e.mean for e in found],
            y=[NAMES[name] for name in names],
            error_x=dict(
                array=[100 * (e.high - e.mean) for e in found],
                arrayminus=[100 * (e.mean - e.low) for e in found],
                thickness=2,
                width=6,
                color=palette.NEUTRAL,
            ),
            mode="markers+text",
            text=[f"{100 * e.mean:{sign}.1f}".replace("-", "−") for e in found],
            textposition="top center",
            cliponaxis=False,
            marker=dict(
                size=12,
                color=[palette.BLUE if name == "network" else palette.NEUTRAL for name in names],
            ),
            customdata=[[100 * e.low, 100 * e.high, e.count] for e in found],
            hovertemplate=f"%{{y}}: %{{x:.1f}} {unit}<br>{LIKELY}: %{{customdata[0]:.1f}} to %{{customdata[1]:.1f}}"
            "<br>%{customdata[2]} pictures<extra></extra>",
            showlegend=False,
        )
    )
    palette.layout(figure, height=70 + 56 * len(names))
    figure.update_yaxes(
        range=[len(names) - 0.5, -0.7], fixedrange=True
    )  # room for the first number
    figure.update_xaxes(title=title, fixedrange=True, nticks=6)
    if unit == "%":
        figure.update_xaxes(range=[-4, 108], ticksuffix=" %")
    else:
        figure.add_vline(x=0, line=dict(color=palette.NEUTRAL, width=1, dash="dot"))
    said = "; ".join(f"{NAMES[name]} {100 * estimates[name].mean:.1f} {unit}" for name in names)
    st.plotly_chart(
        figure,
        key=key,
        config=palette.CHART_CONFIG,
        alt=f"{title}: {said}",
    )


def classes(table: pd.DataFrame, known: Sequence[ClassInfo], *, key: str) -> None:
    """The gain of each class with its 95 % interval, lowest at the top."""
    names = [known[label].name for label in table["label"]]
    figure = go.Figure(
        go.Scatter(
            x=100 * table["gain"],
            y=names,
            error_x=dict(
                array=100 * (table["high"] - table["gain"]),
                arrayminus=100 * (table["gain"] - table["low"]),
                thickness=2,
                width=5,
            ),
            mode="markers",
            marker=dict(size=10, color=palette.BLUE),
            customdata=table[["images", "accuracy"]].to_numpy(),
            hovertemplate="%{y}: %{x:+.1f} points<br>%{customdata[0]} pictures, %{customdata[1]:.1%} right"
            "<extra></extra>",
        )
    )
    palette.layout(figure, height=80 + 28 * len(table), showlegend=False)
    figure.update_yaxes(autorange="reversed", fixedrange=True)
    figure.update_xaxes(title="heat inside the box, more than chance (points)", fixedrange=True)
    figure.add_vline(x=0, line=dict(color=palette.NEUTRAL, width=1, dash="dot"))
    st.plotly_chart(
        figure,
        key=key,
        config=palette.CHART_CONFIG,
        alt=f"Heat inside the box of {len(names)} classes, lowest first: {names[0]} to {names[-1]}; all figures in the table",
    )
