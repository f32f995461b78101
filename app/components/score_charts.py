"""Charts of how well a run does: class by class, and how honest its confidence is."""

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from plotly.subplots import make_subplots

from components import palette
from components.messages import percent

TICKS = (0, 25, 50, 75, 100)  # percent


def class_bars(table: pd.DataFrame, names: Sequence[str], *, key: str) -> int | None:
    """A bar for each row of `scores.per_class`, in their order; returns the label whose bar was just clicked."""
    table = table[table["images"] > 0]
    shown = [names[label] for label in table["label"]]
    words = [
        f"{row.right} of {row.images} right, {percent(row.accuracy)}<br>top-5: {percent(row.top5)}"
        + (
            f"<br>most often taken for {names[row.mostly]} ({row.mostly_count})"
            if row.mostly_count
            else ""
        )
        for row in table.itertuples()
    ]
    figure = go.Figure()
    look = dict(
        y=shown, orientation="h", customdata=table["label"], hovertext=words,
        hovertemplate="%{y}<br>%{hovertext}<extra></extra>",
    )  # fmt: skip
    figure.add_bar(
        x=100 * table["top5"], name="among its first five (top-5)", marker_color=palette.NEUTRAL,
        opacity=0.45, **look,
    )  # fmt: skip
    figure.add_bar(
        x=100 * table["accuracy"], name="right (top-1)", marker_color=palette.VALIDATION, width=0.5,
        text=[percent(share) for share in table["accuracy"]], textposition="outside", cliponaxis=False,
        textfont_size=13, constraintext="none",
        **look,
    )  # fmt: skip
    palette.layout(figure, 100 + 26 * len(shown), barmode="overlay", clickmode="event+select")
    figure.update_layout(margin_t=70, legend=dict(yref="container", y=1, yanchor="top"))
    figure.update_xaxes(
        side="top",
        range=[0, 108],
        tickvals=TICKS,
        ticktext=[f"{tick} %" for tick in TICKS],
        fixedrange=True,
    )
    figure.update_yaxes(autorange="reversed", dtick=1, type="category", fixedrange=True)
    many = len(shown) > 24
    with st.container(height=560 if many else "content", border=many):
        event = st.plotly_chart(
            figure,
            key=key,
            on_select="rerun",
            selection_mode="points",
            config=palette.CHART_CONFIG,
            alt=f"Right answers of {len(shown)} classes: "
            + "; ".join(
                f"{name} {percent(share)}"
                for name, share in zip(shown, table["accuracy"], strict=True)
            ),
        )
    points = event.selection.points
    return int(table["label"].iloc[points[0]["point_index"]]) if points else None


def calibration_curve(curve: pd.DataFrame) -> None:
    """What it says beside how often it is right, and below it how many answers that is."""
    filled = curve[curve["count"] > 0]
    figure = make_subplots(2, 1, shared_xaxes=True, row_heights=[0.72, 0.28], vertical_spacing=0.05)
    middle, width = 50 * (filled["low"] + filled["high"]), 100 / len(curve)
    words = [
        f"says {percent(row.low)} to {percent(row.high)}, on average {percent(row.confidence)}"
        f"<br>right {percent(row.accuracy)} of {row.count:,} times"
        for row in filled.itertuples(index=False)
    ]  # fmt: skip
    look = dict(x=middle, width=0.92 * width, hovertext=words, hoverinfo="text")
    figure.add_bar(
        y=100 * filled["accuracy"], name="how often it is right (accuracy)",
        marker_color=palette.VALIDATION, row=1, col=1, **look,
    )  # fmt: skip
    figure.add_scatter(
        x=[0, 100], y=[0, 100], mode="lines", name="as it should be", hoverinfo="skip",
        line=dict(color=palette.NEUTRAL, dash="dash"), row=1, col=1,
    )  # fmt: skip
    figure.add_bar(
        y=100 * (filled["confidence"] - filled["accuracy"]), base=100 * filled["accuracy"],
        name="gap to what it said", row=1, col=1,
        marker=dict(
            color="rgba(0,0,0,0)", line=dict(color=palette.WRONG, width=1.5),
            pattern=dict(shape="/", fgcolor=palette.WRONG, size=7),
        ),
        **look,
    )  # fmt: skip
    figure.add_bar(
        y=filled["count"], marker_color=palette.NEUTRAL, showlegend=False, row=2, col=1, **look
    )
    palette.layout(figure, 480, barmode="overlay", margin_r=24)
    figure.update_xaxes(
        range=[0, 100], tickvals=TICKS, ticktext=[f"{tick} %" for tick in TICKS], fixedrange=True
    )
    figure.update_xaxes(title="how sure it says it is (confidence)", row=2, col=1)
    figure.update_yaxes(fixedrange=True)
    figure.update_yaxes(range=[0, 103], ticksuffix=" %", title="right", row=1, col=1)
    figure.update_yaxes(title="pictures", row=2, col=1)
    st.plotly_chart(
        figure,
        key="calibration",
        config=palette.CHART_CONFIG,
        alt="How often it is right, by how sure it says it is: "
        + "; ".join(word.replace("<br>", ", ") for word in words),
    )
