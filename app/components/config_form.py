"""The form of a `TrainConfig`, made from what the configuration says of its own fields."""

from dataclasses import Field, fields
from typing import Any

import streamlit as st

from components.messages import plain
from tinymodel.config import PRESETS, TrainConfig, from_preset
from tinymodel.data.prepared import PreparedDataset

GROUPS = {
    "network": ("The network", "account_tree"),
    "recipe": ("The recipe", "menu_book"),
    "augmentation": ("Changes to the images (augmentation)", "shuffle"),
    "machine": ("Machine and seed", "memory"),
}
CHOICES = {
    "cpu": "Processor (CPU)",
    "cuda": "NVIDIA GPU (CUDA)",
    "mps": "Apple GPU (MPS)",
    "auto": "Automatic",
    "sgd": "SGD",
    "muon": "Muon",
    "fp32": "32 bits (fp32)",
    "bf16": "16 bits (bf16)",
    "fp16": "16 bits (fp16)",
    "imagenet": "ImageNet",
}
FIRST = ("epochs", "width")  # what people change most, always in sight
GIVEN = "given-values"  # in the session state: keys of the form that were set and not drawn yet
CLASSROOM_CLASSES = 10  # of a large dataset, unless the person wants more


def choose_preset() -> str:
    """The preset, which is in the address."""
    preset = st.segmented_control(
        "Recipe to start from (preset)",
        list(PRESETS),
        default="classroom",
        required=True,
        format_func=lambda name: PRESETS[name].title,
        key="preset",
        bind="query-params",
    )
    st.caption(PRESETS[preset].description)
    return preset


def config_form(dataset: PreparedDataset, preset: str) -> TrainConfig:
    """Draw the values of the preset, for changing, and return the configuration they make.

    Those of a closed group are not drawn, which spares half of a script run, but count all the same.

    Raises:
        UserError: The values do not go together.
    """
    values = _data_fields(dataset, preset)
    defaults = from_preset(preset, dataset=dataset.name)
    about = {item.name: item for item in fields(TrainConfig)}
    for name, column in zip(FIRST, st.columns(len(FIRST)), strict=True):
        with column:
            values[name] = _field(about[name], getattr(defaults, name), preset, values)
    for group, (title, icon) in GROUPS.items():
        names = [name for name, item in about.items() if item.metadata.get("group") == group]
        names = [name for name in names if name not in FIRST]
        box = st.expander(
            title, icon=f":material/{icon}:", key=f"{preset}-{group}", on_change="rerun"
        )
        if not box.open:
            for name in names:
                values[name] = st.session_state.get(f"{preset}-{name}", getattr(defaults, name))
            continue
        with box:
            grid = st.grid(2, min_column_width=240)
            for name in names:
                with grid.cell():
                    values[name] = _field(about[name], getattr(defaults, name), preset, values)
    changed = [
        about[name].metadata["label"].lower()
        for name, value in values.items()
        if about[name].metadata["group"] != "data" and value != getattr(defaults, name)
    ]
    if changed:
        st.caption(f":material/edit: Changed from the preset: {', '.join(changed)}.")
    return from_preset(preset, dataset=dataset.name, **values)


def set_value(preset: str, name: str, value: Any) -> None:
    """Change a value of the form from a callback, before it is drawn."""
    key = f"{preset}-{name}"
    st.session_state[key] = value
    st.session_state.setdefault(GIVEN, set()).add(key)


def _default(key: str, default: Any, none: Any) -> Any:
    """`default`, or `none` (Streamlit's own default) of a widget that was given a value: it warns about two of them."""
    given = st.session_state.get(GIVEN, set())
    if key not in given:
        return default
    given.discard(key)
    return none


def _data_fields(dataset: PreparedDataset, preset: str) -> dict[str, Any]:
    """How many classes and images: their bounds come from the dataset."""
    about = {item.name: item.metadata for item in fields(TrainConfig)}
    total = len(dataset.classes)
    largest = dataset.largest_class
    few = preset == "classroom" and total > 2 * CLASSROOM_CLASSES
    key = f"{preset}-{dataset.name}"
    columns = st.columns(3)
    classes = columns[0].number_input(
        about["classes"]["label"],
        2,
        total,
        _default(f"{key}-classes", CLASSROOM_CLASSES if few else total, "min"),
        help=about["classes"]["help"],
        key=f"{key}-classes",
        persist_state="session",
    )
    per_class = columns[1].number_input(
        about["per_class"]["label"],
        min(2, largest),
        largest,
        _default(f"{key}-per-class", largest, "min"),
        step=min(50, max(1, largest // 10)),
        help=about["per_class"]["help"],
        key=f"{key}-per-class",
        persist_state="session",
    )
    held = columns[2].number_input(
        about["hold_out_classes"]["label"],
        0,
        classes - 2,
        _default(f"{key}-{classes}-held", 0, "min"),
        help=about["hold_out_classes"]["help"],
        key=f"{key}-{classes}-held",
        persist_state="session",
    )
    names = [item.name for item in dataset.classes[: classes - held]]
    st.caption(plain(f"It will learn: {', '.join(names[:12])}{' …' if len(names) > 12 else ''}"))
    return dict(
        classes=None if classes == total else classes,
        per_class=None if per_class == largest else per_class,
        hold_out_classes=held,
    )


def _field(item: Field, default: Any, preset: str, values: dict[str, Any]) -> Any:
    """One widget, whose kind follows from the type of the value."""
    about, key = item.metadata, f"{preset}-{item.name}"
    bounds = ""
    if about["minimum"] is not None:
        bounds = f" From {about['minimum']:g} to {about['maximum']:g}."
    common = dict(
        help=about["help"] + bounds,
        key=key,
        persist_state="session",
        disabled=item.name == "muon_learning_rate" and values.get("optimizer") != "muon",
    )
    label = about["label"]
    if about["choices"]:
        options = list(about["choices"])
        index = _default(key, options.index(default), 0)
        return st.selectbox(label, options, index, format_func=choice_name, **common)
    if isinstance(default, bool):
        return st.toggle(label, _default(key, default, False), **common)
    return st.number_input(
        label,
        about["minimum"],
        about["maximum"],
        _default(key, default, "min"),
        about["step"],
        format="%d" if isinstance(default, int) else "%.6g",
        **common,
    )


def choice_name(choice: str) -> str:
    """'per-step' → 'Per step'"""
    return CHOICES.get(choice) or choice.capitalize().replace("-", " ")
