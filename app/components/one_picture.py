"""One image: enlarged with its box, and what training makes of it."""

import numpy as np
import streamlit as st
from PIL import Image, ImageDraw

from components import gallery, palette
from components.pickers import choose, forget
from tinymodel.config import PRESETS, TrainConfig, from_preset
from tinymodel.data import PreparedDataset, open_dataset
from tinymodel.data.prepared import SIDE

DRAWS = 8
NO_CHANGES = dict(crop_padding=0, flip=0, affine=0, brightness_contrast=0, dropout_hole=0)
CHANGES = {  # in the address → title, and what differs from no change at all; None: as the preset has it
    **{name: (f"{preset.title} recipe", None) for name, preset in PRESETS.items()},
    "shift": ("Shifted", dict(crop_padding=6)),
    "mirror": ("Mirrored", dict(flip=0.5)),
    "affine": ("Turned and scaled", dict(affine=1)),
    "light": ("Lighter and darker", dict(brightness_contrast=1)),
    "hole": ("With a hole", dict(dropout_hole=1)),
}


def show(dataset: PreparedDataset, row: int) -> None:
    sample = dataset.samples.iloc[row]
    item = dataset.classes[sample["label"]]
    original, changed = st.columns([1, 2], gap="large")
    with original:
        st.subheader(item.name, anchor=False)
        box = sample[["x0", "y0", "x1", "y1"]]
        boxed = bool(box.notna().all())
        picture = gallery.enlarge(dataset.images[row], 640)
        if boxed:
            draw_box(picture, *map(int, box))
        st.image(picture, width=320, output_format="PNG", alt=f"{item.name}, enlarged")
        source = sample["source"].replace("/", "/\u200b")  # a long one may break here
        st.caption(
            f"{source} (image {row}). "
            + ("The box says where the thing is." if boxed else "It has no box.")
        )
        if st.query_params.get("class") != item.wnid:
            st.button(
                f"See more of the class {item.name}",
                type="tertiary",
                icon=":material/photo_library:",
                on_click=lambda: (forget("page"), st.query_params.update({"class": item.wnid})),
            )
    with changed:
        show_draws(dataset, row)


def draw_box(picture: Image.Image, x0: int, y0: int, x1: int, y1: int) -> None:
    """Around these inclusive pixels of the 64×64 image; dark and light, to be seen on any picture."""
    scale = picture.width // SIDE
    corners = (x0 * scale, y0 * scale, (x1 + 1) * scale - 1, (y1 + 1) * scale - 1)
    pen = ImageDraw.Draw(picture)
    pen.rectangle(corners, outline="black", width=8)
    inner = (corners[0] + 2, corners[1] + 2, corners[2] - 2, corners[3] - 2)
    pen.rectangle(inner, outline=palette.BOX, width=4)


def show_draws(dataset: PreparedDataset, row: int) -> None:
    st.subheader("What the network gets to see of it", anchor=False)
    kind = choose(
        "Changes by chance (augmentation)",
        {name: title for name, (title, _) in CHANGES.items()},
        name="changes",
        help="Training shows every picture a little differently each time, so that the network learns the thing and "
        "not the pixels. A recipe combines several changes; the others show one alone.",
    )
    changes = CHANGES[kind][1]
    if changes is None:
        config = from_preset(kind, dataset=dataset.name)
    else:
        config = from_preset("classroom", dataset=dataset.name, **NO_CHANGES | changes)
    again = st.session_state.setdefault("draws", 0)
    gallery.grid(
        draw(dataset.name, dataset.fingerprint, row, config, again),
        key="draws-gallery",
        side=128,
        hints=[f"Draw {number + 1}" for number in range(DRAWS)],
    )
    if st.button("Draw again", icon=":material/casino:"):
        st.session_state["draws"] += 1
        st.rerun()


@st.cache_data(max_entries=200, show_spinner=False, hash_funcs={TrainConfig: TrainConfig.to_json})
def draw(name: str, fingerprint: str, row: int, config: TrainConfig, seed: int) -> list[np.ndarray]:
    from tinymodel.data.batches import examples  # torch: only where it is needed

    return examples(open_dataset(name).images[row], config, DRAWS, seed)
