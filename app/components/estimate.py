"""How long a training will take on this machine, said before it begins."""

import streamlit as st

from components import presenter, role
from components.config_form import set_value
from components.messages import about, plain, show_job
from tinymodel import jobs
from tinymodel.config import PRESETS, TrainConfig
from tinymodel.data import open_dataset

UNREASONABLE = 3600  # seconds: a run longer than this gets a warning and an offer


def show(config: TrainConfig, may_measure: bool) -> None:
    """The estimate, or its measuring while it goes on; and if it is long, what is shorter.

    Raises:
        UserError: The dataset, its classes or the device are not there.
    """
    from tinymodel.training import measure  # torch: only where it is needed

    known = measure.estimate_cached(config)
    job = jobs.find(("estimate", config))
    if known is None and not may_measure:
        st.caption("It can be measured when nothing else trains.")
        return
    if known is None and job is None and not role.is_presenter():
        st.caption("It is measured when the presenter chooses these settings.")
        return
    if known is None and job is None:
        job = measure_speed(config)
    if known is None or (job and job.active):
        show_job(job)
        return
    st.metric("How long it will take", about(known.seconds), label_visibility="collapsed")
    source = plain(f"As in the run {known.run!r}") if known.run else "Measured here"
    st.caption(
        f"{source}: {known.images_per_second:,.0f} images per second, "
        f"{known.precision} {known.memory_format} on {known.device.upper()}."
    )
    if may_measure:
        presenter.button(
            "Measure again",
            to="measure how fast this machine is",
            type="tertiary",
            icon=":material/refresh:",
            help="If the machine was busy with something else when it was measured.",
            on_click=measure_speed,
            args=(config,),
        )
    if known.seconds > UNREASONABLE:
        offer_less(config, known.seconds)


def measure_speed(config: TrainConfig) -> jobs.Job:
    from tinymodel.training import measure

    subset = open_dataset(config.dataset).subset(
        config.classes, config.hold_out_classes, config.per_class
    )
    classes = len(subset.classes)
    jobs.forget(("estimate", config))
    return jobs.submit(
        ("estimate", config),
        lambda report: measure.measure(config, classes, report),
        label="Measuring how fast this machine trains it",
    )


def offer_less(config: TrainConfig, seconds: float) -> None:
    st.warning("That is long. What fits into an hour here:", icon=":material/schedule:")
    epochs = int(UNREASONABLE / (seconds / config.epochs))
    if epochs >= 3:
        st.button(
            f"{epochs} epochs instead of {config.epochs}",
            on_click=set_value,
            args=(config.preset, "epochs", epochs),
            width="stretch",
        )
    if config.preset != "classroom":
        title = PRESETS["classroom"].title
        st.button(
            f"The {title.lower()} preset",
            on_click=lambda: st.session_state.update(preset="classroom"),
            width="stretch",
        )
    else:
        st.caption("Fewer classes, fewer images per class or a smaller width help most.")
