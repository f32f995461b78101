"""What each trick of the recipe brings, on genuine Tiny ImageNet: python benchmarks/recipes.py [--final]

Screening (the default): one seed of the `fast` preset as it is, and with one thing changed at a time, judged on a split
held out of *training*: the last 50 of the 400 training images of every class. Validation images are not looked at.

--final: `fast` against `reference`, three seeds each, on all training images, judged on validation. Wanted: `fast` ahead by
more than two standard errors of the difference of the means. Width, epochs and images are the same for both.

The first 20 sorted ids, quarter width, 10 epochs. Prints one row as soon as it is known; about three minutes each on two
cores.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time

import numpy as np

from tinymodel.config import from_preset
from tinymodel.data import PreparedDataset, open_dataset
from tinymodel.data.prepared import PreparedWriter
from tinymodel.data.tiny_imagenet import prepare_tiny_imagenet
from tinymodel.paths import archive_path
from tinymodel.training.loop import Training

CLASSES, HELD_OUT = 20, 50  # classes; images of each
SEEDS = 3
CHANGES = {
    "as it is": {},
    "SGD 0.3 instead of Muon": dict(optimizer="sgd"),
    "rate set per epoch, not down to zero": dict(schedule="per-epoch"),
    "norms and biases decayed too": dict(decay_norms=True),
    "no label smoothing": dict(label_smoothing=0.0),
    "flip by chance": dict(alternating_flip=False),
    "full-size images throughout": dict(start_side=64),
    "batches of 64": dict(batch_size=64),
    "averaged weights": dict(weight_averaging=0.5),
    "Mixup 0.3": dict(mix="mixup"),
    "CutMix 0.3": dict(mix="cutmix"),
    "RICAP 0.3": dict(mix="ricap"),
    "the reference's augmentation": dict(
        crop_padding=3, crop_fill="zero", affine=0.5, brightness_contrast=0.3, dropout_hole=1.0
    ),
}


def hold_out(dataset: PreparedDataset) -> PreparedDataset:
    """A dataset whose 'validation' images are training images that are no longer trained on."""
    labels = range(CLASSES)
    with PreparedWriter(
        "screening",
        kind=dataset.kind,
        classes=dataset.classes[:CLASSES],
        fingerprint=f"{dataset.fingerprint}-held-out-{HELD_OUT}",
        capacity=500 * CLASSES,
    ) as writer:
        for label in labels:
            rows = dataset.indices("train", label)
            for split, part in (("train", rows[:-HELD_OUT]), ("val", rows[-HELD_OUT:])):
                table = dataset.samples.iloc[part].assign(split=split).to_dict("records")
                writer.add(np.asarray(dataset.images[part]), table)
    return open_dataset("screening")


def train(
    preset: str, dataset: str, seed: int, epochs: int, **changes
) -> tuple[float, float, float]:
    """Accuracy after the last epoch, plain and flip-averaged, as fractions, and seconds."""
    values = dict(width=16, epochs=epochs, classes=CLASSES, flip_average=True) | changes
    training = Training.create(from_preset(preset, dataset=dataset, seed=seed, **values))
    began = time.perf_counter()
    training.train()
    seconds = time.perf_counter() - began
    last = float(training.run.epochs()["val_accuracy"].iloc[-1])
    return last, training.run.info()["flip_averaged_accuracy"], seconds


def screen(epochs: int, only: list[str]) -> None:
    dataset = hold_out(open_dataset("genuine"))
    count = len(dataset.indices("val"))
    print(
        f"{count} held-out training images; one seed, standard error about {50 / count**0.5:.1f} points"
    )
    for name, change in CHANGES.items():
        if only and not any(word in name for word in only):
            continue
        plain, flipped, seconds = train("fast", dataset.name, 0, epochs, **change)
        print(
            f"{name:<40} {plain:6.1%}  (flip-averaged {flipped:6.1%})  {seconds:4.0f} s", flush=True
        )


def compare(epochs: int) -> bool:
    found = {}
    for preset in ("fast", "reference"):
        results = [train(preset, "genuine", seed, epochs) for seed in range(SEEDS)]
        found[preset] = [plain for plain, _, _ in results]
        flipped = statistics.mean(value for _, value, _ in results)
        seconds = statistics.median(taken for _, _, taken in results)
        print(
            f"{preset:<10} {', '.join(f'{value:.1%}' for value in found[preset])}  mean "
            f"{statistics.mean(found[preset]):.1%} (flip-averaged {flipped:.1%})  {seconds:.0f} s a run",
            flush=True,
        )
    ahead = statistics.mean(found["fast"]) - statistics.mean(found["reference"])
    error = sum(statistics.variance(values) / SEEDS for values in found.values()) ** 0.5
    met = ahead > 2 * error
    print(
        f"fast is ahead by {100 * ahead:.1f} points, {ahead / error:.1f} standard errors: {'OK' if met else 'MISSED'}"
    )
    return met


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--final", action="store_true", help="fast against reference on validation")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument(
        "--only", nargs="*", default=[], help="words in the names of the rows wanted"
    )
    options = parser.parse_args()
    if not archive_path().is_file():
        print("The genuine archive is not here: set TINY_IMAGENET_ARCHIVE to its place.")
        return 2
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TINYMODEL_DATA"] = os.environ["TINYMODEL_RUNS"] = folder
        prepare_tiny_imagenet(archive_path(), "genuine")
        if options.final:
            return 0 if compare(options.epochs) else 1
        screen(options.epochs, options.only)
    return 0


if __name__ == "__main__":
    sys.exit(main())
