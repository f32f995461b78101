"""Where does it look, measured: heat maps against the boxes around the things.

Two measures of one map against one box. The *gain* is the share of the heat inside the box less the box's share of the
image, because a blind map also falls inside by chance (Tiny ImageNet's boxes cover half of the image on average). The
*pointing game* asks whether the hottest pixel lies inside the box (Zhang et al. 2016, *Top-down Neural Attention by
Excitation Backprop*, here without their margin of 15 pixels).
"""

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch.nn import functional as F

from tinymodel.data.batches import normalize
from tinymodel.data.prepared import SIDE, PreparedDataset
from tinymodel.errors import UserError
from tinymodel.evaluation import run_dataset, run_labels, weights_file, weights_version
from tinymodel.explain import baselines
from tinymodel.explain.gradcam import last_block, raw_maps, run_network
from tinymodel.network import BottleneckNet
from tinymodel.runs import Run

BOX = ["x0", "y0", "x1", "y1"]  # inclusive pixels
SPLITS = {"val": "Validation", "train": "Training"}
MAPS = ("network", "edges", "random", "centre")
PER_CLASS = 50  # training images of each class that are looked at; of the validation images all
BATCH = 32


# One map and one box


def smooth(maps: np.ndarray) -> np.ndarray:
    """The positive part of maps (B, h, w) at the size of the image, bilinear: float32 (B, 64, 64)."""
    positive = torch.from_numpy(np.maximum(maps, 0, dtype=np.float32))[:, None]
    return F.interpolate(positive, size=(SIDE, SIDE), mode="bilinear")[:, 0].numpy()


def inside(boxes: np.ndarray) -> np.ndarray:
    """Which pixels lie in a box: int (B, 4), inclusive x0, y0, x1, y1 → bool (B, 64, 64)."""
    places = np.arange(SIDE)
    x0, y0, x1, y1 = np.asarray(boxes)[:, :, None].swapaxes(0, 1)
    columns, rows = (x0 <= places) & (places <= x1), (y0 <= places) & (places <= y1)
    return rows[:, :, None] & columns[:, None, :]


def shares(heat: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """The share of each map's heat (B, 64, 64), ≥ 0, inside its box: float64 (B,), NaN of a blank map."""
    total = heat.sum((1, 2), dtype=np.float64)
    part = (heat * inside(boxes)).sum((1, 2), dtype=np.float64)
    return np.divide(part, total, out=np.full(len(heat), np.nan), where=total > 0)


def hits(heat: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Whether the hottest pixel of each map lies in its box: bool (B,); a blank map points nowhere."""
    hottest = heat.reshape(len(heat), -1).argmax(1)
    found = inside(boxes).reshape(len(heat), -1)[np.arange(len(heat)), hottest]
    return found & (heat.max((1, 2)) > 0)


# Many images


def localise(
    network: BottleneckNet,
    images: np.ndarray,
    indices: np.ndarray,
    labels: np.ndarray,
    boxes: np.ndarray,
    mean: Sequence[float],
    std: Sequence[float],
    *,
    report: Callable[[float, str], None] | None = None,
) -> pd.DataFrame:
    """Measure Grad-CAM at the last block, and the baselines, on `images[indices]`.

    Args:
        network: As of `tinymodel.explain.gradcam.explain`.
        images: uint8 (N, 64, 64, 3), a memory map or an array.
        indices: Rows of `images`, int64 (n,).
        labels: The true label of each, int64 (n,), in the order of the network's outputs.
        boxes: int (n, 4), inclusive pixels x0, y0, x1, y1.
        report: Called as `report(fraction, message)` before every batch; it may raise to stop.

    Returns:
        One row per image, in order: `index`, `label`, `prediction`, `confidence`, `area` (the box's share of the
        image); `inside` and `hit` of the map for the network's own answer; `network_inside` and `network_hit` of the
        map for the true class; the same two of `edges`, `random` and `centre`, on as coarse a grid; and `map`, the map
        for its own answer as bytes, scaled to 255.
    """
    parts, layers = [], [last_block(network)]
    for start in range(0, len(indices), BATCH):
        if report:
            report(start / len(indices), f"image {start + 1:,} of {len(indices):,}")
        rows = indices[start : start + BATCH]
        batch = np.ascontiguousarray(images[rows])
        truth, box = labels[start : start + BATCH], boxes[start : start + BATCH]
        inputs = normalize(torch.from_numpy(batch), tuple(mean), tuple(std))
        logits, (own,) = raw_maps(network, inputs, [None] * len(rows), layers=layers)
        probabilities = logits.softmax(1).numpy()
        prediction = probabilities.argmax(1)
        true = own.copy()
        wrong = np.flatnonzero(prediction != truth)
        if len(wrong):
            asked = truth[wrong].tolist()
            true[wrong] = raw_maps(network, inputs[wrong], asked, layers=layers)[1][0]
        own_heat, cells = smooth(own), own.shape[-1]
        part = dict(
            index=rows,
            label=truth,
            prediction=prediction,
            confidence=probabilities.max(1),
            area=inside(box).mean((1, 2)),
            inside=shares(own_heat, box),
            hit=hits(own_heat, box),
            map=_packed(own),
        )
        heats = dict(
            network=smooth(true),
            edges=smooth(baselines.coarse(baselines.edge_map(batch), cells)),
            random=smooth(baselines.random_map(rows, cells)),
            centre=baselines.centre_map(len(rows)),
        )
        for name, heat in heats.items():
            part[f"{name}_inside"], part[f"{name}_hit"] = shares(heat, box), hits(heat, box)
        parts.append(pd.DataFrame(part))
    return pd.concat(parts, ignore_index=True)


def _packed(maps: np.ndarray) -> list[bytes]:
    positive = np.maximum(maps, 0)
    top = positive.max((1, 2), keepdims=True)
    scaled = np.divide(positive, top, out=np.zeros_like(positive), where=top > 0)
    return [image.tobytes() for image in np.rint(255 * scaled).astype(np.uint8)]


def unpacked(data: bytes) -> np.ndarray:
    """A `map` of the table: float32 (h, w), mostly (8, 8), in [0, 1]."""
    side = round(len(data) ** 0.5)
    return np.frombuffer(data, np.uint8).reshape(side, side).astype(np.float32) / 255


# A run


def localise_run(run: Run, report: Callable[[float, str], None] | None = None) -> None:
    """`localise_split` whatever of a run's splits has not been measured with its best weights so far."""
    todo = [split for split in SPLITS if kept(run, split) is None]
    for number, split in enumerate(todo):

        def part(fraction: float, message: str, number=number, split=split) -> None:
            report((number + fraction) / len(todo), f"{SPLITS[split]}: {message}")

        localise_split(run, split, part if report else None)


def localise_split(
    run: Run, split: str, report: Callable[[float, str], None] | None = None
) -> pd.DataFrame:
    """`localise` a run's validation images, or of 'train' the first 50 of each class, and keep it in its folder.

    Only inside a job: its network is shared by all jobs.

    Raises:
        UserError: The run has no weights yet, its dataset is gone or another one, or has no boxes.
    """
    dataset = run_dataset(run)
    indices = boxed(run, dataset, split)
    if not len(indices):
        raise UserError(
            f"The dataset {dataset.name!r} has no boxes that say where the things are, so there is nothing to measure "
            "against: take the sample or Tiny ImageNet."
        )
    version = weights_version(run)
    network, _ = run_network(run)
    table = localise(
        network,
        dataset.images,
        indices,
        run_labels(run, dataset, indices),
        dataset.samples.loc[indices, BOX].to_numpy(int),
        run.mean,
        run.std,
        report=report,
    )
    _write(table, run.folder / file_name(split), version)
    return table


def boxed(run: Run, dataset: PreparedDataset, split: str) -> np.ndarray:
    """Rows of the images that are looked at: those of a run's split that have a box."""
    rows = run.val_indices if split == "val" else run.train_indices
    if split != "val":
        labels = dataset.samples["label"].iloc[rows]
        rows = rows[(labels.groupby(labels).cumcount() < PER_CLASS).to_numpy()]
    return rows[dataset.samples[BOX].notna().all(axis=1).to_numpy()[rows]]


def file_name(split: str) -> str:
    return f"localisation-{split}.parquet"


def kept(run: Run, split: str, *, outdated: bool = False) -> pd.DataFrame | None:
    """What `localise_run` kept, if it was made with the run's best weights so far, or `outdated` with any."""
    file, weights = run.folder / file_name(split), weights_file(run)
    try:
        # Two seconds of grace: zip archives, by which runs travel, know times no better.
        if not outdated and weights and file.stat().st_mtime + 2 <= weights.stat().st_mtime:
            return None
        return pd.read_parquet(file)
    except (OSError, ValueError):  # not there, or damaged: it can be made again
        return None


def _write(table: pd.DataFrame, file: Path, version: int) -> None:
    """Write the table whole or not at all, as old as the weights that it was made with (`version`, in ns)."""
    descriptor, temporary = tempfile.mkstemp(prefix=f".{file.name}-", dir=file.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            table.to_parquet(stream, index=False)
        os.utime(temporary, ns=(version, version))
        os.replace(temporary, file)
    except PermissionError:  # Windows, while somebody reads it: it is made again another time
        Path(temporary).unlink(missing_ok=True)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
