"""One picture: what the network sees, its heat map, and both together."""

import streamlit as st

from components import gallery, probabilities
from components.heat import choices, sanity_check
from components.heat.asking import Question, ask
from components.image_picker import Subject
from components.messages import percent, plain
from tinymodel.evaluation import weights_version
from tinymodel.explain import render
from tinymodel.explain.gradcam import ALL_METHODS, Explanation
from tinymodel.network import block_title
from tinymodel.runs import ACTIVE, Run

SIDE = 640  # pixels of each of the three pictures: ten times 64


def show(run: Run, subject: Subject) -> None:
    verdict, pictures = st.container(), st.container()
    settings, answers = st.columns([1, 1], gap="large")
    with settings:
        st.subheader("How to look", anchor=False)
        left, right = st.columns(2)
        with left:
            layer = choices.choose_layer(run)
        with right:
            method = choices.choose_method(slow=True)
        with left:
            target = choices.choose_target(run)
        with right:
            smooth = choices.smoothly()
        opacity = choices.opacity()
    with pictures:
        ((result,),) = ask(run, [Question(subject, (layer,), method, target)])
    with verdict:
        show_verdict(run, subject, result)
    with pictures:
        show_pictures(run, subject, result, opacity, smooth)
    with answers:
        st.subheader("How sure it is (confidence)", anchor=False)
        probabilities.bars(result.top(), run.classes, subject.true, key="top")
        download(run, subject, result, opacity, smooth)
    sanity_check.show(run, subject, result)
    how_it_works()


def show_verdict(run: Run, subject: Subject, result: Explanation) -> None:
    says = plain(run.classes[result.prediction].name)
    text = f"says: **{says}, {percent(result.probabilities.max())}**"
    if subject.true_name is None:
        st.markdown(f"The network {text}")
    else:
        right = result.prediction == subject.true
        icon = ":material/check_circle: " if right else ":material/cancel: "
        st.markdown(f"{icon} true: **{plain(subject.true_name)}** / {text}")
    if run.status in ACTIVE:
        total = run.config.epochs
        st.caption(f"Training goes on; this is the network after epoch {result.epoch} of {total}.")
        look_again(run, weights_version(run))


@st.fragment(run_every=3)
def look_again(run: Run, version: int) -> None:
    """Draw the page anew when training has saved better weights: one sees attention move."""
    if weights_version(run) != version:
        st.rerun()


def show_pictures(
    run: Run, subject: Subject, result: Explanation, opacity: float, smooth: bool
) -> None:
    target = run.classes[result.target].name
    if not ALL_METHODS[result.method].uses_target:
        target = "every class alike"
    first, second, third = st.columns(3)
    with first:
        gallery.picture(subject.pixels, side=None, smooth=smooth, caption="What the network sees")
    heat = render.heat_map(result.heat, side=SIDE, smooth=smooth)
    cells = f"{result.heat.shape[1]}×{result.heat.shape[0]} cells"
    with second:
        gallery.picture(heat, side=None, smooth=smooth, caption=f"Heat map for {target}: {cells}")
    with third:
        if subject.photo is None:
            mixed = render.overlay(
                subject.pixels, result.heat, opacity=opacity, side=SIDE, smooth=smooth
            )
            gallery.picture(mixed, side=None, smooth=smooth, caption="Both together")
        else:
            mixed = subject.photo.overlay(subject.crop, result.heat, opacity=opacity, smooth=smooth)
            gallery.picture(
                mixed, side=None, smooth=True, caption="Both together, as sharp as your picture is"
            )
    if result.blank:
        st.info(
            f"The heat map is empty: at this block nothing in the picture speaks for {plain(target)} (no positive "
            "evidence). Try another block or class.",
            icon=":material/visibility_off:",
        )


def download(run: Run, subject: Subject, result: Explanation, opacity: float, smooth: bool) -> None:
    says = f"{run.classes[result.prediction].name}, {percent(result.probabilities.max())}"
    title = f"true: {subject.true_name} / says: {says}" if subject.true_name else f"says: {says}"
    layer, method = block_title(result.layer), ALL_METHODS[result.method].title
    about = f"{method} for {run.classes[result.target].name} · {layer} · {run.name}, epoch {result.epoch}"
    st.download_button(
        "Download the three pictures (PNG)",
        lambda: render.triptych(
            subject.pixels, result.heat, [title, about], opacity=opacity, smooth=smooth
        ),
        file_name=f"{run.name}-{subject.name}-{result.method}-{result.layer}.png",
        mime="image/png",
        icon=":material/download:",
        on_click="ignore",
    )


def how_it_works() -> None:
    with st.expander("How Grad-CAM works", icon=":material/function:"):
        st.markdown(
            "Each block of the network turns the picture into many **feature maps** $A^k$: small pictures that show "
            "where it found something. Grad-CAM asks how much the score $y^c$ of class $c$ would rise if a map were "
            "stronger, on average over its cells, and adds the maps with that weight:"
        )
        st.latex(
            r"\alpha_k^c = \frac{1}{Z}\sum_{i,j}\frac{\partial y^c}{\partial A_{ij}^k}"
            r"\qquad L^c = \mathrm{ReLU}\Bigl(\sum_k \alpha_k^c A^k\Bigr)"
        )
        st.markdown(
            "The heat map is scaled to its own brightest cell: compare places within one picture, not the brightness "
            "of two pictures. (Selvaraju et al., *Grad-CAM*, ICCV 2017, equations 1 and 2.)"
        )
