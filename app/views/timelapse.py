"""Time-lapse: the same pictures after every epoch, with the heat map, the answer and the mark on the curves together."""

import numpy as np
import pandas as pd
import streamlit as st
from components import epoch_charts, gallery, no_pictures, presenter, role
from components.messages import missing, percent, show_error, user_errors
from components.pickers import choose_class, choose_run, forget

from tinymodel.data import PreparedDataset
from tinymodel.errors import UserError
from tinymodel.evaluation import run_dataset
from tinymodel.explain import render
from tinymodel.explain.timelapse import (
    MOST,
    Moment,
    read_moments,
    read_next_pins,
    read_pins,
    write_next_pins,
    write_pins,
)
from tinymodel.runs import ACTIVE, Run

SIDE = 128  # CSS pixels of a picture
OFFERED = 24  # pictures of a class to choose from
Moments = dict[int, dict[int, Moment]]


def main() -> None:
    st.title("Time-lapse")
    st.caption("Watch the network learn to look: the same few pictures, after every epoch.")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        run = choose_run(
            "No run yet",
            "Here you will see the heat maps of a few pictures form, epoch by epoch, while a network learns. "
            "They are recorded by themselves in every training.",
            on_change=lambda: forget("epoch"),
        )
    try:
        dataset = run_dataset(run)
    except UserError as error:
        no_pictures.show(
            run, error, "Here the same pictures are shown after every epoch, with their heat maps."
        )
        st.stop()
    try:
        moments = read_moments(run)
        epochs = run.epochs()
    except UserError as error:
        show_error(error)
        st.stop()
    active = run.status in ACTIVE
    if moments:
        epoch = choose_epoch(run, len(epochs))
        pictures, curves = st.columns([3, 2], gap="large")
        with pictures:
            show_pictures(run, dataset, moments, epoch)
        with curves:
            show_curves(run, dataset, moments, epochs, epoch)
    elif active:
        st.info(
            "The first pictures appear here after the first epoch.", icon=":material/hourglass_top:"
        )
    else:
        missing(
            "Nothing was recorded",
            f"The run '{run.name}' was not watched while it trained. Every new training is: its pictures can be "
            "looked at here from the first epoch on.",
            page="views/train.py",
            label="Train a network",
        )
    if active:
        wait_for_more(run, len(epochs))
    choose_pins(run, dataset)


def choose_epoch(run: Run, finished: int) -> int:
    """The epoch to look at, which is in the address. It stays where it is when new epochs come."""
    total, key = run.config.epochs, f"epoch-{run.name}"
    wanted = st.query_params.get("epoch", "")
    known = wanted.isdecimal() and 1 <= int(wanted[:6]) <= total
    st.session_state[key] = int(wanted) if known else max(1, finished)
    st.query_params["epoch"] = str(st.session_state[key])
    if total == 1:
        return 1

    def keep() -> None:
        st.query_params["epoch"] = str(st.session_state[key])

    chosen = st.slider(
        "After epoch",
        1,
        total,
        key=key,
        on_change=keep,
        help="Drag it, or press the arrow keys: pictures, answers and curves move together.",
    )
    if chosen > finished:
        st.caption(f"Epoch {chosen} is still to come: this is the network after epoch {finished}.")
    elif finished < total:
        st.caption(f"{finished} of {total} epochs are recorded so far.")
    return min(chosen, max(1, finished))


def show_pictures(run: Run, dataset: PreparedDataset, moments: Moments, epoch: int) -> None:
    same = st.toggle(
        "Brightness comparable between epochs",
        key="comparable",
        bind="query-params",
        help="On: the brightest place of all epochs sets the scale, so that weak evidence looks weak. "
        "Off: every heat map uses the whole scale.",
    )
    images, captions, beside = [], [], []
    for index, recorded in moments.items():
        image = dataset.images[index]
        name = true_name(dataset, index)
        images.append(image)
        if epoch not in recorded:
            first = min(recorded)
            captions.append(f"true: {name}\n{late(first) if epoch < first else 'not recorded'}")
            beside.append([(np.full((SIDE, SIDE, 3), 127, np.uint8), "")])
            continue
        moment = recorded[epoch]
        says, share = run.classes[moment.top[0][0]].name, moment.top[0][1]
        mark = "✓" if says == name else "✗"
        captions.append(f"true: {name}\n{mark} says: {says}, {percent(share)}")
        top = max(float(one.heat.max()) for one in recorded.values()) if same else None
        mixed = render.overlay(image, moment.heat, opacity=0.5, side=2 * SIDE, smooth=True, top=top)
        about = f"sure of {name}: {percent(moment.true_probability)}"
        if not moment.heat.max() > 0:
            about += "\nno place speaks for it"
        beside.append([(mixed, about)])
    gallery.grid(images, captions, key="moments", side=SIDE, beside=beside)


def late(first: int) -> str:
    return f"pinned later: recorded from epoch {first} on"


def show_curves(
    run: Run, dataset: PreparedDataset, moments: Moments, epochs: pd.DataFrame, epoch: int
) -> None:
    total = run.config.epochs
    names = [true_name(dataset, index) for index in moments]
    names = [f"{name} ({n})" if names.count(name) > 1 else name for n, name in enumerate(names, 1)]
    st.markdown("**All validation pictures:** right answers (accuracy)")
    epoch_charts.accuracy(epochs, epoch, total, key="accuracy")
    st.markdown("**These pictures:** how sure of the true class")
    epoch_charts.true_probabilities(
        list(moments.values()), names, epoch, total, key="probabilities"
    )


@st.fragment(run_every=3)
def wait_for_more(run: Run, finished: int) -> None:
    """Draw the page anew when an epoch has ended; the chosen epoch stays."""
    with user_errors():
        if len(run.epochs()) != finished or run.status not in ACTIVE:
            st.rerun()


# Which pictures are watched


def choose_pins(run: Run, dataset: PreparedDataset) -> None:
    """The pins of a run that goes on; of a finished one those of the next run on the same dataset."""
    if run.status == "finished":
        read, write = read_next_pins, write_next_pins
        title = "Pictures to watch in the next training on these pictures"
        about = "Click a picture to pin it or take it off. Without a choice, one picture each of several classes."
    else:
        read, write = read_pins, write_pins
        title = "Pictures that are watched"
        about = "A picture that is pinned now is recorded from the next epoch on. Click one to pin it or take it off."
    pins = read(run)

    def keep(chosen: list[int]) -> None:
        if not role.is_presenter():
            presenter.say_no("choose the pictures to watch")
            return
        try:
            write(run, chosen)
        except (UserError, OSError) as error:
            show_error(error if isinstance(error, UserError) else "The pins could not be saved.")
            return
        st.rerun()

    with st.expander(f"{title}: {len(pins)} of {MOST}", icon=":material/keep:", key="pins"):
        st.caption(about)
        if pins:
            taken = pictures_to_click(
                dataset, pins, f"pinned-{run.name}-{len(pins)}", "\nclick: take it off"
            )
            if taken is not None:
                keep([index for index in pins if index != taken])
        if rows := offered(run, dataset, pins):
            added = pictures_to_click(dataset, rows, f"offered-{run.name}-{len(pins)}")
            if added is not None:
                keep([*pins, added])


def pictures_to_click(
    dataset: PreparedDataset, rows: list[int], key: str, note: str = ""
) -> int | None:
    """A grid of these images; the row of the one that was clicked."""
    clicked = gallery.grid(
        [dataset.images[row] for row in rows],
        [true_name(dataset, row) + note for row in rows],
        key=key,
        side=96,
        clickable=True,
    )
    return None if clicked is None else rows[clicked]


def offered(run: Run, dataset: PreparedDataset, pins: list[int]) -> list[int]:
    """Validation images to choose from: of one class, or some of all."""
    label = choose_class("Pin more of", run.classes, name="pin", anything="All classes")
    rows = run.val_indices
    if label is not None:
        of_class = dataset.find_class(run.classes[label].wnid)
        rows = rows[dataset.samples["label"].to_numpy()[rows] == of_class]
    else:
        rows = rows[:: max(1, len(rows) // OFFERED)]
    return [int(row) for row in rows if row not in set(pins)][:OFFERED]


def true_name(dataset: PreparedDataset, index: int) -> str:
    return dataset.classes[int(dataset.samples["label"].iloc[index])].name


main()
