"""Watch it learn: accuracy step by step, and the pictures that it learns from."""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from components import gallery, palette
from components.messages import percent
from tinymodel.representation.features import Study
from tinymodel.representation.teaching import DRAWS, SHOTS, STEPS, Lesson

COLOURS = dict(zip(SHOTS, (palette.SKY, palette.ORANGE, palette.GREEN), strict=True))
PICTURES = 5  # of each class, of those it learned from


def pictures(shots: int) -> str:
    return "1 picture" if shots == 1 else f"{shots} pictures"


def show(lessons: Mapping[int, Sequence[Lesson]], lesson: Lesson, draw: int) -> None:
    """How good the new classifier is, and how it became so."""
    st.subheader("Watch it learn", anchor=False)
    left, right = st.columns([1, 3], gap="large", vertical_alignment="center")
    with left:
        st.metric(
            "Right answers",
            percent(lesson.accuracy),
            help="On pictures that neither the network nor its new classifier has learned from.",
        )
        if lesson.accuracy is None:
            st.caption("There is no picture left to test with: add more of each class.")
        else:
            others = [each.accuracy for each in lessons[lesson.shots]]
            st.caption(
                f"from {pictures(lesson.shots)} a class (draw {draw + 1} of {DRAWS}), tested on "
                f"{len(lesson.predictions):,} others. With other pictures to learn from: {percent(min(others))} to "
                f"{percent(max(others))}. Guessing gives {percent(1 / len(lesson.classes))}."
            )
        st.button(
            "Learn from other pictures",
            icon=":material/casino:",
            on_click=lambda: st.query_params.update(draw=str((draw + 1) % DRAWS + 1)),
        )
    with right:
        draw_curves(lessons, lesson)


def draw_curves(lessons: Mapping[int, Sequence[Lesson]], lesson: Lesson) -> None:
    """A curve for each number of pictures: the mean of the draws, with the worst and the best as a band."""
    tested = lesson.accuracy is not None
    column = "val_accuracy" if tested else "train_accuracy"
    steps = list(range(STEPS + 1))
    figure, curves = go.Figure(), {}
    for shots, draws in lessons.items():
        table = np.array([each.history[column].to_numpy() for each in draws])
        curves[shots] = table.mean(0)
        figure.add_scatter(
            x=steps + steps[::-1], y=[*table.max(0), *table.min(0)[::-1]], fill="toself", mode="lines",
            fillcolor=COLOURS[shots], opacity=0.15, line_width=0, hoverinfo="skip", showlegend=False,
        )  # fmt: skip
    for shots, curve in curves.items():
        figure.add_scatter(
            x=steps,
            y=curve,
            name=f"{pictures(shots)} a class",
            line=dict(color=COLOURS[shots], width=4 if shots == lesson.shots else 2),
            hovertemplate="step %{x}: %{y:.1%}<extra></extra>",
        )
    figure.frames = [
        go.Frame(
            data=[go.Scatter(x=steps[:end], y=curve[:end]) for curve in curves.values()],
            traces=[len(curves) + number for number in range(len(curves))],
        )
        for end in range(1, STEPS + 2)
    ]
    chance = 1 / len(lesson.classes)
    figure.add_hline(y=chance, line=dict(color=palette.NEUTRAL, width=1, dash="dash"))
    palette.layout(figure, height=330, margin=dict(l=8, r=8, t=8, b=8), dragmode=False)
    figure.update_xaxes(title="step of learning", range=[-0.3, STEPS + 0.3], fixedrange=True)
    figure.update_yaxes(
        title="right answers" + ("" if tested else " (pictures learned from)"),
        tickformat=".0%",
        range=[0, 1.03],
        fixedrange=True,
    )
    slowly = dict(
        frame=dict(duration=90, redraw=False), transition=dict(duration=0), mode="immediate"
    )
    button = dict(label="▶ Watch", method="animate", args=[None, slowly])
    figure.update_layout(
        updatemenus=[
            dict(
                type="buttons",
                x=0.99,
                xanchor="right",
                y=0.02,
                yanchor="bottom",
                showactive=False,
                buttons=[button],
            )
        ]
    )
    st.plotly_chart(
        figure,
        key="learning",
        config=palette.CHART_CONFIG,
        alt="Right answers after the last step: "
        + "; ".join(
            f"{pictures(shots)} a class {percent(curve[-1])}" for shots, curve in curves.items()
        ),
    )
    st.caption(
        f"Lines: the mean of {DRAWS} draws of pictures to learn from; bands: from the worst draw to the best. "
        "Dashed: guessing."
    )


def show_learned(study: Study | None, lesson: Lesson) -> None:
    """Some of the pictures that it learned from."""
    shown = (
        [study.dataset.images[row] for row in lesson.train_rows] if len(lesson.train_rows) else []
    )
    shown += list(lesson.own_learned)
    with st.expander(f"The {len(shown)} pictures that it learned from", icon=":material/school:"):
        gallery.grid(
            shown[:60],
            hints=[f"Learned from, picture {number + 1}" for number in range(len(shown[:60]))],
            key="learned",
            side=96,
        )
