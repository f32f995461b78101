"""The one palette: Okabe and Ito's colours, which people with colour blindness can tell apart, and one heat scale.

https://jfly.uni-koeln.de/color/
"""

from typing import Any

import plotly.graph_objects as go
import streamlit as st

# Okabe-Ito
BLUE = "#0072B2"
ORANGE = "#E69F00"
GREEN = "#009E73"
VERMILLION = "#D55E00"
SKY = "#56B4E9"
PURPLE = "#CC79A7"
YELLOW = "#F0E442"
GREY = "#8A8F98"  # ours: for what is not the point, readable on white and on black

# What they mean, the same on every page
TRAIN = BLUE
VALIDATION = ORANGE
CORRECT = GREEN
WRONG = VERMILLION
BOX = SKY  # the true box of an object
NEUTRAL = GREY
SERIES = (BLUE, ORANGE, GREEN, VERMILLION, SKY, PURPLE, YELLOW)

HEAT = (
    "Inferno"  # heat maps: perceptually uniform, never jet; a name that plotly and matplotlib know
)

# Letters in charts, by theme: Streamlit's own are too faint for the last row.
INK = dict(light="#3A444F", dark="#C9D1D9")
TYPE = 14  # pixels of every letter in a chart: read from the last row, and on a phone

# No bar of buttons: where nothing hovers it would cover the legend for good. Dragging zooms, a double click shows it all.
CHART_CONFIG = {"displaylogo": False, "displayModeBar": False}


def layout(figure: go.Figure, height: int = 320, **changes: Any) -> go.Figure:
    """`figure` with the look that every chart shares; the background comes from the theme."""
    ink = INK.get(st.context.theme.type or "")
    figure.update_layout(
        height=height,
        margin=dict(l=8, r=8, t=8, b=8),
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        colorway=list(SERIES),
        legend=dict(orientation="h", yanchor="bottom", y=1.02, x=0, title_text=""),
        hovermode="closest",
        separators=". ",
        font=dict(size=TYPE, color=ink),
        legend_font=dict(size=TYPE, color=ink),
        hoverlabel_font_size=TYPE,
    )
    letters = dict(size=TYPE, color=ink)
    axis = dict(automargin=True, zeroline=False, tickfont=letters, title_font=letters)
    figure.update_xaxes(**axis)
    figure.update_yaxes(**axis)
    return figure.update_layout(**changes)
