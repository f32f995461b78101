"""Fixtures for every test: folders of its own, a small dataset, and runs without training."""

import os
from collections import Counter
from pathlib import Path

# Networks of width 4 are no work for several threads, which only wait for one another. Before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
import pytest

from tinymodel.config import TrainConfig
from tinymodel.data.prepared import ClassInfo, PreparedDataset, PreparedWriter, open_dataset
from tinymodel.run_writer import RunWriter
from tinymodel.runs import describe_classes, to_ranges

APP = Path(__file__).resolve().parent.parent / "app"
SENT: Counter[str] = Counter()  # bad inputs of the fuzz tests: through what → how many


def pytest_collection_modifyitems(items) -> None:
    """For pytest-xdist: one process drives the browsers, so that they do not get in each other's way, others do the rest."""
    for item in items:
        group = "browser" if "browser" in item.path.parts else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))


def pytest_sessionfinish(session) -> None:
    if (output := getattr(session.config, "workeroutput", None)) is not None:
        output["sent"] = dict(SENT)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node) -> None:
    SENT.update(getattr(node, "workeroutput", {}).get("sent", {}))


def pytest_terminal_summary(terminalreporter) -> None:
    if SENT:
        parts = ", ".join(f"{count:,} {what}" for what, count in SENT.items())
        terminalreporter.write_line(f"{sum(SENT.values()):,} bad inputs: {parts}")


@pytest.fixture
def folders(tmp_path, monkeypatch) -> Path:
    """Empty data and runs folders that nobody else sees; returns their parent."""
    monkeypatch.setenv("TINYMODEL_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("TINYMODEL_RUNS", str(tmp_path / "runs"))
    return tmp_path


def write_small_dataset(
    name: str = "small", classes: int = 3, train: int = 12, val: int = 4
) -> PreparedDataset:
    """`classes` classes, each of one colour with noise, with boxes: learnable in seconds."""
    generator = np.random.default_rng(0)
    infos = [ClassInfo(f"n{i:08d}", f"colour {i}", f"Images of colour {i}") for i in range(classes)]
    counts = dict(train=train, val=val)
    with PreparedWriter(
        name,
        kind="sample",
        classes=infos,
        fingerprint=f"small-{classes}-{train}-{val}",
        capacity=classes * (train + val),
    ) as writer:
        for split, count in counts.items():
            for label in range(classes):
                colour = np.array([60, 120, 180]) if label == 0 else np.roll([220, 40, 90], label)
                noise = generator.integers(-30, 30, (count, 64, 64, 3))
                images = np.clip(colour + noise, 0, 255).astype(np.uint8)
                box = dict(x0=8, y0=8, x1=47, y1=47)
                rows = [
                    dict(split=split, label=label, source=f"{split}/{label}/{i}", **box)
                    for i in range(count)
                ]
                writer.add(images, rows)
    return open_dataset(name)


@pytest.fixture
def small_dataset(folders) -> PreparedDataset:
    """Three classes, 12 training and 4 validation images each, prepared under the name 'small'."""
    return write_small_dataset()


def run_info(dataset: PreparedDataset, config: TrainConfig, steps_per_epoch: int = 10) -> dict:
    """`run.json` as the training loop writes it, for runs that tests make by hand."""
    subset = dataset.subset(config.classes, config.hold_out_classes, config.per_class)
    return dict(
        config=config.to_json(),
        model=dict(classes=len(subset.classes), width=config.width),
        classes=describe_classes(subset.classes),
        mean=list(dataset.mean),
        std=list(dataset.std),
        fingerprint=dataset.fingerprint,
        train_indices=to_ranges(subset.train),
        val_indices=to_ranges(subset.val),
        train_images=len(subset.train),
        val_images=len(subset.val),
        steps_per_epoch=steps_per_epoch,
        device="cpu",
        precision="fp32",
    )


def add_epoch(writer: RunWriter, epoch: int, steps: int = 10) -> None:
    """Rows of one epoch with plausible curves."""
    for i in range(steps):
        step = (epoch - 1) * steps + i + 1
        done = step / 100
        loss, accuracy = 2.3 * 0.4**done, 1 - 0.9 * 0.3**done
        writer.append("steps", [[step, epoch, 0.1, loss, accuracy, 0.1 * step, 300.0]])
    writer.append("epochs", [[epoch, 0.1, 1.2, loss, accuracy, loss + 0.2, accuracy - 0.1, 300.0]])


@pytest.fixture
def finished_run(small_dataset):
    """A run of three epochs with tables and no weights, named 'small-classroom-1'."""
    config = TrainConfig(dataset="small", epochs=3, width=4)
    writer = RunWriter.create(run_info(small_dataset, config))
    for epoch in (1, 2, 3):
        add_epoch(writer, epoch)
    writer.update(status="finished")
    writer.close()
    return writer.run


@pytest.fixture
def run(finished_run):
    """`finished_run` with weights by chance: enough to look through. Jobs that read it end before its folder goes."""
    import torch

    from tinymodel import checkpoint, jobs
    from tinymodel.network import BottleneckNet

    torch.manual_seed(1)
    weights = BottleneckNet(classes=3, width=4).state_dict()
    state = dict(weights=weights, epoch=2, val_accuracy=0.3)
    checkpoint.save(state, finished_run.folder / "best.pt")
    yield finished_run
    for job in jobs.active():
        job.wait(10)


@pytest.fixture
def app(folders):
    """The whole app in Streamlit's test harness, on empty folders; `app.switch_page("views/train.py")` and so on."""
    from streamlit.testing.v1 import AppTest

    return AppTest.from_file(str(APP / "frame.py"), default_timeout=60)


def write_scored_run(dataset: PreparedDataset, name: str, seed: int = 0, width: int = 2):
    """A finished run with random weights and plausible predictions: about half of them right."""
    import torch

    from tinymodel import checkpoint
    from tinymodel.evaluation import write_predictions
    from tinymodel.network import BottleneckNet

    config = TrainConfig(dataset=dataset.name, epochs=1, width=width)
    writer = RunWriter.create(run_info(dataset, config), name)
    add_epoch(writer, 1)
    writer.update(status="finished")
    writer.close()
    run, classes = writer.run, len(dataset.classes)
    torch.manual_seed(seed)
    weights = BottleneckNet(classes=classes, width=width).state_dict()
    checkpoint.save(dict(weights=weights, epoch=1, val_accuracy=0.5), run.folder / "best.pt")
    labels = dataset.samples["label"].to_numpy(np.int64)[run.val_indices]
    rows = np.arange(len(labels))
    logits = np.random.default_rng(seed).normal(size=(len(labels), classes)) * 1.2
    logits[rows, labels] += 1
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    top = np.argsort(-probabilities, 1)[:, :5]
    top_probabilities = np.take_along_axis(probabilities, top, 1)
    table = dict(
        index=run.val_indices,
        label=labels,
        prediction=top[:, 0],
        confidence=top_probabilities[:, 0],
        true_probability=probabilities[rows, labels],
        loss=-np.log(probabilities[rows, labels]),
        top5=list(top),
        top5_probabilities=list(top_probabilities),
    )
    write_predictions(run.folder, pd.DataFrame(table))
    return run


@pytest.fixture
def scored_run(folders):
    """'scored', of six classes with 15 validation images each, and its predictions."""
    return write_scored_run(write_small_dataset("six", classes=6, train=2, val=15), "scored")
