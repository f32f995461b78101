"""The probe ladder: what simple classifiers make of every layer, trained and untrained, on classes seen and never seen."""

import io
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from torch import nn

from tinymodel.data.batches import normalize
from tinymodel.errors import UserError
from tinymodel.evaluation import weights_file, weights_version
from tinymodel.network import BottleneckNet
from tinymodel.representation.features import (
    PIXELS,
    Study,
    extract,
    layer_title,
    precision_here,
    study_run,
)
from tinymodel.representation.probes import classify_by_neighbours, fit_linear
from tinymodel.representation.projection import effective_dimension
from tinymodel.runs import Run, write_atomically

LADDER = "ladder.csv"
SEEDS = 3
TESTED = 2_000  # images at most, per group of classes and seed
SHARE = 0.75  # of the images kept to learn from that one seed draws
COLUMNS = ("classes", "network", "probe", "layer", "seed", "accuracy", "tested", "n_classes")
NORM_IMAGES = 512  # that an untrained network takes the statistics of its norms from

Report = Callable[[float, str], None]


def measure_ladder(run: Run, report: Report | None = None) -> pd.DataFrame:
    """Measure every layer and keep the result in the run's folder.

    Three seeds: each draws which images the probes learn from and the weights of the untrained network, which is the
    same network before training. Trained classes are tested on validation images, classes never seen also on those
    of their training images that the probe did not learn from.

    Returns:
        One row per `classes` ('seen', 'unseen'), `network` ('pixels', 'untrained', 'trained'), `probe` ('linear',
        'neighbours'), `layer` (0: raw pixels, then the blocks) and `seed`: the `accuracy` in [0, 1], on how many
        images it was `tested`, and among how many classes (`n_classes`).

    Raises:
        UserError: As `study_run`; or there are too few images or classes.
    """
    report = report or (lambda fraction, message: None)
    version = weights_version(run)
    study = study_run(run, _part(report, 0, 0.25))
    groups = {"seen": range(study.seen), "unseen": study.unseen()}
    groups = {name: labels for name, labels in groups.items() if _usable(study, labels)}
    if not groups:
        raise UserError(
            "A probe needs at least two classes with two images each to learn from and one to be tested on; this run "
            "has fewer. Train with more classes or images."
        )
    rows: list[tuple] = []
    for seed in range(SEEDS):
        share = 0.75 / SEEDS
        part = _part(report, 0.25 + share * seed, share, f"Seed {seed + 1} of {SEEDS}: ")
        rows += _measure_seed(study, groups, seed, part)
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    if weights_version(run) == version:  # else training has written newer weights meanwhile
        write_atomically(run.folder / LADDER, table.to_csv(index=False))
    return table


def _measure_seed(
    study: Study, groups: Mapping[str, Sequence[int]], seed: int, report: Report
) -> list[tuple]:
    draws = {name: draw(study, labels, seed) for name, labels in groups.items()}
    used = np.unique(np.concatenate([part for pair in draws.values() for part in pair]))
    untrained = _untrained_features(study, used, seed, _part(report, 0, 0.6, "untrained network, "))

    def features(network: str, layer: str, where: np.ndarray) -> np.ndarray:
        if network == "untrained":
            return untrained[layer][np.searchsorted(used, where)]
        return study.features(layer, where)

    rows = []
    for number, layer in enumerate(study.layers):
        report(0.6 + 0.4 * number / len(study.layers), f"probes of {layer_title(layer).lower()}")
        for network in ("pixels",) if layer == PIXELS else ("untrained", "trained"):
            for name, labels in groups.items():
                learn, test = draws[name]
                known, asked = features(network, layer, learn), features(network, layer, test)
                learned, truth = (
                    np.searchsorted(labels, study.labels[part]) for part in (learn, test)
                )
                accuracies = _accuracies(known, asked, learned, truth, len(labels))
                rows += [
                    (name, network, probe, number, seed, accuracy, len(test), len(labels))
                    for probe, accuracy in accuracies.items()
                ]
    return rows


def kept_ladder(run: Run) -> pd.DataFrame | None:
    """The ladder in the run's folder, if it was measured with its best weights so far."""
    file, weights = run.folder / LADDER, weights_file(run)
    try:
        # Two seconds of grace: zip archives, by which runs travel, know times no better.
        if weights is None or file.stat().st_mtime + 2 < weights.stat().st_mtime:
            return None
        table = pd.read_csv(io.BytesIO(file.read_bytes()))
    except (OSError, ValueError):
        return None
    return table if set(COLUMNS) <= set(table.columns) and len(table) else None


def summarize(ladder: pd.DataFrame) -> pd.DataFrame:
    """Mean over the seeds, with `low` and `high`: about 95 % confidence, from the spread of the seeds and the number of
    images tested (normal approximation, the two variances added)."""
    keys = ["classes", "network", "probe", "layer"]
    groups = ladder.groupby(keys, sort=False)
    table = groups.agg(
        accuracy=("accuracy", "mean"),
        spread=("accuracy", "std"),
        seeds=("seed", "nunique"),
        tested=("tested", "min"),
        n_classes=("n_classes", "first"),
    ).reset_index()
    sampling = table["accuracy"] * (1 - table["accuracy"]) / table["tested"]
    error = 2 * np.sqrt(table["spread"].fillna(0) ** 2 / table["seeds"] + sampling)
    table["low"] = (table["accuracy"] - error).clip(0, 1)
    table["high"] = (table["accuracy"] + error).clip(0, 1)
    return table


def dimensions(study: Study, most: int = 2_000) -> pd.DataFrame:
    """`layer`, `nominal` and `effective` dimension of every layer, over validation images of the trained classes."""
    chosen = study.of_classes(range(study.seen))
    chosen = chosen[:: max(1, -(-len(chosen) // most))]
    rows = []
    for number, layer in enumerate(study.layers):
        features = study.features(layer, chosen)
        rows.append((number, features.shape[1], effective_dimension(features)))
    return pd.DataFrame(rows, columns=["layer", "nominal", "effective"])


def _part(report: Report, start: float, share: float, prefix: str = "") -> Report:
    """A report for a part of the work that begins at `start` and takes `share` of it; fractions in [0, 1]."""
    return lambda done, text: report(start + share * done, f"{prefix}{text}")


def _usable(study: Study, labels: Sequence[int]) -> bool:
    """Two classes or more, each with two images to learn from and one to be tested on."""
    return len(labels) >= 2 and all(
        len(study.of_classes([label], validation=False)) >= 2 and len(study.of_classes([label]))
        for label in labels
    )


def draw(study: Study, labels: Sequence[int], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions in `study.rows` to learn from and to be tested on."""
    learn, test = [], []
    each = max(1, TESTED // len(labels))
    for label in labels:
        pool = study.of_classes([label], validation=False)
        pool = np.random.default_rng([seed, label]).permutation(pool)
        count = max(1, round(SHARE * len(pool)))
        learn.append(pool[:count])
        spare = pool[count:] if label >= study.seen else pool[:0]
        test.append(np.concatenate([study.of_classes([label]), spare])[:each])
    return np.sort(np.concatenate(learn)), np.sort(np.concatenate(test))


def _accuracies(known, asked, learned, truth, classes: int) -> dict[str, float]:
    linear = fit_linear(known, learned, classes).predict(asked)
    nearest = classify_by_neighbours(known, learned, classes, asked)
    return {
        "linear": float((linear == truth).mean()),
        "neighbours": float((nearest == truth).mean()),
    }


def _untrained_features(study: Study, used: np.ndarray, seed: int, report: Report) -> dict:
    """Features of the same network with fresh weights; its norms know the statistics of the images."""
    run = study.run
    network = BottleneckNet(**run.info()["model"])
    network.initialize(torch.Generator().manual_seed(seed))
    network = network.to(memory_format=torch.channels_last)
    rows = study.rows[used]
    some = rows[:: max(1, len(rows) // NORM_IMAGES)][:NORM_IMAGES]
    # Without this, batch norms that have seen nothing would do nothing, as they never do in training.
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = None  # the plain average over the batches
    network.train()
    with torch.no_grad():
        for part in np.array_split(some, max(1, len(some) // 128)):
            batch = torch.from_numpy(np.ascontiguousarray(study.dataset.images[part]))
            network(normalize(batch, run.mean, run.std))
    return extract(
        network,
        study.dataset.images,
        rows,
        run.mean,
        run.std,
        precision=precision_here(run),
        report=report,
    )
