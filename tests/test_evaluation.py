"""Predictions equal a plain forward pass and are kept whole."""

import os

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import run_info, write_small_dataset

from tinymodel import checkpoint
from tinymodel.config import TrainConfig
from tinymodel.data.prepared import remove_dataset
from tinymodel.errors import UserError
from tinymodel.evaluation import (
    evaluate,
    evaluate_run,
    predictions_are_current,
    run_dataset,
    run_labels,
    write_predictions,
)
from tinymodel.network import BottleneckNet
from tinymodel.run_writer import RunWriter
from tinymodel.runs import Run


def save_best(run: Run, seed: int = 0) -> BottleneckNet:
    torch.manual_seed(seed)
    network = BottleneckNet(classes=len(run.classes), width=run.config.width).eval()
    checkpoint.save(
        dict(weights=network.state_dict(), epoch=3, val_accuracy=0.5), run.folder / "best.pt"
    )
    return network


@pytest.fixture
def run(finished_run) -> Run:
    save_best(finished_run)
    return finished_run


def test_predictions_equal_a_plain_forward_pass(run, small_dataset):
    network = run.network()
    rows = run.val_indices
    labels = run_labels(run, small_dataset, rows)
    frame = evaluate(network, small_dataset.images, rows, labels, run.mean, run.std, batch_size=5)
    colours = torch.from_numpy(np.array(small_dataset.images[rows])).permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(v)[:, None, None] for v in (run.mean, run.std))
    with torch.no_grad():
        probabilities = network((colours - mean) / std).softmax(1).numpy()
    np.testing.assert_array_equal(frame["index"], rows)
    np.testing.assert_array_equal(frame["prediction"], probabilities.argmax(1))
    np.testing.assert_allclose(frame["confidence"], probabilities.max(1), atol=1e-5)
    true = probabilities[np.arange(len(rows)), labels]
    np.testing.assert_allclose(frame["true_probability"], true, atol=1e-5)
    np.testing.assert_allclose(frame["loss"], -np.log(true), atol=1e-4)
    np.testing.assert_array_equal(
        np.stack(frame["top5"]), np.argsort(-probabilities, axis=1)[:, :5]
    )
    np.testing.assert_allclose(
        np.stack(frame["top5_probabilities"]), -np.sort(-probabilities, axis=1)[:, :5], atol=1e-5
    )


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_evaluation_gives_the_same_numbers_every_time_and_restores_the_mode(
    run, small_dataset, precision
):
    network = run.network().train()
    arguments = (
        small_dataset.images,
        run.val_indices,
        run_labels(run, small_dataset, run.val_indices),
        run.mean,
        run.std,
    )
    first, second = (evaluate(network, *arguments, precision=precision) for _ in range(2))
    pd.testing.assert_frame_equal(first, second, check_exact=True)
    assert network.training
    assert all(int(n) == 0 for name, n in network.named_buffers() if "num_batches" in name)


def test_evaluating_a_run_keeps_predictions_that_read_back_the_same(run):
    frame = evaluate_run(run)
    kept = run.predictions()
    assert kept["top5"].map(list).tolist() == frame["top5"].map(list).tolist()
    pd.testing.assert_frame_equal(kept.drop(columns="top5"), frame.drop(columns="top5"))
    assert predictions_are_current(run)
    assert not [item.name for item in run.folder.iterdir() if item.name.startswith(".")]


def test_labels_follow_the_order_of_the_run_and_not_of_the_dataset(small_dataset):
    config = TrainConfig(dataset="small", classes=("colour 1", "colour 2"), width=4)
    writer = RunWriter.create(run_info(small_dataset, config))
    writer.close()
    labels = run_labels(writer.run, small_dataset, np.arange(len(small_dataset.images)))
    expected = small_dataset.samples["label"].map({0: -1, 1: 0, 2: 1})
    np.testing.assert_array_equal(labels, expected)


def test_predictions_older_than_the_weights_are_not_current(run):
    assert not predictions_are_current(run)
    evaluate_run(run)
    later = (run.folder / "predictions.parquet").stat().st_mtime + 60
    os.utime(run.folder / "best.pt", (later, later))
    assert not predictions_are_current(run)


def test_weights_that_changed_meanwhile_keep_their_own_predictions(run):
    def report(fraction, message):
        save_best(run, seed=1)

    evaluate_run(run, report)
    assert run.predictions() is None


def test_evaluation_stops_where_its_report_says_so(run):
    class Stopped(Exception):
        pass

    def report(fraction, message):
        raise Stopped

    with pytest.raises(Stopped):
        evaluate_run(run, report)
    assert run.predictions() is None


def test_a_missing_or_foreign_dataset_is_said(run):
    remove_dataset("small")
    with pytest.raises(UserError, match=r"'small'.*not here; prepare it"):
        evaluate_run(run)
    write_small_dataset("small", classes=3, train=5, val=4)
    with pytest.raises(
        UserError, match="not the one that the run 'small-classroom-1' learned from"
    ):
        evaluate_run(run)
    write_small_dataset("elsewhere")
    assert run_dataset(run).name == "elsewhere"


def test_a_run_without_weights_cannot_be_evaluated(finished_run):
    with pytest.raises(UserError, match="no weights yet"):
        evaluate_run(finished_run)


def test_a_failed_write_leaves_the_former_predictions(run, monkeypatch):
    frame = evaluate_run(run)
    before = (run.folder / "predictions.parquet").read_bytes()

    def full(self, stream, **kwargs):
        stream.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_parquet", full)
    with pytest.raises(OSError, match="No space"):
        write_predictions(run.folder, frame)
    assert (run.folder / "predictions.parquet").read_bytes() == before
    assert not [item.name for item in run.folder.iterdir() if item.name.startswith(".")]
