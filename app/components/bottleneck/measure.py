"""Measure it: the probe ladder, and how many dimensions a layer really uses."""

import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from plotly.subplots import make_subplots

from components import palette, role
from components.bottleneck import quiz
from components.messages import percent, plain, show_job
from components.pickers import choose
from components.work import result_of
from tinymodel import jobs
from tinymodel.evaluation import weights_version
from tinymodel.representation.features import Study, layer_title
from tinymodel.representation.ladder import dimensions, kept_ladder, measure_ladder, summarize
from tinymodel.runs import Run

PROBES = {"linear": "Linear classifier", "neighbours": "Nearest neighbours (k-NN)"}
NETWORKS = {
    "trained": ("trained", palette.BLUE),
    "untrained": ("the same network, untrained", palette.NEUTRAL),
}
TITLES = {"seen": "Classes it was trained on", "unseen": "Classes it has never seen"}


def show(study: Study) -> None:
    st.markdown(
        "Freeze the network, take the numbers that layer k makes of each picture, and train a *simple* classifier on "
        "them (a **probe**). How often it is right on new pictures says how much the layer knows."
    )
    unseen = len(study.unseen()) >= 2
    question = "On classes it has **never seen**, " if unseen else ""
    st.subheader("First guess, then measure", anchor=False)
    left, right = st.columns([1, 2], gap="large")
    with left:
        st.markdown(f"{question}{'which' if question else 'Which'} layer will be best?")
        guess = quiz.ask(study, name="rung", label="Your guess")
    with right:
        if guess is None:
            st.info("The ladder appears here once you have guessed.", icon=":material/help:")
            if not unseen:
                suggest_holding_out()
            return
    ladder = ladder_of(study.run)
    if ladder is not None:
        with right:
            say_best(study, ladder, guess)
            probe = choose("Probe", PROBES, name="probe", as_row=True, help=HELP)
        draw_ladder({study.run.name: ladder}, study.layers, probe, guess, key="ladder")
        explain_ladder(ladder)
    if not unseen:
        suggest_holding_out()
    show_dimensions(study)


HELP = (
    "**Linear classifier**: one weighted sum of the numbers for each class (logistic regression). **Nearest neighbours**: "
    "the ten most similar pictures that it was given vote."
)


def suggest_holding_out() -> None:
    st.info(
        "This run has seen every class of its dataset. To measure what a network knows about classes it has never seen, "
        "train one with *Classes kept for later*.",
        icon=":material/lightbulb:",
    )
    st.page_link("views/train.py", label="Train a network", icon=":material/model_training:")


def ladder_of(run: Run) -> pd.DataFrame | None:
    """The summary of the run's ladder; until it is measured a button, then its progress."""
    kept = kept_ladder(run)
    if kept is not None:
        return summarize(kept)
    key = ("ladder", str(run.folder), weights_version(run))
    job = jobs.find(key)
    if job is not None and job.state == "done":
        return summarize(job.result)
    if job is None or not job.active:
        if job is not None:
            show_job(job)
        st.button(
            "Measure every layer",
            key=f"measure-{run.name}",
            type="primary",
            icon=":material/straighten:",
            help="Probes on every layer, in three seeds, also of the untrained network. Seconds to a few minutes.",
            on_click=lambda: (
                jobs.forget(key),
                jobs.submit(
                    key,
                    lambda report: measure_ladder(run, report),
                    label="Measuring every layer",
                    owner=role.me(),
                ),
            ),
        )
        return None
    show_job(job)
    return None


def say_best(study: Study, ladder: pd.DataFrame, guess: int) -> None:
    group = "unseen" if (ladder["classes"] == "unseen").any() else "seen"
    rows = ladder[(ladder["classes"] == group) & (ladder["probe"] == "linear")]
    trained = rows[rows["network"] == "trained"].set_index("layer")
    best = int(trained["accuracy"].idxmax())
    top, raw = trained.loc[best], rows[rows["network"] == "pixels"].iloc[0]
    fresh = rows[rows["network"] == "untrained"]["accuracy"].max()
    close = guess != best and guess > 0 and trained.loc[guess, "high"] >= top["low"]
    if guess == best:
        verdict = "**Right!** "
    elif close:
        verdict = f"You said {guess}: too close to tell from the best. "
    else:
        verdict = f"You said {guess}. "
    st.markdown(
        verdict
        + plain(
            f"On {TITLES[group].lower().replace('it', 'the network')}, layer {best} "
            f"({layer_title(study.layers[best]).lower()}) is best: a linear classifier is right in "
            f"{percent(top['accuracy'])} ({percent(top['low'])} to {percent(top['high'])}). With raw pixels it is "
            f"{percent(raw['accuracy'])}, with the best layer of the untrained network {percent(fresh)}; guessing gives "
            f"{percent(1 / top['n_classes'])}."
        )
    )


def draw_ladder(
    ladders: dict[str, pd.DataFrame], layers: tuple, probe: str, guess: int | None, *, key: str
) -> None:
    """One figure: accuracy over the layers, a panel for classes seen and one for classes never seen.

    Args:
        ladders: By run, as `summarize` gives them. Of more than one only the trained networks are drawn.
    """
    groups = [
        group
        for group in TITLES
        if any((table["classes"] == group).any() for table in ladders.values())
    ]
    figure = make_subplots(1, max(1, len(groups)), shared_yaxes=True, horizontal_spacing=0.04)
    for panel, group in enumerate(groups, 1):
        place = dict(row=1, col=panel)
        classes = 0
        for number, (name, table) in enumerate(ladders.items()):
            rows = table[(table["classes"] == group) & (table["probe"] == probe)]
            if rows.empty:
                continue
            classes = int(rows["n_classes"].iloc[0])
            curves = NETWORKS if len(ladders) == 1 else {"trained": (name, palette.SERIES[number])}
            for network, (title, colour) in curves.items():
                line = rows[rows["network"].isin([network, "pixels"])].sort_values("layer")
                add_line(figure, line, title, colour, layers, place)
        figure.add_hline(
            1 / max(1, classes), line=dict(color=palette.NEUTRAL, width=1, dash="dash"), **place
        )
        if guess is not None:
            figure.add_vline(guess, line=dict(color=palette.ORANGE, width=2, dash="dot"), **place)
        axis = "" if panel == 1 else str(panel)
        figure.add_annotation(
            text=f"<b>{TITLES[group]}</b> ({classes})", x=0, xref=f"x{axis} domain", y=1, yref="paper",
            xanchor="left", yanchor="bottom", showarrow=False,
        )  # fmt: skip
    palette.layout(figure, height=420, margin=dict(l=8, r=8, t=64, b=8))
    figure.update_layout(legend=dict(y=1.1))
    figure.update_xaxes(title="layer k (0: raw pixels)", dtick=1, range=[-0.4, len(layers) - 0.6])
    figure.update_yaxes(tickformat=".0%", range=[0, 1.02])
    figure.update_yaxes(title="right answers", col=1)
    st.plotly_chart(
        figure,
        key=key,
        config=palette.CHART_CONFIG,
        alt=f"Right answers of a probe on each layer of {' and '.join(ladders)}; the figures are below",
    )


def add_line(
    figure: go.Figure,
    line: pd.DataFrame,
    title: str,
    colour: str,
    layers: tuple,
    place: dict[str, int],
) -> None:
    """A curve with its band of uncertainty; in the legend once, whatever the number of panels."""
    legend = place["col"] == 1
    place = place | dict(legendgroup=title)
    x = line["layer"].tolist()
    figure.add_scatter(
        x=x + x[::-1], y=line["high"].tolist() + line["low"].tolist()[::-1], fill="toself", fillcolor=colour,
        opacity=0.18, line_width=0, hoverinfo="skip", showlegend=False, mode="lines", **place,
    )  # fmt: skip
    figure.add_scatter(
        x=x, y=line["accuracy"], name=title, mode="lines+markers", line=dict(color=colour, width=2.5),
        marker=dict(size=7, color=colour), showlegend=legend,
        customdata=[
            (layer_title(layers[k]), percent(low), percent(high))
            for k, low, high in zip(x, line["low"], line["high"], strict=True)
        ],
        hovertemplate="%{customdata[0]}: %{y:.1%} (%{customdata[1]} to %{customdata[2]})<extra>" + title + "</extra>",
        **place,
    )  # fmt: skip


def explain_ladder(ladder: pd.DataFrame) -> None:
    tested = ladder.groupby("classes", sort=False)["tested"].min().to_dict()
    counts = " and ".join(
        f"{count:,} pictures of {TITLES[group].lower()}" for group, count in tested.items()
    )
    st.caption(
        f"Dots: the mean of {int(ladder['seeds'].min())} seeds, each with its own draw of pictures to learn from and its "
        f"own untrained network. Bands: about 95 % confidence, from the seeds and from testing on {counts}. Dashed: "
        "guessing. Dotted, orange: your guess. At 0 both curves begin with the raw pixels. The panels have different "
        "numbers of classes: compare curves within a panel."
    )
    with st.expander("The figures", icon=":material/table:"):
        table = ladder.drop(columns=["spread"]).rename(columns={"n_classes": "number of classes"})
        st.dataframe(table, hide_index=True, alt="Right answers of every probe")


def show_dimensions(study: Study) -> None:
    st.subheader("How many dimensions does a layer use?", anchor=False)
    st.markdown(
        "A layer gives a list of numbers: its **nominal** dimension is how long the list is. But many of them rise and "
        "fall together. The **effective** dimension (participation ratio) counts the directions in which the pictures "
        "really differ."
    )
    table = result_of(
        ("dimensions", str(study.run.folder), weights_version(study.run)),
        lambda report: dimensions(study),
        label="Counting dimensions",
    )
    figure = go.Figure()
    for column, title, colour in (
        ("nominal", "nominal: numbers in the list", palette.NEUTRAL),
        ("effective", "effective: directions in use", palette.BLUE),
    ):
        figure.add_bar(
            x=table["layer"], y=table[column], name=title, marker_color=colour,
            text=[f"{value:,.0f}" if value >= 100 else f"{value:.3g}" for value in table[column]],
            textposition="outside", cliponaxis=False,
            customdata=[layer_title(layer) for layer in study.layers],
            hovertemplate="%{customdata}: %{y:.4g}<extra></extra>",
        )  # fmt: skip
    palette.layout(figure, height=320, barmode="group", dragmode=False)
    figure.update_xaxes(title="layer k (0: raw pixels)", dtick=1, fixedrange=True)
    figure.update_yaxes(
        type="log", title="dimensions", fixedrange=True, tickvals=[1, 10, 100, 1000, 10_000],
        ticktext=["1", "10", "100", "1,000", "10,000"], range=[0, 4.6],
    )  # fmt: skip
    st.plotly_chart(
        figure,
        key="dimensions",
        config=palette.CHART_CONFIG,
        alt="Effective dimensions of each layer: "
        + "; ".join(
            f"{k}: {value:.3g}" for k, value in zip(table["layer"], table["effective"], strict=True)
        ),
    )
    with st.expander("How it is counted", icon=":material/function:"):
        st.markdown(
            "From the eigenvalues $\\lambda_i$ of the covariance of the features over the validation pictures:"
        )
        st.latex(r"d_\mathrm{eff} = \frac{\left(\sum_i \lambda_i\right)^2}{\sum_i \lambda_i^2}")
        st.markdown(
            "It is the nominal dimension if all directions are used alike, and 1 if there is only one. "
            "(Gao et al., *A theory of multineuronal dimensionality, dynamics and measurement*, 2017; Recanatesi et al., "
            "*Dimensionality compression and expansion in deep neural networks*, 2019.)"
        )
