"""Is the embedded sample worth learning, and does its trap close? Run: python benchmarks/sample.py --seeds 3

Draws the sample, fits linear classifiers to its raw pixels and to its mean colours, trains the classroom preset once a
seed, and prints each figure with its bound. About 75 seconds a seed on two cores.
"""

import argparse
import os
import tempfile
import time

import numpy as np
import torch
from torch.nn import functional as F

from tinymodel.config import from_preset
from tinymodel.data import PreparedDataset
from tinymodel.data.sample import LOOK_ALIKES, SHORTCUT, draw, prepare_sample
from tinymodel.explain import findings, localisation
from tinymodel.network import BottleneckNet
from tinymodel.runs import Run
from tinymodel.training.loop import Training

EPOCHS = 10  # about 60 seconds on two cores with AMX
FRESH = range(1000, 1200)  # cows that are in no split, each drawn in a meadow and elsewhere


def report(text: str, value: float, low: float, high: float, form: str = "{:.1%}") -> None:
    bound = " to ".join(form.format(v) for v in (low, high) if np.isfinite(v))
    word = "" if np.isfinite(low) and np.isfinite(high) else ("≥ " if np.isfinite(low) else "≤ ")
    verdict = "OK" if low <= value <= high else "MISSED"
    print(f"{text:<64} {form.format(value):>8}   {word}{bound:<16} {verdict}", flush=True)


def linear_accuracy(features: np.ndarray, dataset: PreparedDataset) -> float:
    """Validation accuracy of the best of several softmax regressions, which differ in their weight decay."""
    train, val = dataset.indices("train"), dataset.indices("val")
    labels = torch.tensor(dataset.samples["label"].to_numpy(np.int64))
    x = torch.tensor(features, dtype=torch.float32)
    x = (x - x[train].mean(0)) / x[train].std(0).clamp_min(1e-6)
    best = 0.0
    for decay in (1e-2, 1.0):
        layer = torch.nn.Linear(x.shape[1], len(dataset.classes))
        torch.nn.init.zeros_(layer.weight)
        optimizer = torch.optim.LBFGS(
            layer.parameters(), max_iter=40, line_search_fn="strong_wolfe"
        )

        def loss(layer=layer, optimizer=optimizer, decay=decay):
            optimizer.zero_grad()
            value = F.cross_entropy(layer(x[train]), labels[train])
            value = value + decay / 2 * layer.weight.square().sum()
            value.backward()
            return value

        optimizer.step(loss)
        best = max(best, (layer(x[val]).argmax(1) == labels[val]).float().mean().item())
    return best


def look(network: BottleneckNet, run: Run, images: np.ndarray, label: int, boxes: np.ndarray):
    """Predictions, and the heat for `label` inside each box: its share less the box's share of the image.

    Args:
        images: uint8 (B, 64, 64, 3).
        boxes: int (B, 4), inclusive pixels x0, y0, x1, y1.
    """
    rows, labels = np.arange(len(images)), np.full(len(images), label)
    table = localisation.localise(network, images, rows, labels, boxes, run.mean, run.std)
    return table["prediction"].to_numpy(), float(findings.gain(table).mean())


def measure(dataset: PreparedDataset, seed: int, epochs: int) -> None:
    print(f"\nTraining seed {seed}, {epochs} epochs")
    config = from_preset("classroom", dataset=dataset.name, epochs=epochs, seed=seed, device="cpu")
    training = Training.create(config)
    training.train()
    run = training.run
    table, predictions = run.epochs(), run.predictions()
    report("training time, seconds", table["seconds"].sum(), 0, 75, "{:.0f}")
    report("validation accuracy", run.best_accuracy, 0.85, 0.97)
    names = np.array([item.name for item in dataset.classes])
    wrong = predictions[predictions["label"] != predictions["prediction"]]
    pairs = [frozenset(pair) for pair in LOOK_ALIKES]
    mixed = [frozenset(p) in pairs for p in names[wrong[["label", "prediction"]].to_numpy()]]
    report(
        f"share of the {len(wrong)} mistakes within the look-alike pairs", np.mean(mixed), 0.5, 1
    )

    network = run.network()
    cow = dataset.find_class(SHORTCUT)
    right, gain = {}, {}
    for in_meadow in (True, False):
        drawn = [draw("val", cow, number, in_meadow=in_meadow) for number in FRESH]
        images, boxes = (np.stack(part) for part in zip(*drawn, strict=True))
        answers, gain[in_meadow] = look(network, run, images, cow, boxes)
        right[in_meadow] = float((answers == cow).mean())
    text = f"{SHORTCUT}: {right[True]:.1%} in a meadow, {right[False]:.1%} elsewhere; cost"
    report(text, right[True] - right[False], 0.2, np.inf)
    others = {}
    for label in set(range(len(names))) - {cow}:
        rows = dataset.indices("val", label)
        boxes = dataset.samples.loc[rows, ["x0", "y0", "x1", "y1"]].to_numpy(int)
        others[names[label]] = look(network, run, dataset.images[rows], label, boxes)[1]
    print("heat inside the box, less the box's share:")
    print("  " + ", ".join(f"{name} {value:.2f}" for name, value in others.items()))
    lowest = min(others.values())
    text = (
        f"{SHORTCUT} in a meadow {gain[True]:.2f}, elsewhere {gain[False]:.2f}; below the lowest by"
    )
    report(text, lowest - gain[True], 0.05, np.inf, "{:.2f}")
    trained = localisation.localise_split(run, "train")
    wrong_reason = trained[findings.fields(trained) == "right-elsewhere"]
    report(
        f"share of {SHORTCUT}s among the {len(wrong_reason)} training images right for the wrong reason",
        float((wrong_reason["label"] == cow).mean()),
        0.8,
        np.inf,
    )
    found = [names[label] for label in findings.suspects(trained)["label"]]
    report(f"classes that the page suspects: {', '.join(found)}", len(found), 1, 1, "{:.0f}")
    accuracy = predictions.groupby("label")[["label", "prediction"]].apply(
        lambda part: (part["label"] == part["prediction"]).mean()
    )
    print("right: " + ", ".join(f"{n} {a:.0%}" for n, a in zip(names, accuracy, strict=True)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="training seeds")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--skip-linear", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TINYMODEL_DATA"] = os.environ["TINYMODEL_RUNS"] = folder
        began = time.perf_counter()
        dataset = prepare_sample()
        report("drawing the sample, seconds", time.perf_counter() - began, 0, 10, "{:.1f}")
        if not arguments.skip_linear:
            flat = dataset.images.reshape(len(dataset.images), -1)
            report("linear classifier on raw pixels", linear_accuracy(flat, dataset), 0, 0.45)
            colours = dataset.images.mean((1, 2))
            report(
                "linear classifier on the mean colour", linear_accuracy(colours, dataset), 0, 0.25
            )
        first = arguments.first_seed
        for seed in range(first, first + arguments.seeds):
            measure(dataset, seed, arguments.epochs)


if __name__ == "__main__":
    main()
