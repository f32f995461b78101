"""Features of every layer: right, once, and never of an image that should not be there."""

import json
import os

import numpy as np
import pytest
import torch

from tinymodel import checkpoint
from tinymodel.data import open_dataset, remove_dataset
from tinymodel.data.batches import normalize
from tinymodel.errors import UserError
from tinymodel.network import BLOCKS, BottleneckNet
from tinymodel.representation import features
from tinymodel.representation.features import (
    PIXELS,
    describe_image,
    extract,
    layer_title,
    study_run,
    unseen_classes,
)


def test_features_are_the_mean_of_each_block_and_the_last_is_what_the_classifier_sees(run):
    network, dataset = run.network(), open_dataset("small")
    rows = np.array([3, 50, 7])
    found = extract(network, dataset.images, rows, run.mean, run.std, batch_size=2)
    assert list(found) == list(BLOCKS)
    inputs = normalize(torch.from_numpy(dataset.images[rows]), run.mean, run.std)
    with torch.no_grad():
        middle = network.stage1(network.first(inputs))
        torch.testing.assert_close(
            torch.from_numpy(found["stage1.residual2"]), middle.mean((2, 3)), atol=1e-5, rtol=1e-4
        )
        last = torch.from_numpy(found["stage3.residual2"])
        torch.testing.assert_close(network.classifier(last), network(inputs), atol=1e-5, rtol=1e-4)
    assert not any(block._forward_hooks for block in network.blocks().values())


def test_a_study_has_layer_zero_and_all_blocks_of_all_classes(run):
    study = study_run(run)
    assert study.layers == (PIXELS, *BLOCKS)
    assert [layer_title(layer) for layer in study.layers[:2]] == ["Raw pixels", "First block"]
    assert len(study.classes) == 5
    assert study.seen == 3
    assert list(study.unseen()) == [3, 4]
    row = study.of_classes([4])[0]
    image = study.dataset.images[study.rows[row]]
    pixels = study.features(PIXELS, np.array([row]))
    assert pixels.shape == (1, 12288)
    np.testing.assert_allclose(pixels[0], image.ravel() / 255, atol=1e-6)
    for layer, values in describe_image(run, image).items():
        np.testing.assert_allclose(study.features(layer)[row], values, rtol=2e-3, atol=2e-3)


def test_held_out_classes_never_entered_training(run):
    """The record of the run itself, the rows it trained on, proves it."""
    dataset = open_dataset("small")
    unseen = unseen_classes(run, dataset)
    assert [item.wnid for item in unseen] == ["n00000003", "n00000004"]
    labels = dataset.samples["label"].to_numpy()
    assert set(labels[run.train_indices]) == {0, 1, 2}
    assert set(labels[run.val_indices]) == {0, 1, 2}


def test_a_record_that_contradicts_itself_is_refused(run):
    file = run.folder / "run.json"
    info = json.loads(file.read_text())
    info["train_indices"].append([60, 61])
    labels = open_dataset("small").samples["label"].to_numpy()
    info["held_out"] = [dict(wnid=f"n{labels[60]:08d}", name="x", description="")]
    file.write_text(json.dumps(info))
    with pytest.raises(UserError, match="says that it never saw"):
        study_run(type(run).open(run.name))


def test_without_held_out_classes_others_of_the_dataset_are_unseen(run):
    file = run.folder / "run.json"
    info = json.loads(file.read_text()) | dict(held_out=[])
    file.write_text(json.dumps(info))
    assert len(unseen_classes(run, open_dataset("small"))) == 2


def test_features_are_computed_once_and_anew_for_new_weights(run, monkeypatch):
    passes = []
    real = features.extract
    monkeypatch.setattr(features, "extract", lambda *a, **k: passes.append(1) or real(*a, **k))
    before = study_run(run).features("first")
    study_run(run)
    assert len(passes) == 1
    state = checkpoint.load(run.folder / "best.pt")
    state["weights"] = BottleneckNet(classes=3, width=4).state_dict()
    checkpoint.save(state, run.folder / "best.pt")
    os.utime(run.folder / "best.pt", (1e9, 1e9))
    study = study_run(run)
    assert len(passes) == 2
    assert not np.allclose(study.features("first"), before)
    assert len(list((run.folder / "features").iterdir())) == 1  # older ones do not pile up


def test_a_stopped_pass_leaves_nothing_half_made(run):
    def stop(fraction, message):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        study_run(run, stop)
    assert not list((run.folder / "features").iterdir())
    assert np.isfinite(study_run(run).features("stage3.residual2")).all()


def test_more_images_than_are_needed_are_left_out_evenly(run, monkeypatch):
    monkeypatch.setattr(features, "VAL_IMAGES", 10)
    study = study_run(run)
    counts = [len(study.of_classes([label])) for label in range(5)]
    assert counts == [2] * 5


def test_a_run_whose_dataset_is_gone_says_so(run):
    remove_dataset("small")
    with pytest.raises(UserError, match="is not here; prepare it on the Data page"):
        study_run(run)
