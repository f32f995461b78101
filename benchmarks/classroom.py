"""What the `classroom` preset reaches on genuine Tiny ImageNet: the first ten sorted ids, 400 training images each.

    python benchmarks/classroom.py [--seeds 3]

Prints the validation accuracy after the last epoch (not the best epoch, which would be chosen on the same images) and
the seconds from start to end, with the choice of the number format, validation and every checkpoint in them.
Wanted: a median of at least 70 % within 180 seconds on two cores with AMX.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time

from tinymodel.config import from_preset
from tinymodel.data.tiny_imagenet import prepare_tiny_imagenet
from tinymodel.paths import archive_path
from tinymodel.training.loop import Training

ACCURACY, SECONDS = 0.70, 180.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    seeds = parser.parse_args().seeds
    if not archive_path().is_file():
        print("The genuine archive is not here: set TINY_IMAGENET_ARCHIVE to its place.")
        return 2
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TINYMODEL_DATA"] = os.environ["TINYMODEL_RUNS"] = folder
        prepare_tiny_imagenet(archive_path(), "genuine")
        accuracies, times = zip(*(train(seed) for seed in range(seeds)), strict=True)
    accuracy, seconds = statistics.median(accuracies), statistics.median(times)
    met = accuracy >= ACCURACY and seconds <= SECONDS
    print(
        f"median of {seeds} seeds: {accuracy:.1%} (wanted {ACCURACY:.0%}) in {seconds:.0f} s (wanted {SECONDS:.0f}): "
        f"{'OK' if met else 'MISSED'}"
    )
    return 0 if met else 1


def train(seed: int) -> tuple[float, float]:
    """Accuracy after the last epoch, a fraction, and seconds."""
    config = from_preset("classroom", dataset="genuine", classes=10, per_class=400, seed=seed)
    began = time.perf_counter()
    training = Training.create(config)
    training.train()
    seconds = time.perf_counter() - began
    run = training.run
    last = float(run.epochs()["val_accuracy"].iloc[-1])
    print(
        f"seed {seed}: {last:.1%} after {config.epochs} epochs in {seconds:.0f} s, best epoch {run.best_accuracy:.1%}, "
        f"{run.info()['precision']}, {run.info()['train_images']} training and {run.info()['val_images']} "
        "validation images",
        flush=True,
    )
    return last, seconds


if __name__ == "__main__":
    sys.exit(main())
