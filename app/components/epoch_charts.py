"""Curves with a mark at the epoch that is looked at."""

from collections.abc import Mapping, Sequence

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from components import palette
from components.messages import percent
from tinymodel.explain.timelapse import Moment


def accuracy(epochs: pd.DataFrame, at: int, total: int, *, key: str) -> None:
    """Training and validation accuracy of a run of `total` epochs."""
    figure = go.Figure()
    for column, name, colour, dash in (
        ("train_accuracy", "training", palette.TRAIN, "dash"),
        ("val_accuracy", "validation", palette.VALIDATION, "solid"),
    ):
        line = dict(color=colour, width=2.5, dash=dash)
        _add(figure, epochs["epoch"], epochs[column], name, line, at)
    last = epochs.iloc[-1] if len(epochs) else None
    said = (
        ""
        if last is None
        else f", in the end {percent(last['val_accuracy'])} on validation pictures"
    )
    _draw(figure, at, total, key, f"Accuracy after each epoch{said}")


def true_probabilities(
    moments: Sequence[Mapping[int, Moment]], names: Sequence[str], at: int, total: int, *, key: str
) -> None:
    """Of each pinned image: how sure the network was of its true class, epoch by epoch."""
    figure = go.Figure()
    colours = palette.SERIES[:6]
    for number, (epochs, name) in enumerate(zip(moments, names, strict=True)):
        x = sorted(epochs)
        dash = ("solid", "dash", "dot")[number // len(colours) % 3]
        line = dict(color=colours[number % len(colours)], dash=dash, width=2)
        values = [epochs[epoch].true_probability for epoch in x]
        _add(figure, pd.Series(x), pd.Series(values), name, line, at)
    said = "; ".join(
        f"{name} {percent(epochs[max(epochs)].true_probability)}"
        for name, epochs in zip(names, moments, strict=True)
        if epochs
    )
    _draw(
        figure,
        at,
        total,
        key,
        f"How sure it is of the true class after each epoch, in the end: {said}",
    )


def _add(figure: go.Figure, x: pd.Series, y: pd.Series, name: str, line: dict, at: int) -> None:
    size = [9 if epoch == at else 4 for epoch in x]
    figure.add_scatter(
        x=x.to_numpy(),
        y=y.to_numpy(),
        name=name,
        mode="lines+markers",
        line=line,
        marker=dict(size=size, color=line["color"]),
        hovertemplate=f"{name}, epoch %{{x}}: %{{y:.1%}}<extra></extra>",
    )


def _draw(figure: go.Figure, at: int, total: int, key: str, alt: str) -> None:
    figure.add_vline(x=at, line=dict(color=palette.GREY, width=2, dash="dot"))
    palette.layout(
        figure, 280, legend=dict(orientation="h", yanchor="top", y=-0.3, x=0), dragmode=False
    )
    figure.update_xaxes(title="epoch", range=[0.5, total + 0.5], fixedrange=True)
    figure.update_yaxes(tickformat=".0%", range=[0, 1.02], fixedrange=True)
    st.plotly_chart(figure, key=key, config=palette.CHART_CONFIG, alt=alt)
