"""Widen or narrow it: the same measurement on two runs, side by side, and a way to make the second one."""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from components.bottleneck.measure import HELP, PROBES, draw_ladder, ladder_of
from components.config_form import set_value
from components.messages import percent, plain
from components.pickers import choose
from tinymodel.config import PRESETS, TrainConfig, from_preset
from tinymodel.data import list_datasets, open_dataset
from tinymodel.network import BLOCKS
from tinymodel.representation.features import PIXELS
from tinymodel.runs import Run, list_runs


def show(run: Run, notes: DeltaGenerator) -> None:
    st.markdown(
        "Does a wider network know more, or only take longer? Do the skip connections matter? Change **one** thing, train "
        "again on the same pictures, and put the two ladders side by side."
    )
    make_another(run)
    others = {
        other.name: other.name
        for other in list_runs()
        if other.name != run.name
        and other.has_weights
        and other.info().get("held_out") == run.info().get("held_out")
    }
    if not others:
        st.info(
            "There is no second run with the same classes kept for later yet: make one with the buttons above, then come "
            "back.",
            icon=":material/info:",
        )
        return
    other = Run.open(choose("Beside it", others, name="beside", notes=notes))
    ladders = {}
    for column, each in zip(st.columns(2, gap="large"), (run, other), strict=True):
        with column, st.container(border=True):
            facts(each)
            ladder = ladder_of(each)
            if ladder is not None:
                ladders[each.name] = ladder
    if len(ladders) < 2:
        st.caption("The ladders appear here once both are measured.")
        return
    probe = choose("Probe", PROBES, name="probe", as_row=True, help=HELP)
    draw_ladder(ladders, (PIXELS, *BLOCKS), probe, None, key="two-ladders")
    st.caption(
        "Where the bands overlap, the difference may be chance: train each once more with another seed."
    )


def facts(run: Run) -> None:
    info = run.info()
    model = dict(skip=True, norm="batch") | info["model"]
    st.markdown(f"**{plain(run.name)}**")
    st.caption(
        f"width {model['width']} · {'with' if model['skip'] else 'without'} skips · {model['norm']} norm · "
        f"{info.get('parameters', 0):,} parameters · {run.config.epochs} epochs · validation {percent(run.best_accuracy)}"
    )


def make_another(run: Run) -> None:
    config = run.config
    if config.preset not in PRESETS:
        st.caption(
            "This run is a stacked one; choose the run that it stands on to make another of its kind."
        )
        return
    if config.dataset not in list_datasets() or isinstance(
        config.classes or config.hold_out_classes, tuple
    ):
        st.caption(
            "The form of the Train page cannot make another of its kind: its dataset is not here, or its classes were "
            "chosen by name. The command line can: `python -m tinymodel train`."
        )
        return
    changes = {
        f"Half as wide ({max(1, config.width // 2)})": dict(width=max(1, config.width // 2)),
        f"Twice as wide ({min(256, 2 * config.width)})": dict(width=min(256, 2 * config.width)),
        "With skips" if not config.skip else "Without skips": dict(skip=not config.skip),
    }
    with st.container(horizontal=True):
        for label, change in changes.items():
            st.button(
                label,
                icon=":material/model_training:",
                help="Opens the Train page with everything else as in this run.",
                on_click=fill_in,
                args=(config, change),
            )
    if st.session_state.pop("go-to-train", False):
        st.switch_page(
            "views/train.py",
            query_params=dict(
                run="new", preset=PRESETS[config.preset].title, dataset=config.dataset
            ),  # the title: a bound choice is in the address as it is shown
        )


def fill_in(config: TrainConfig, change: dict) -> None:
    """Put this configuration, changed, into the form of the Train page."""
    wanted = config.replace(**change).to_json()
    dataset = open_dataset(config.dataset)
    classes = config.classes or len(dataset.classes)
    largest = max(len(dataset.indices("train", label)) for label in range(len(dataset.classes)))
    usual = from_preset(config.preset, dataset=config.dataset).to_json()
    for name, value in wanted.items():
        if name in ("preset", "dataset", "classes", "per_class", "hold_out_classes"):
            continue
        if value == usual[name]:
            st.session_state.pop(
                f"{config.preset}-{name}", None
            )  # what somebody tried there before
        else:
            set_value(config.preset, name, value)
    set_value(config.preset, f"{config.dataset}-classes", classes)
    set_value(config.preset, f"{config.dataset}-per-class", config.per_class or largest)
    set_value(config.preset, f"{config.dataset}-{classes}-held", config.hold_out_classes)
    st.session_state["go-to-train"] = True
