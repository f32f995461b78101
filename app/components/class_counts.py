"""How many images each class has, and the colours of all."""

import plotly.graph_objects as go
import streamlit as st

from components import palette
from tinymodel.data import PreparedDataset

MANY = 20  # more classes than this are bars that lie, so that every name can be read, and scroll
KINDS = dict(train=("training", palette.TRAIN), val=("validation", palette.VALIDATION))


def show(dataset: PreparedDataset) -> None:
    counts, colours = st.columns([2, 1], gap="large")
    with counts:
        st.subheader("How many of each class", anchor=False)
        show_counts(dataset)
    with colours:
        st.subheader("Colours", anchor=False)
        lines = [
            "| | Red | Green | Blue |",
            "|:--|--:|--:|--:|",
            *(
                f"| {title} | {red:.3f} | {green:.3f} | {blue:.3f} |"
                for title, (red, green, blue) in (
                    ("Mean", dataset.mean),
                    ("Spread (standard deviation)", dataset.std),
                )
            ),
        ]
        st.markdown("\n".join(lines))
        st.caption(
            "Of all training images, from 0 (dark) to 1 (bright). Every image is centred and scaled with these before "
            "the network sees it (normalisation)."
        )


def show_counts(dataset: PreparedDataset) -> None:
    names = [item.name for item in dataset.classes]
    counts = {
        split: [len(dataset.indices(split, label)) for label in range(len(names))]
        for split in KINDS
    }
    words = []
    for split, (kind, _) in KINDS.items():
        low, high = min(counts[split]), max(counts[split])
        words.append(
            f"{low:,} {kind} images" if low == high else f"{low:,} to {high:,} {kind} images"
        )
    st.caption(f"Every class has {' and '.join(words)}.")
    many = len(names) > MANY
    figure = go.Figure()
    for split, (kind, colour) in KINDS.items():
        x, y = (counts[split], names) if many else (names, counts[split])
        figure.add_bar(x=x, y=y, orientation="h" if many else "v", name=kind, marker_color=colour)
    palette.layout(figure, 90 + 18 * len(names) if many else 320, barmode="stack")
    figure.update_layout(legend_traceorder="normal", hovermode="y unified" if many else "x unified")
    if many:
        figure.update_layout(margin_t=70, legend=dict(yref="container", y=1, yanchor="top"))
        figure.update_xaxes(side="top", title="images", title_standoff=4)
        figure.update_yaxes(autorange="reversed", dtick=1, type="category")
    else:
        figure.update_xaxes(type="category")  # folders may be named 1, 2, 3
        figure.update_yaxes(title="images")
    with st.container(height=440 if many else "content", border=many):
        st.plotly_chart(
            figure,
            config=palette.CHART_CONFIG,
            alt=f"Every one of {len(names)} classes has {' and '.join(words)}",
        )
