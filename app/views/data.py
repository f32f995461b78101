"""Data: get a dataset, and look at what the network will learn from."""

import numpy as np
import plotly.graph_objects as go
import streamlit as st
from components import gallery, palette, preparing
from components.messages import show_error, user_errors
from components.pickers import choose
from PIL import Image, ImageDraw

from tinymodel.config import PRESETS
from tinymodel.data import PreparedDataset, list_datasets, open_dataset, remove_dataset
from tinymodel.errors import UserError

SPLITS = {"train": "For training", "val": "For validation (never trained on)"}
PAGE = 24  # pictures


def main() -> None:
    st.title("Data", anchor=False)
    st.markdown("The pictures the network learns from, and those it is judged by.")
    preparing.follow()
    names = list_datasets()
    if not names:
        st.subheader("No pictures yet", anchor=False)
        st.markdown("Make the sample with one click, or bring photographs.")
        preparing.offer()
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = choose("Dataset", {name: name for name in names}, name="dataset")
        with st.popover("Get another", icon=":material/add:"):
            preparing.offer()
        with st.popover("Remove", icon=":material/delete:"):
            offer_removal(name)
    try:
        dataset = open_dataset(name)
    except UserError as error:
        show_error(error)
        return
    facts(dataset)
    classes = {item.wnid: item.name for item in dataset.classes}
    wnid = choose("Class", classes, name="class")
    show_class(dataset, list(classes).index(wnid))
    st.subheader("How many of each class", anchor=False)
    counts(dataset)
    left_out(dataset)


def offer_removal(name: str) -> None:
    st.markdown(
        f"Remove the prepared dataset **{name}** from this computer? Where it came from is not touched, and runs trained "
        "on it keep their weights and results."
    )
    if st.button(f"Remove {name}", type="primary", icon=":material/delete:"):
        with user_errors():
            remove_dataset(name)
            st.query_params.pop("dataset", None)
            st.query_params.pop("class", None)
            st.rerun()


def facts(dataset: PreparedDataset) -> None:
    number = dataset.info["counts"]
    columns = st.columns(4)
    columns[0].metric("Classes", len(dataset.classes))
    columns[1].metric("Training images", f"{number['train']:,}")
    columns[2].metric("Validation images", f"{number['val']:,}")
    boxes = dataset.samples["x0"].notna().mean()
    columns[3].metric(
        "With a box", f"{boxes:.0%}", help="A box says where in the image the object is."
    )
    notes = dataset.info.get("notes", {})
    if "shortcut" in notes:
        pairs = " and ".join(" with ".join(pair) for pair in notes.get("look_alikes", []))
        st.info(
            f"**A trap, on purpose: {notes['shortcut_class']}.** {notes['shortcut']} "
            f"And easily confused: {pairs}.",
            icon=":material/psychology_alt:",
        )


def show_class(dataset: PreparedDataset, label: int) -> None:
    item = dataset.classes[label]
    if item.description and item.description != item.name:
        st.caption(f"{item.description} · id {item.wnid}")
    split = choose("Images", SPLITS, name="split", as_row=True)
    rows = dataset.indices(split, label)
    if not len(rows):
        st.info("There are none of this class here.", icon=":material/image_not_supported:")
        return
    pages = -(-len(rows) // PAGE)
    page = st.pagination(pages, key=f"page-{label}-{split}") if pages > 1 else 1
    shown = rows[(page - 1) * PAGE : page * PAGE]
    chosen = _wanted(shown)
    clicked = gallery.grid(
        [dataset.images[row] for row in shown],
        key="class-gallery",
        side=96,
        hints=[f"{item.name}, picture {row}" for row in shown],
        clickable=True,
        selected=int(np.flatnonzero(shown == chosen)[0]) if chosen in shown else None,
    )
    if clicked is not None:
        st.query_params["image"] = str(shown[clicked])
        st.rerun()
    show_image(dataset, chosen)


def _wanted(shown: np.ndarray) -> int:
    """The image in the address if it is among those shown, else the first."""
    text = st.query_params.get("image", "")
    row = int(text) if text.isdecimal() and len(text) < 10 else -1
    return row if row in shown else int(shown[0])


def show_image(dataset: PreparedDataset, row: int) -> None:
    st.subheader("One picture, and what the network gets to see of it", anchor=False)
    original, changed = st.columns([1, 2], gap="large")
    sample = dataset.samples.iloc[row]
    boxed = sample[["x0", "y0", "x1", "y1"]].notna().all()
    with original:
        image = dataset.images[row]
        side = 256
        picture = Image.fromarray(image).resize((side * 2, side * 2), Image.Resampling.NEAREST)
        if boxed:
            scale = 2 * side / 64
            x0, y0, x1, y1 = (int(sample[key]) for key in ("x0", "y0", "x1", "y1"))
            corners = (x0 * scale, y0 * scale, (x1 + 1) * scale - 1, (y1 + 1) * scale - 1)
            ImageDraw.Draw(picture).rectangle(corners, outline=palette.BOX, width=6)
        caption = f"{sample['source']}" + (", with its box" if boxed else "; it has no box")
        st.image(picture, caption=caption, width=side, output_format="PNG")
    with changed:
        preset = choose(
            "Changes by chance (augmentation) of the preset",
            {key: preset.title for key, preset in PRESETS.items()},
            name="preset",
            as_row=True,
        )
        draw = st.session_state.setdefault("draws", 0)
        gallery.grid(
            draws(dataset.name, dataset.fingerprint, row, preset, draw),
            key="draws-gallery",
            side=128,
            hints=[f"Draw {number}" for number in range(1, 9)],
        )
        st.caption(
            "In every epoch each picture comes moved, mirrored or otherwise changed, so that the network learns the "
            "thing and not the pixels."
        )
        if st.button("Draw again", icon=":material/casino:"):
            st.session_state["draws"] += 1
            st.rerun()


@st.cache_data(max_entries=200, show_spinner=False)
def draws(name: str, fingerprint: str, row: int, preset: str, draw: int) -> list[np.ndarray]:
    """Eight draws of one image, uint8 (64, 64, 3) each."""
    from tinymodel.data.batches import examples

    return examples(open_dataset(name).images[row], preset, count=8, seed=draw)


def counts(dataset: PreparedDataset) -> None:
    table = dataset.samples.groupby(["split", "label"]).size().unstack("split", fill_value=0)
    table = table.reindex(range(len(dataset.classes)), fill_value=0)
    names = [item.name for item in dataset.classes]
    figure = go.Figure()
    for split, title, colour in (
        ("train", "training", palette.TRAIN),
        ("val", "validation", palette.VALIDATION),
    ):
        if split in table:
            figure.add_bar(x=names, y=table[split], name=title, marker_color=colour)
    palette.layout(figure, barmode="stack", yaxis_title="images")
    st.plotly_chart(figure, width="stretch", config=palette.CHART_CONFIG, key="counts")
    mean, std = (
        ", ".join(
            f"{colour} {value:.3f}"
            for colour, value in zip(("red", "green", "blue"), values, strict=True)
        )
        for values in (dataset.mean, dataset.std)
    )
    st.caption(
        f"Colours of the training images, from 0 (dark) to 1 (bright): mean {mean}; spread (standard deviation) {std}. "
        "Images are centred and scaled with these before the network sees them (normalisation)."
    )


def left_out(dataset: PreparedDataset) -> None:
    if not dataset.left_out:
        return
    with st.expander(
        f"{len(dataset.left_out)} images were left out", icon=":material/broken_image:"
    ):
        st.dataframe(dataset.left_out, width="stretch")


main()
