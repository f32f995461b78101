"""Grad-CAM: where in an image the network looks."""

import hashlib

import streamlit as st
from components import gallery, probabilities
from components.image_picker import Subject, choose_subject
from components.messages import missing, percent
from components.pickers import choose, choose_class, choose_run
from components.work import result_of

from tinymodel.evaluation import weights_version
from tinymodel.explain import render
from tinymodel.explain.gradcam import LAST_BLOCK, METHODS, Explanation, explain_run
from tinymodel.network import block_title
from tinymodel.runs import ACTIVE, Run

SIDE = 640  # pixels of each of the three pictures: ten times 64
LAYERS = ["first", *(f"stage{n}.{b}" for n in (1, 2, 3) for b in ("bottleneck", "residual1", "residual2"))]  # fmt: skip


def main() -> None:
    st.title("Grad-CAM")
    st.caption("Where does the network look? Bright places in the heat map spoke for the class.")
    notes = st.container()
    controls = st.container(horizontal=True, vertical_alignment="bottom", key="subject")
    with controls:
        run = choose_run(
            "No network yet",
            "Here you will see which part of a picture made a network say what it says. "
            "First a network must learn something.",
            notes=notes,
            on_change=lambda: forget("image", "target"),
        )
    if not run.has_weights:
        missing(
            "Nothing learned yet",
            f"The run '{run.name}' has no weights yet: they are saved at the end of its first epoch. "
            "Then you can see through its eyes here.",
            page="views/train.py",
            label="See how far it is",
        )
    subject = choose_subject(run, controls, notes)
    if subject is None:
        st.stop()
    verdict, pictures = st.container(), st.container()
    settings, answers = st.columns([1, 1], gap="large")
    with settings:
        choices, opacity, smooth = choose_view(run)
    with pictures:
        result = explain_subject(run, subject, choices)
    with verdict:
        show_verdict(run, subject, result)
    with pictures:
        show_pictures(run, subject, result, opacity, smooth)
    with answers:
        st.subheader("How sure it is (confidence)", anchor=False)
        probabilities.bars(result.top(), run.classes, subject.true, key="top")
        download(run, subject, result, opacity, smooth)
    how_it_works()


# How to look


def choose_view(run: Run) -> tuple[dict, float, bool]:
    """What to explain, opacity in [0, 1], and whether to smooth."""
    st.subheader("How to look", anchor=False)
    left, right = st.columns(2)
    with left:
        layer = choose(
            "Block of the network (layer)",
            {name: block_title(name) for name in LAYERS},
            name="layer",
            default=LAST_BLOCK,
            help="Late blocks see whole things on a coarse grid, early ones see edges and colours on a fine grid.",
        )
    with right:
        method = choose(
            "Method",
            {name: method.title for name, method in METHODS.items()},
            name="method",
            help="\n\n".join(f"**{method.title}**: {method.help}" for method in METHODS.values()),
        )
    with left:
        target = choose_class(
            "Look for (target class)",
            run.classes,
            name="target",
            anything="Its own answer",
            help="What speaks for this class? By default the one that the network says.",
        )
    with right:
        smooth = st.toggle(
            "Smooth pictures",
            key="smooth",
            bind="query-params",
            help="Off shows every pixel and every cell of the heat map as they are.",
        )
    opacity = st.slider(
        "Strength of the heat map over the image (opacity)",
        0, 100, 45,
        format="%d %%",
        key="opacity",
        bind="query-params",
    )  # fmt: skip
    return dict(layer=layer, method=method, target=target), opacity / 100, smooth


def explain_subject(run: Run, subject: Subject, choices: dict) -> Explanation:
    digest = hashlib.sha256(subject.pixels.tobytes()).hexdigest()
    return result_of(
        ("gradcam", str(run.folder), weights_version(run), digest, *choices.values()),
        lambda report: explain_run(run, subject.pixels, **choices),
        label="Asking the network where it looked",
        quick=True,
    )


# What comes out


def show_verdict(run: Run, subject: Subject, result: Explanation) -> None:
    says = f"**{run.classes[result.prediction].name}**, {percent(result.probabilities.max())}"
    if subject.true_name is None:
        st.markdown(f"##### The network says: {says}")
    elif result.prediction == subject.true:
        st.markdown(
            f"##### :green[:material/check_circle:] true: **{subject.true_name}** / says: {says}"
        )
    else:
        st.markdown(f"##### :red[:material/cancel:] true: **{subject.true_name}** / says: {says}")
        if subject.true is None:
            st.caption("This class is not among those that the network learned.")
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
    if not METHODS[result.method].uses_target:
        target = "every class alike"
    first, second, third = st.columns(3)
    with first:
        gallery.picture(subject.pixels, side=None, smooth=smooth, caption="What the network sees")
    heat = render.heat_map(result.heat, side=SIDE, smooth=smooth)
    cells = f"{result.heat.shape[1]}×{result.heat.shape[0]} cells"
    with second:
        gallery.picture(heat, side=None, caption=f"Heat map for {target}: {cells}")
    with third:
        mixed = render.overlay(
            subject.pixels, result.heat, opacity=opacity, side=SIDE, smooth=smooth
        )
        gallery.picture(mixed, side=None, caption="Both together")
    if result.blank:
        st.info(
            f"The heat map is empty: at this block nothing in the picture speaks for {target} (no positive evidence). "
            "Try another block or class.",
            icon=":material/visibility_off:",
        )


def download(run: Run, subject: Subject, result: Explanation, opacity: float, smooth: bool) -> None:
    says = f"{run.classes[result.prediction].name}, {percent(result.probabilities.max())}"
    title = f"true: {subject.true_name} / says: {says}" if subject.true_name else f"says: {says}"
    layer, method = block_title(result.layer), METHODS[result.method].title
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


def forget(*names: str) -> None:
    for name in names:
        st.query_params.pop(name, None)


main()
