"""The learning-rate range test on the Train page: begin it, watch it, take over what it suggests."""

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from components import palette, presenter
from components.config_form import set_value
from components.messages import show_job
from tinymodel import jobs
from tinymodel.config import TrainConfig


def offer(config: TrainConfig, busy: bool) -> None:
    """The test for this configuration, folded up: a button, its progress, or its curve.

    Args:
        busy: Whether something trains, beside which no test begins.
    """
    from tinymodel.training import range_test  # torch: only where it is needed

    key = ("range test", *range_test.depends_on(config))
    job = jobs.find(key)
    with st.expander(
        "Find a good learning rate (range test)", icon=":material/ssid_chart:", key="range-test"
    ):
        st.caption(
            "A fresh network trains for up to a hundred steps while the learning rate rises from tiny to huge. While it "
            "is too small, nothing is learned; where the loss falls, it is good; where the loss rises again, it is too "
            "large."
        )
        if config.optimizer == "muon":
            st.caption(
                "Muon has a rate of its own, which is the one shown. The rate of SGD, for the weights that Muon leaves "
                "to it, rises with it in the proportion that is set above, as in training."
            )
        if job is not None:
            show_job(job)
        if job is not None and job.state == "done":
            show(job.result, config)
        elif busy:
            st.caption(":material/hourglass_top: It can be done when nothing else trains.")
        elif job is None or not job.active:
            presenter.button(
                "Run the test" if job is None else "Run it again",
                to="run this test",
                icon=":material/play_arrow:",
                on_click=begin,
                args=(key, config),
            )


def begin(key: tuple, config: TrainConfig) -> None:
    from tinymodel.training import range_test

    jobs.forget(key)
    jobs.submit(
        key,
        lambda report: range_test.range_test(config, report),
        label="Trying learning rates",
    )


def stop_all() -> None:
    """Before a training begins: it needs the machine for itself."""
    for job in jobs.active():
        if isinstance(job.key, tuple) and job.key[0] == "range test":
            job.stop()


def show(result, config: TrainConfig) -> None:
    """The curve of a `RangeTest`, and the button that takes its suggestion over."""
    now = getattr(config, result.field)
    st.plotly_chart(
        curve(result, now),
        key="range-test-curve",
        config=palette.CHART_CONFIG,
        alt="Loss over the learning rate",
    )
    if result.suggestion is None:
        st.info(
            "No rate learned anything in so few steps. Try a larger batch, or fewer classes.",
            icon=":material/help:",
        )
        return
    values = taken_over(result, config)
    same = all(getattr(config, name) == value for name, value in values.items())
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            f"Take over {result.suggestion:g}",
            icon=":material/check:",
            type="primary",
            disabled=same,
            help="The form says so already." if same else None,
            on_click=lambda: [set_value(config.preset, *item) for item in values.items()],
        )
        if len(values) > 1:
            st.caption(f"And for SGD {values['learning_rate']:g}.")
    st.caption(
        f"The suggestion is {rule()}. Training that warms up (the recipe says how long) can go about as high. It is a "
        "place to start from, no more."
    )


def rule() -> str:
    from tinymodel.training.range_test import RULE  # torch: only where it is needed

    return RULE


def taken_over(result, config: TrainConfig) -> dict[str, float]:
    """Field → value: the rate suggested, and with Muon that of SGD in the same proportion as before."""
    values = {result.field: result.suggestion}
    if result.field == "muon_learning_rate":
        other = config.learning_rate * result.suggestion / config.muon_learning_rate
        values["learning_rate"] = float(f"{min(10.0, max(1e-6, other)):.2g}")
    return values


def curve(result, now: float) -> go.Figure:
    """Loss over the rate on a logarithmic axis, with the suggestion and the rate that the form has now."""
    figure = go.Figure()
    hover = "learning rate %{x:.2g}: loss %{y:.3f}<extra></extra>"
    figure.add_scatter(
        x=result.rates,
        y=result.losses,
        mode="markers",
        marker=dict(color=palette.TRAIN, size=4, opacity=0.6),
        name="each batch",
        hovertemplate=hover,
    )
    figure.add_scatter(
        x=result.rates,
        y=result.smoothed,
        mode="lines",
        line=dict(color=palette.TRAIN, width=2.5),
        name="averaged",
        hovertemplate=hover,
    )
    lines = [(now, palette.NEUTRAL, "dot", f"now {now:g}", "bottom")]
    other = result.suggestion or 0.0
    if result.suggestion is not None:
        text = f"suggested {result.suggestion:g}"
        lines.append((result.suggestion, palette.GREEN, "solid", text, "top"))
    for rate, colour, dash, text, place in lines:
        beside = other if place == "bottom" else now
        figure.add_vline(rate, line=dict(color=colour, dash=dash, width=2))
        figure.add_annotation(
            x=np.log10(rate),  # of a logarithmic axis plotly wants the exponent here
            y=1 if place == "top" else 0,
            yref="paper",
            yanchor=place,
            xanchor="left" if rate > beside else "right",  # away from the other line
            text=f" {text} ",
            font=dict(color=colour),
            showarrow=False,
        )
    palette.layout(figure, 320)
    figure.update_xaxes(type="log", title="learning rate", dtick=1, tickformat="~g")
    figure.add_hline(
        result.guessing,
        line=dict(color=palette.NEUTRAL, dash="dash", width=1),
        annotation=dict(text="guessing", font=dict(color=palette.NEUTRAL)),
        annotation_position="bottom left",
    )
    top = 1.3 * max(
        result.smoothed[0], result.guessing
    )  # where it explodes there is nothing to see
    figure.update_yaxes(title="training loss", range=[0.9 * result.losses.min(), top])
    return figure
