"""Train: choose, start, watch."""

import streamlit as st

st.title("Train")
