"""Runs beside one another: their curves in one chart, their settings in one table with the differences marked."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from components import palette
from components.config_form import choice_name
from components.messages import duration, percent, plain, short
from tinymodel.config import TrainConfig
from tinymodel.errors import UserError
from tinymodel.runs import Run

COLOURS = palette.SERIES[:6]  # the last one, yellow, is hard to see on white
SYMBOLS = ("circle", "square", "diamond", "triangle-up")  # when the colours come round again
MARK = "background-color: rgba(230, 159, 0, 0.22)"  # of settings that differ, in light and dark


def curves(
    epochs: dict[str, pd.DataFrame], value: str, *, minutes: bool, training: bool
) -> go.Figure:
    """One line a run: 'accuracy' or 'loss' on validation images and, dashed, on training images.

    Args:
        epochs: The name of each run and its table of epochs.
        minutes: Whether the x axis is the time spent, instead of epochs.
    """
    figure = go.Figure()
    form = "%{y:.1%}" if value == "accuracy" else "%{y:.3f}"
    for number, (name, table) in enumerate(epochs.items()):
        x = table["seconds"].cumsum() / 60 if minutes else table["epoch"]
        colour = COLOURS[number % len(COLOURS)]
        symbol = SYMBOLS[number // len(COLOURS) % len(SYMBOLS)]
        where = "%{x:.1f} min" if minutes else "epoch %{x}"
        for column, dash in (("val", "solid"), *((("train", "dash"),) if training else ())):
            what = "validation" if column == "val" else "training"
            figure.add_scatter(
                x=x.to_numpy(),
                y=table[f"{column}_{value}"].to_numpy(),
                mode="lines+markers",
                name=short(name),
                legendgroup=name,
                showlegend=column == "val",
                line=dict(color=colour, dash=dash, width=2.5 if column == "val" else 1.5),
                marker=dict(color=colour, symbol=symbol, size=6 if column == "val" else 3),
                hovertemplate=f"{name}<br>{what}, {where}: {form}<extra></extra>",
            )
    legend = dict(orientation="h", yanchor="top", y=-0.25, x=0)
    palette.layout(figure, 340 + 10 * len(epochs), legend=legend)
    figure.update_xaxes(title="minutes" if minutes else "epoch", rangemode="tozero")
    figure.update_yaxes(tickformat=".0%" if value == "accuracy" else "", rangemode="tozero")
    return figure


def show_curves(runs: Sequence[Run]) -> None:
    """Accuracy and loss of the runs over epochs or minutes, as the address says."""
    epochs, waiting = {}, []
    for run in runs:
        try:
            table = run.epochs()
        except UserError as error:
            st.warning(plain(str(error)), icon=":material/broken_image:")
            continue
        if len(table):
            epochs[run.name] = table
        else:
            waiting.append(run.name)
    if waiting:
        st.caption(plain(f"Without a finished epoch, so without a curve: {', '.join(waiting)}."))
    if not epochs:
        return
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        over = st.segmented_control(
            "From left to right",
            ["Epochs", "Minutes"],
            default="Epochs",
            required=True,
            key="over",
            bind="query-params",
            help="Epochs compare how much is learned from the same pictures; minutes compare how long it takes.",
        )
        training = st.toggle(
            "Training images too (dashed)",
            key="training",
            bind="query-params",
            help="Far above the solid line: it learns its training images by heart (overfitting).",
        )
    for column, (value, title) in zip(
        st.columns(2, gap="large"),
        (
            ("accuracy", "Accuracy: right answers, higher is better"),
            ("loss", "Loss: how wrong it is, lower is better"),
        ),
        strict=True,
    ):
        with column:
            st.markdown(f"**{title}**")
            st.plotly_chart(
                curves(epochs, value, minutes=over == "Minutes", training=training),
                key=f"compare-{value}",
                config=palette.CHART_CONFIG,
                alt=f"{value} of {', '.join(epochs)}",
            )


def settings(run: Run) -> dict[str, str]:
    """Label → value of everything that this run was told, and what it ran on."""
    info, told = run.info(), {}
    for item in fields(TrainConfig):
        label = item.metadata.get("label", item.name.capitalize())
        value = getattr(run.config, item.name)
        told[label] = choice_name(value) if item.metadata.get("choices") else _words(value)
    told["Classes"] = str(len(run.classes))
    images = (info.get("train_images"), info.get("val_images"))
    told["Images (training, validation)"] = ", ".join(f"{n:,}" for n in images if n is not None)
    told["Weights (parameters)"] = f"{info['parameters']:,}" if "parameters" in info else ""
    told["Ran on"] = str(info.get("device", "")).upper()
    told["Number format used"] = " ".join(
        str(info[key]) for key in ("precision", "memory_format") if key in info
    )
    told["Processes"] = str(info.get("processes", 1))
    told["PyTorch"] = str(info.get("versions", {}).get("torch", ""))
    return told


def outcome(run: Run) -> dict[str, str]:
    """What came out of it."""
    try:
        epochs = run.epochs()
    except UserError:
        return {}
    best = float(epochs["val_accuracy"].max()) if len(epochs) else None
    return {
        "Best accuracy": percent(best),
        "Time of an epoch": duration(epochs["seconds"].median()) if len(epochs) else "–",
    }


def settings_table(runs: Sequence[Run], everything: bool) -> pd.DataFrame:
    """One column a run, one row a setting; without `everything` only settings that differ."""
    table = pd.DataFrame({run.name: outcome(run) | settings(run) for run in runs}).fillna("–")
    if not everything:
        table = table[differing(table)]
    return table.rename_axis("Setting")


def differing(table: pd.DataFrame) -> pd.Series:
    """Which rows do not say the same of every run."""
    return table.nunique(axis=1) > 1


def show_settings(runs: Sequence[Run]) -> None:
    """The settings of the runs side by side, only what differs unless the person wants all."""
    several = len(runs) > 1
    st.subheader("Settings side by side" if several else "Settings", anchor=False)
    everything = not several or st.toggle(
        "Settings that are the same, too", key="all-settings", bind="query-params"
    )
    table = settings_table(runs, everything)
    if table.empty:
        st.info("These runs were told the same.", icon=":material/equal:")
        return
    marked = differing(table)
    styled = table.style.apply(
        lambda row: [MARK if several and everything and marked[row.name] else ""] * len(row),
        axis=1,
    )
    st.dataframe(
        styled,
        height="content",
        column_config={"_index": st.column_config.Column(width=230)},
        alt="Settings of the runs",
    )


def _words(value: Any) -> str:
    if value is None:
        return "all"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, tuple):
        return ", ".join(value)
    return str(value)
