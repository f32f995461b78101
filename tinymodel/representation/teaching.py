"""New classes for an old network: a classifier stacked on layer k, taught from a few images in seconds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from tinymodel import checkpoint
from tinymodel.data import ClassInfo
from tinymodel.errors import UserError
from tinymodel.evaluation import evaluate_run, write_predictions
from tinymodel.network import BLOCKS, BottleneckNet
from tinymodel.representation.features import Study, extract, precision_here
from tinymodel.representation.probes import LinearProbe, fit_linear
from tinymodel.run_writer import RunWriter
from tinymodel.runs import Run, describe_classes, to_ranges

SHOTS = (1, 5, 20)  # images a class
TESTED = 100  # images a class at most
STEPS = 30  # of learning: after that hardly anything changes
DRAWS = 5  # of the images to learn from: with few of them luck matters
# Stronger than that of the ladder. On five classes never seen, from 1, 5, 20 images a class, at the last layer: 40, 56,
# 67 % with 1 and 40, 55, 63 % with 0.01 (means of eight draws), and less certain of what is wrong.
WEIGHT_DECAY = 1.0
NO_IMAGES = np.zeros((0, 64, 64, 3), np.uint8)
OWN = (
    "own-photographs"  # the name of a dataset that does not exist: nobody's photographs are stored
)

Report = Callable[[float, str], None]


@dataclass(frozen=True)
class Lesson:
    """A new classifier on layer `layer` of a run, what it learned from, and how that went."""

    run: Run
    layer: str
    classes: tuple[ClassInfo, ...]
    shots: int  # images a class that were asked for; a class that has fewer gave all it has
    probe: LinearProbe
    history: (
        pd.DataFrame
    )  # step, train_loss, train_accuracy, val_loss, val_accuracy (NaN if there is nothing to test)
    train_rows: np.ndarray  # of the dataset; one's own photographs are in none
    own_learned: np.ndarray  # uint8 (m, 64, 64, 3): photographs that it learned from
    test_rows: np.ndarray
    test_labels: np.ndarray  # of `test_rows`, then of `own_tests`
    own_tests: np.ndarray  # uint8 (m, 64, 64, 3): photographs that it did not learn from
    predictions: np.ndarray  # of the same

    @property
    def accuracy(self) -> float | None:
        """The share of right answers on images that it did not learn from; None if there are none."""
        return (
            float((self.predictions == self.test_labels).mean()) if len(self.predictions) else None
        )


def teach(
    run: Run,
    study: Study | None,
    layer: str,
    labels: Sequence[int],
    own: Mapping[str, np.ndarray],
    shots: int,
    draw: int = 0,
    own_features: np.ndarray | None = None,
) -> Lesson:
    """Stack a new linear classifier on the frozen layer `layer` and teach it `shots` images of every class.

    Args:
        study: The run's images; None if its dataset is not here, then only one's own photographs can be taught.
        labels: Classes of the study, by label.
        own: Photographs, uint8 (n, 64, 64, 3) by the name of their class.
        draw: Another number draws other images to learn from; 0 takes the first photographs.
        own_features: Of all photographs in order, float32 (n, d), if `describe_photographs` has been asked already.

    Raises:
        UserError: There are fewer than two classes, or a class has no image.
    """
    names = [*(study.classes[label].name for label in labels), *own]
    if len(names) < 2:
        raise UserError(
            "A classifier needs at least two classes to tell apart: choose or add another one."
        )
    for name, images in own.items():
        if not len(images):
            raise UserError(f"The class {name!r} has no picture yet: add at least one.")
    classes = [study.classes[label] for label in labels]
    classes += [ClassInfo(f"own-{number}", name) for number, name in enumerate(own, 1)]
    learn, test = _split_dataset(study, labels, shots, draw)
    pictures = np.concatenate([NO_IMAGES, *own.values()])
    kinds = np.repeat(np.arange(len(labels), len(names)), [len(each) for each in own.values()])
    own_learn, own_test = _split_own(kinds, shots, draw)
    if own_features is None and len(pictures):
        own_features = describe_photographs(run, pictures, layer)
    position = {label: number for number, label in enumerate(labels)}

    def gather(positions: np.ndarray, photographs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Features and labels of images of the study and of photographs."""
        features, targets = [], []
        if len(positions):
            features.append(study.features(layer, positions))
            targets.append([position[label] for label in study.labels[positions]])
        if len(photographs):
            features.append(own_features[photographs])
            targets.append(kinds[photographs])
        if not features:
            return np.zeros((0, 1), np.float32), np.zeros(0, np.int64)
        return np.concatenate(features), np.concatenate(targets).astype(np.int64)

    inputs, targets = gather(learn, own_learn)
    asked, expected = gather(test, own_test)
    rows = []

    def record(step: int, probe: LinearProbe, loss: float) -> None:
        right = (probe.predict(inputs) == targets).mean()
        val_loss = val_accuracy = float("nan")
        if len(expected):
            scores = asked @ probe.weight.T + probe.bias
            val_accuracy = (scores.argmax(1) == expected).mean()
            log_sums = np.logaddexp.reduce(scores, axis=1)
            val_loss = (log_sums - scores[np.arange(len(scores)), expected]).mean()
        rows.append((step, loss, right, val_loss, val_accuracy))

    probe = fit_linear(
        inputs,
        targets,
        len(classes),
        steps=STEPS,
        weight_decay=WEIGHT_DECAY,
        each_step=record,
    )
    columns = ["step", "train_loss", "train_accuracy", "val_loss", "val_accuracy"]
    none = np.arange(0)
    return Lesson(
        run=run,
        layer=layer,
        classes=tuple(classes),
        shots=shots,
        probe=probe,
        history=pd.DataFrame(rows, columns=columns),
        train_rows=study.rows[learn] if len(learn) else none,
        own_learned=pictures[own_learn],
        test_rows=study.rows[test] if len(test) else none,
        test_labels=expected,
        own_tests=pictures[own_test],
        predictions=probe.predict(asked) if len(expected) else none,
    )


def stack(lesson: Lesson) -> BottleneckNet:
    """The network cut after the lesson's layer, with the new classifier on it; on the CPU, in eval mode."""
    base = lesson.run.network("best")
    depth = BLOCKS.index(lesson.layer) + 1
    network = BottleneckNet(**base.options | dict(classes=len(lesson.classes), depth=depth))
    kept = base.state_dict()
    new = {
        "classifier.weight": torch.from_numpy(lesson.probe.weight.copy()),
        "classifier.bias": torch.from_numpy(lesson.probe.bias.copy()),
    }
    network.load_state_dict({key: new.get(key, kept.get(key)) for key in network.state_dict()})
    return network.eval()


def save(lesson: Lesson, name: str | None = None) -> Run:
    """Keep the lesson as a run of its own, which every page can open. Of photographs nothing is kept but what they taught.

    Raises:
        UserError: There is already a run of this name.
    """
    base = lesson.run
    info = base.info()
    from_dataset = len(lesson.train_rows) > 0
    network = stack(lesson)
    config = base.config.replace(
        preset="stacked",
        dataset=base.config.dataset if from_dataset else OWN,
        classes=tuple(item.wnid for item in lesson.classes),
        hold_out_classes=0,
        per_class=lesson.shots if lesson.shots > 1 else None,
        epochs=1,
        batch_size=max(2, min(4096, len(lesson.train_rows))),
    )
    # What the frozen blocks have seen: of a network that is stacked itself, what the one below learned from.
    body = info.get("stacked_on", info)["classes"]
    writer = RunWriter.create(
        dict(
            config=config.to_json(),
            model=network.options,
            parameters=sum(parameter.numel() for parameter in network.parameters()),
            stacked_on=dict(run=base.name, layer=lesson.layer, shots=lesson.shots, classes=body),
            classes=describe_classes(lesson.classes),
            held_out=[],
            mean=list(base.mean),
            std=list(base.std),
            fingerprint=info["fingerprint"] if from_dataset else OWN,
            train_images=len(lesson.train_rows),
            val_images=len(lesson.test_rows),
            steps_per_epoch=STEPS,
            train_indices=to_ranges(lesson.train_rows),
            val_indices=to_ranges(lesson.test_rows),
            device="cpu",
            precision=precision_here(base),
            versions=info.get("versions", {}),
        ),
        name or _free_name(base),
    )
    run = writer.run
    try:
        weights = dict(weights=network.state_dict(), epoch=1, val_accuracy=lesson.accuracy or 0.0)
        checkpoint.save(weights, run.folder / "best.pt")
        _write_tables(writer, lesson)
        if len(lesson.test_rows):
            evaluate_run(run)
        else:
            write_predictions(run.folder, _no_predictions())
        writer.update(status="finished")
    except BaseException:
        writer.close()
        run.delete()
        raise
    writer.close()
    return run


def try_out(
    lesson: Lesson, images: np.ndarray, layer: str | None = None, report: Report | None = None
) -> list:
    """What the new network says of each image, uint8 (n, 64, 64, 3), and where it looked (`explain.gradcam.Explanation`)."""
    from tinymodel.explain.gradcam import explain

    network, found = stack(lesson), []
    for number, image in enumerate(images):
        if report:
            report(number / len(images), f"Looking at picture {number + 1} of {len(images)}")
        found.append(
            explain(network, image, lesson.run.mean, lesson.run.std, layer=layer or lesson.layer)
        )
    return found


def _split_dataset(
    study: Study | None, labels: Sequence[int], shots: int, draw: int
) -> tuple[np.ndarray, np.ndarray]:
    """Positions in the study to learn from and to be tested on."""
    learn, test = [np.arange(0)], [np.arange(0)]
    for label in labels:
        pool = study.of_classes([label], validation=False)
        pool = np.random.default_rng([draw, label]).permutation(pool)
        # The same ones for every number of shots, as far as there are enough.
        first = max(shots, min(max(SHOTS), len(pool) // 2))
        spare = pool[first:] if label >= study.seen else pool[:0]
        learn.append(pool[:shots])
        test.append(np.concatenate([study.of_classes([label]), spare])[:TESTED])
        if not len(pool):
            raise UserError(
                f"The dataset has no training image of the class {study.classes[label].name!r}."
            )
    return np.concatenate(learn), np.concatenate(test)


def _split_own(kinds: np.ndarray, shots: int, draw: int) -> tuple[np.ndarray, np.ndarray]:
    """Of photographs of the classes `kinds`: which to learn from and which to be tested on."""
    learn, test = [np.arange(0)], [np.arange(0)]
    for label in np.unique(kinds):
        pool = np.flatnonzero(kinds == label)
        if draw:
            pool = np.random.default_rng([draw, label]).permutation(pool)
        learn.append(pool[:shots])
        test.append(pool[shots:])
    return np.concatenate(learn), np.concatenate(test)


def describe_photographs(run: Run, images: np.ndarray, layer: str) -> np.ndarray:
    """Features float32 (n, d) of photographs, uint8 (n, 64, 64, 3)."""
    network = run.network("best").to(memory_format=torch.channels_last)
    found = extract(
        network, images, np.arange(len(images)), run.mean, run.std, precision=precision_here(run)
    )
    return found[layer]


def _write_tables(writer: RunWriter, lesson: Lesson) -> None:
    """The steps of learning, and one epoch: how it ended. Without a test there is no epoch to write."""
    images = lesson.shots * len(lesson.classes)
    history = lesson.history.iloc[1:]
    writer.append(
        "steps",
        [
            (row.step, 1, 0, row.train_loss, row.train_accuracy, 0, images)
            for row in history.itertuples()
        ],
    )
    if lesson.accuracy is not None:
        last = history.iloc[-1]
        values = (last.train_loss, last.train_accuracy, last.val_loss, last.val_accuracy)
        writer.append("epochs", [(1, 0, 0, *values, 0)])


def _free_name(base: Run) -> str:
    """'pets-classroom-1-taught-1' …"""
    stem = f"{base.name[:45]}-taught"
    return next(
        name
        for number in range(1, 100_000)
        if not (base.folder.parent / (name := f"{stem}-{number}")).exists()
    )


def _no_predictions() -> pd.DataFrame:
    """What `evaluation.evaluate` gives, of no images."""
    columns = dict(index=np.int64, label=np.int64, prediction=np.int64)
    columns |= dict.fromkeys(("confidence", "true_probability", "loss"), np.float32)
    columns |= dict.fromkeys(("top5", "top5_probabilities"), object)
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in columns.items()})
