"""Data: get pictures, and look at what the network will learn from."""

import numpy as np
import streamlit as st
from components import class_counts, gallery, one_picture, preparing, presenter
from components.messages import percent, show_error
from components.pickers import choose, choose_class, choose_page, forget

from tinymodel.data import PreparedDataset, list_datasets, open_dataset, remove_dataset
from tinymodel.errors import UserError

SPLITS = {"train": "For training", "val": "For validation (never learned from)"}
PER_PAGE = 27


def main() -> None:
    st.title("Data")
    st.caption("The pictures the network learns from, and those it is judged by.")
    preparing.follow()
    if problem := st.session_state.pop("problem", ""):
        show_error(problem)
    names = list_datasets()
    if not names:
        st.subheader("No pictures yet", anchor=False)
        st.markdown(
            "Here you will leaf through the classes, see where in a picture the thing is, and what training makes of "
            "it. Begin with the sample: one click."
        )
        preparing.offer()
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = choose(
            "Dataset",
            {name: name for name in names},
            name="dataset",
            on_change=lambda: forget("class", "split", "image", "page"),
        )
        if presenter.button("Get pictures", to="get pictures", icon=":material/add:"):
            preparing.ask()
        if presenter.button("Remove", to="remove pictures", icon=":material/delete:"):
            ask_removal(name)
    try:
        dataset = open_dataset(name)
    except UserError as error:
        show_error(error)
        return
    show_facts(dataset)
    show_left_out(dataset)
    show_pictures(dataset)
    class_counts.show(dataset)


@st.dialog("Remove this dataset?")
def ask_removal(name: str) -> None:
    st.markdown(
        f"**{name}** will be deleted from this computer for everybody. Where it came from is not touched, and runs "
        "trained on it keep their weights and results; only their pictures are no longer there to be shown."
    )
    with st.container(horizontal=True):
        remove_it = presenter.button(
            f"Remove {name}",
            to="remove pictures",
            type="primary",
            icon=":material/delete:",
            on_click=remove,
            args=(name,),
        )
        if st.button("Keep it") or remove_it:
            st.rerun()


def remove(name: str) -> None:
    try:
        remove_dataset(name)
        forget("dataset", "class", "split", "image", "page")
    except UserError as error:
        st.session_state["problem"] = str(error)


def show_facts(dataset: PreparedDataset) -> None:
    counts = dataset.info["counts"]
    boxes = dataset.samples["x0"].notna().mean()
    with st.container(horizontal=True, gap="medium"):
        st.metric("Classes", len(dataset.classes), width="content")
        st.metric("Training images", f"{counts['train']:,}", width="content")
        st.metric(
            "Validation images",
            f"{counts['val']:,}",
            width="content",
            help="The network never learns from these: they show what it does with pictures it has not seen.",
        )
        st.metric(
            "With a box",
            percent(boxes),
            width="content",
            help="A box (bounding box) says where in the picture the thing is.",
        )
    notes = dataset.info.get("notes", {})
    if "shortcut" in notes:
        pairs = " and ".join(" with ".join(pair) for pair in notes.get("look_alikes", []))
        with st.expander(
            "There is a trap in these pictures, on purpose. Find it yourself first, then look here",
            icon=":material/psychology_alt:",
        ):
            st.markdown(
                f"**It is the class {notes['shortcut_class']}.** {notes['shortcut']} "
                "A network may learn the background instead of the thing (a shortcut): look for it with Grad-CAM."
                + (f" Easily confused besides: {pairs}." if pairs else "")
            )


def show_left_out(dataset: PreparedDataset) -> None:
    count = len(dataset.left_out)
    if not count:
        return
    title = "One file was left out" if count == 1 else f"{count:,} files were left out"
    with st.expander(title, icon=":material/broken_image:"):
        st.dataframe(
            dataset.left_out,
            column_config=dict(source="File", reason="Why it was left out: it …"),
            hide_index=True,
        )


def show_pictures(dataset: PreparedDataset) -> None:
    st.subheader("Pictures", anchor=False)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        label = choose_class(
            "Class",
            dataset.classes,
            name="class",
            anything="All classes, one picture each",
            on_change=lambda: forget("image", "page"),
        )
        split = choose(
            "Images",
            SPLITS,
            name="split",
            as_row=True,
            on_change=lambda: forget("image", "page"),
        )
    if label is None:
        firsts = [dataset.indices(split, each)[:1] for each in range(len(dataset.classes))]
        rows = np.concatenate(firsts)
    else:
        item = dataset.classes[label]
        st.caption(" · ".join(filter(None, [item.description, f"id {item.wnid}"])))
        rows = dataset.indices(split, label)
    text = st.query_params.get("image", "")
    place = np.flatnonzero(rows.astype(str) == text)
    if len(place) and "page" not in st.query_params:  # a link to an image leads to its page
        st.query_params["page"] = str(place[0] // PER_PAGE + 1)
    page = choose_page(-(-len(rows) // PER_PAGE))
    shown = rows[(page - 1) * PER_PAGE : page * PER_PAGE]
    chosen = int(text) if text in shown.astype(str) else int(shown[0])
    names = [dataset.classes[dataset.samples["label"][row]].name for row in shown]
    clicked = gallery.grid(
        [dataset.images[row] for row in shown],
        names if label is None else None,
        key="class-gallery",
        side=96,
        hints=[f"{name}, picture {row}" for name, row in zip(names, shown, strict=True)],
        clickable=True,
        selected=shown.tolist().index(chosen),
    )
    if clicked is not None:
        st.query_params["image"] = str(shown[clicked])
        st.rerun()
    one_picture.show(dataset, chosen)


main()
