"""Configuration: what it accepts, what it refuses, and that it survives JSON."""

import json
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinymodel import config as config_module
from tinymodel import network
from tinymodel.config import PRESETS, TrainConfig, from_preset
from tinymodel.errors import UserError


@given(
    classes=st.none() | st.integers(1, 500) | st.lists(st.text(min_size=1), min_size=1).map(tuple),
    epochs=st.integers(1, 1000),
    batch_size=st.integers(2, 4096),
    learning_rate=st.floats(1e-6, 10),
    skip=st.booleans(),
    norm=st.sampled_from(network.NORMS),
    seed=st.integers(0, 2**31 - 1),
)
def test_a_configuration_survives_json(**values):
    config = TrainConfig(dataset="x", **values)
    assert TrainConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


@pytest.mark.parametrize(
    ("values", "named"),
    [
        (dict(epochs=0), "epochs must be between 1 and 1000, not 0"),
        (dict(epochs=2.5), "epochs must be of type int"),
        (dict(epochs=True), "epochs must be of type int"),
        (dict(learning_rate=float("nan")), "learning_rate must be between"),
        (dict(norm="none"), "norm must be one of batch, group, layer, ghost, not 'none'"),
        (dict(device="tpu"), "device must be one of auto, cpu, cuda, mps"),
        (dict(classes=0), "classes must be at least 1"),
        (dict(classes=1.5), "classes must be a number or a list"),
        (dict(per_class=1), "per_class must be between 2"),
        (dict(skip="yes"), "skip must be of type bool"),
    ],
)
def test_a_wrong_value_is_refused_with_what_is_allowed(values, named):
    with pytest.raises(UserError, match=named.replace("(", r"\(")):
        TrainConfig(dataset="x", **values)


def test_an_unknown_entry_of_a_newer_version_is_named():
    with pytest.raises(UserError, match="warp_drive"):
        TrainConfig.from_json(TrainConfig(dataset="x").to_json() | {"warp_drive": 1})


def test_an_unknown_preset_lists_the_known_ones():
    with pytest.raises(UserError, match=", ".join(PRESETS)):
        from_preset("quick", dataset="x")


def test_every_preset_is_valid_and_changes_win():
    for name in PRESETS:
        config = from_preset(name, dataset="x", epochs=7)
        assert config.epochs == 7
        assert config.preset == name


def test_the_reference_preset_is_the_recipe_of_the_reference():
    config = from_preset("reference", dataset="x")
    assert (config.width, config.epochs, config.batch_size) == (64, 35, 256)
    assert (config.optimizer, config.momentum, config.weight_decay) == ("sgd", 0.9, 1e-4)
    assert config.decay_norms
    assert config.label_smoothing == 0.2
    assert config.normalization == "imagenet"


def test_every_value_of_the_form_has_a_label_a_help_and_bounds_that_hold_its_default():
    for item in fields(TrainConfig):
        if item.name == "preset":
            continue
        metadata = item.metadata
        assert metadata["label"], item.name
        assert metadata["help"].endswith("."), item.name
        if metadata["minimum"] is not None and item.default is not None:
            assert metadata["minimum"] <= item.default <= metadata["maximum"], item.name


def test_choices_are_those_of_the_network():
    assert config_module.NORMS == network.NORMS
    assert config_module.CONVOLUTIONS == network.CONVOLUTIONS
    assert config_module.DROPOUTS == network.DROPOUTS
