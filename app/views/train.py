"""Train: choose, start, watch."""

import streamlit as st
from components import live

from tinymodel.runs import list_runs

st.title("Train")
runs = list_runs()
st.button("again")
if runs:
    live.progress(runs[0])
    live.curves(runs[0])
    live.epoch_table(runs[0])
