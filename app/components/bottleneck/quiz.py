"""A prediction before the answer: which layer keeps a class together best?"""

import plotly.graph_objects as go
import streamlit as st

from components import palette
from components.messages import percent, plain
from components.pickers import choose, forget
from components.work import result_of
from tinymodel.evaluation import weights_version
from tinymodel.representation.features import Study, layer_title
from tinymodel.representation.projection import own_kind_share


def show(study: Study, labels: list[int]) -> None:
    """Ask, and once somebody has answered show the answer beside the guess, for as long as the address has it."""
    if len(labels) < 2:
        return
    st.subheader("First guess, then look", anchor=False)
    names = {study.classes[label].wnid: study.classes[label].name for label in labels}
    left, right = st.columns([1, 2], gap="large")
    with left:
        about = choose(
            "Which layer separates this class best?",
            names,
            name="about",
            help="A layer separates a class if the pictures most like one of its pictures are of the same class.",
            on_change=lambda: forget("guess"),
        )
        guess = ask(study, name="guess", label="Your guess")
    label = next(label for label in labels if study.classes[label].wnid == about)
    with right:
        if guess is None:
            st.info(
                plain(f"The answer for {names[about]} appears here once you have guessed."),
                icon=":material/help:",
            )
            return
        among = study.of_classes(labels)
        shares = result_of(
            ("shares", str(study.run.folder), weights_version(study.run), about, tuple(labels)),
            lambda report: [own_kind_share(study, layer, label, among) for layer in study.layers],
            label="Looking for the nearest neighbours in every layer",
            quick=True,
        )
        draw(study, names[about], shares, guess)


def ask(study: Study, *, name: str, label: str) -> int | None:
    """The layer that somebody has guessed, which is in the address, or None before."""
    layers = study.layers
    given = st.query_params.get(name, "")
    given = (
        int(given) if given.isdecimal() and len(given) < 4 and int(given) < len(layers) else None
    )
    choice = st.select_slider(
        label,
        list(range(len(layers))),
        value=len(layers) // 2 if given is None else given,
        format_func=lambda k: f"{k} · {layer_title(layers[k])}",
        key=f"{name}-choice-{given}",
    )
    if st.button(
        "This is my guess: show the answer" if given is None else "Guess again",
        key=f"{name}-button",
        type="primary" if given is None else "secondary",
    ):
        if given is None:
            st.query_params[name] = str(choice)
        else:
            forget(name)
        st.rerun()
    return given


def draw(study: Study, name: str, shares: list[float], guess: int) -> None:
    best = max(range(len(shares)), key=shares.__getitem__)
    verdict = (
        "**Right!** " if guess == best else f"You said layer {guess} ({percent(shares[guess])}). "
    )
    st.markdown(
        verdict
        + plain(
            f"Layer {best}, {layer_title(study.layers[best]).lower()}, separates {name} best: of the ten pictures most "
            f"like one of its pictures {percent(shares[best])} are of the same class. In raw pixels it is "
            f"{percent(shares[0])}."
        )
    )
    figure = go.Figure(
        go.Bar(
            x=list(range(len(shares))),
            y=[100 * share for share in shares],
            marker_color=[
                palette.CORRECT if k == best else palette.ORANGE if k == guess else palette.NEUTRAL
                for k in range(len(shares))
            ],
            customdata=[layer_title(layer) for layer in study.layers],
            hovertemplate="%{customdata}: %{y:.1f} %<extra></extra>",
        )
    )
    figure.add_annotation(x=guess, y=100 * shares[guess], text="you", yshift=14, showarrow=False)
    if best != guess:
        figure.add_annotation(x=best, y=100 * shares[best], text="best", yshift=14, showarrow=False)
    palette.layout(figure, height=260, dragmode=False)
    figure.update_xaxes(title="layer k (0: raw pixels)", dtick=1, fixedrange=True)
    figure.update_yaxes(
        title="same class, %", range=[0, 112], tickvals=[0, 25, 50, 75, 100], fixedrange=True
    )
    st.plotly_chart(
        figure,
        key="quiz",
        config=palette.CHART_CONFIG,
        alt="Neighbours of the same class, by layer: "
        + "; ".join(f"{k}: {percent(share)}" for k, share in enumerate(shares)),
    )
