"""Home: what this is, how things stand, and the one next step."""

import streamlit as st

st.title("Teach a network to see")
