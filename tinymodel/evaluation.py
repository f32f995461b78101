"""What a network says about images it has not learned from; `tinymodel.scores` measures it."""

import math
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F

from tinymodel.data import PreparedDataset, list_datasets, open_dataset
from tinymodel.data.batches import normalize
from tinymodel.errors import UserError
from tinymodel.precision import autocast
from tinymodel.runs import Run
from tinymodel.scores import described

PREDICTIONS = "predictions.parquet"
WEIGHTS = ("best.pt", "last.pt", "previous.pt")  # in the order in which `Run.network` takes them
TOP = 5


def evaluate(
    network: nn.Module,
    images: np.ndarray,
    indices: np.ndarray,
    labels: np.ndarray,
    mean: Sequence[float],
    std: Sequence[float],
    *,
    batch_size: int = 256,
    device: str = "cpu",
    precision: str = "fp32",
    report: Callable[[float, str], None] | None = None,
) -> pd.DataFrame:
    """Predict `images[indices]`; the same call gives the same numbers.

    Args:
        network: On `device`; predicts in eval mode and is left in the mode it came in. Never one that another
            thread trains.
        images: uint8 (N, 64, 64, 3), RGB, a memory map or an array.
        indices: Rows of `images`, int64 (n,).
        labels: The true label of each, int64 (n,), in the order of the network's outputs.
        mean, std: The colour statistics that the network learned with, in [0, 1].
        precision: Of the network: 'fp32', 'bf16' or 'fp16'. Probabilities and losses are computed in fp32.
        report: Called as `report(fraction, message)` before every batch; it may raise to stop.

    Returns:
        One row per image, in order: `index`, `label`, `prediction`, `confidence` (the probability of the prediction),
        `true_probability`, `loss` (plain cross-entropy in nats), `top5` (up to five labels, most probable first) and
        `top5_probabilities`.

    Raises:
        UserError: There are no images.
    """
    if not len(indices):
        raise UserError("There are no images to predict: the dataset has no validation images.")
    parts = []
    was_training = network.training
    network.eval()
    try:
        for start in range(0, len(indices), batch_size):
            if report:
                report(start / len(indices), f"Predicting image {start + 1} of {len(indices)}")
            rows = indices[start : start + batch_size]
            batch = torch.from_numpy(np.ascontiguousarray(images[rows])).to(device)
            inputs = normalize(batch, tuple(mean), tuple(std))  # (B, 3, 64, 64)
            with torch.inference_mode(), autocast(device, precision):
                logits = network(inputs)  # (B, classes)
            truth = torch.from_numpy(labels[start : start + batch_size]).to(device)
            parts.append(_rows(logits.float(), truth))
    finally:
        network.train(was_training)
    loss, true_probability, top, top_probabilities = (
        torch.cat(column).cpu().numpy() for column in zip(*parts, strict=True)
    )
    return pd.DataFrame(
        dict(
            index=np.asarray(indices, dtype=np.int64),
            label=np.asarray(labels, dtype=np.int64),
            prediction=top[:, 0],
            confidence=top_probabilities[:, 0],
            true_probability=true_probability,
            loss=loss,
            top5=list(top),
            top5_probabilities=list(top_probabilities),
        )
    )


def _rows(logits: torch.Tensor, truth: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Loss (B,), probability of the truth (B,), top labels (B, k) and their probabilities (B, k)."""
    probabilities = logits.softmax(1)
    top = probabilities.topk(min(TOP, logits.shape[1]), dim=1)
    return (
        F.cross_entropy(logits, truth, reduction="none"),
        probabilities.gather(1, truth[:, None])[:, 0],
        top.indices,
        top.values,
    )


class FlipAveraged(nn.Module):
    """A network asked twice: about each image and about its mirror image, their probabilities averaged."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 3, h, w) → the logarithm of the mean probabilities, float32 (B, classes)."""
        both = torch.stack([self.network(x), self.network(x.flip(3))]).float()
        return both.log_softmax(2).logsumexp(0) - math.log(2)


def evaluate_run(run: Run, report: Callable[[float, str], None] | None = None) -> pd.DataFrame:
    """Predict the validation images of a run with its best weights so far, and keep the result in its folder.

    May go on beside the training of the same run: it loads a network of its own.

    Raises:
        UserError: The run has no weights yet, its dataset is gone or another one, or the classes of its network do not
            fit those of the images.
    """
    dataset = run_dataset(run)
    version = weights_version(run)
    network = run.network("best").to(memory_format=torch.channels_last)
    info = run.info()
    labels = run_labels(run, dataset, run.val_indices)
    outputs = info["model"]["classes"]
    if outputs != len(run.classes) or (labels < 0).any():
        known = f"{len(run.classes)} classes are listed in its run.json"
        raise UserError(
            f"The checkpoint of the run {run.name!r} does not fit its dataset: the network tells {outputs} classes "
            f"apart, {known}, and {int((labels < 0).sum())} of its validation images are of none of them. "
            "Choose another run, or train again on this dataset."
        )
    on_cpu = info.get("device") == "cpu" and info.get("precision") in ("fp32", "bf16")
    predictions = evaluate(
        network,
        dataset.images,
        run.val_indices,
        labels,
        run.mean,
        run.std,
        precision=info["precision"] if on_cpu else "fp32",  # what suited a GPU may crawl here
        report=report,
    )
    if weights_version(run) == version:
        write_predictions(run.folder, predictions)  # else training has written newer ones
    return predictions


def run_dataset(run: Run) -> PreparedDataset:
    """The dataset that a run learned from, under whatever name it is prepared now.

    Raises:
        UserError: It is not here, or what has its name is another dataset.
    """
    wanted = run.info()["fingerprint"]
    name = run.config.dataset
    known = list_datasets()
    for candidate in sorted(known, key=lambda other: other != name):
        try:
            dataset = open_dataset(candidate)
        except UserError:
            if candidate == name:
                raise
            continue
        if dataset.fingerprint == wanted:
            return dataset
    if name in known:
        raise UserError(
            f"The dataset {name!r} is not the one that the run {run.name!r} learned from: it was prepared anew from "
            "other images. Prepare the former images again, under any name."
        )
    raise UserError(
        f"The dataset {name!r}, from which the run {run.name!r} learned, is not here; prepare it on the Data page."
    )


def run_labels(run: Run, dataset: PreparedDataset, indices: np.ndarray) -> np.ndarray:
    """Labels of these rows in the order of the run's classes, int64; -1 for a class the run does not know."""
    position = {item.wnid: label for label, item in enumerate(run.classes)}
    table = np.array([position.get(item.wnid, -1) for item in dataset.classes], dtype=np.int64)
    return table[dataset.samples["label"].to_numpy(np.int64)[indices]]


def weights_file(run: Run) -> Path | None:
    """The checkpoint that `run.network("best")` would load now."""
    files = (run.folder / name for name in WEIGHTS)
    return next((file for file in files if file.is_file()), None)


def weights_version(run: Run) -> int:
    """A number that changes when the run's best weights do; 0 while there are none."""
    file = weights_file(run)
    try:
        return file.stat().st_mtime_ns if file else 0
    except FileNotFoundError:  # the run was deleted this moment
        return 0


def predictions_are_current(run: Run) -> bool:
    """Whether the predictions in the run's folder were made with its best weights so far."""
    weights, file = weights_file(run), run.folder / PREDICTIONS
    try:
        # Two seconds of grace: zip archives, by which runs travel, know times no better.
        return weights is None or file.stat().st_mtime + 2 > weights.stat().st_mtime
    except FileNotFoundError:
        return False


def current_predictions(run: Run) -> pd.DataFrame | None:
    """What the run's folder keeps, as `scores.described`; None if it is missing, damaged, out of date, or does not fit."""
    if not predictions_are_current(run) or (kept := run.predictions()) is None:
        return None
    known = range(len(run.classes))
    try:
        answers = described(kept)
        fits = answers[["label", "prediction"]].isin(known).all(axis=None) and len(answers) > 0
        fits &= set(np.concatenate(answers["top5"].to_list()).tolist()) <= set(known)
        return answers if fits and {"loss", "true_probability"} <= set(answers) else None
    except (KeyError, TypeError, ValueError):  # another program's table: it can be made again
        return None


def write_predictions(folder: Path, frame: pd.DataFrame) -> None:
    """Write what `evaluate` gave as `predictions.parquet` in a run's folder; readers see the old or the new."""
    descriptor, temporary = tempfile.mkstemp(prefix=f".{PREDICTIONS}-", dir=folder)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            frame.to_parquet(stream, index=False)
        for attempt in range(20):
            try:
                os.replace(temporary, folder / PREDICTIONS)
                break
            except PermissionError:  # Windows, while somebody reads it
                if attempt == 19:
                    raise
                time.sleep(0.05)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
