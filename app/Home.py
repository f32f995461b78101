"""The launcher: `streamlit run app/Home.py`."""

import streamlit as st

app = st.App("frame.py")
