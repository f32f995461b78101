"""A run with weights, which has never seen two of its dataset's five classes."""

import pytest
import torch
from conftest import add_epoch, run_info, write_small_dataset

from tinymodel import checkpoint
from tinymodel.config import TrainConfig
from tinymodel.network import BottleneckNet
from tinymodel.run_writer import RunWriter
from tinymodel.runs import Run, describe_classes

WIDTH = 4


def make_run() -> Run:
    """In the folders of the environment: 'small-classroom-1', width 4, three classes trained, two held out."""
    dataset = write_small_dataset(classes=5)
    config = TrainConfig(dataset="small", epochs=1, width=WIDTH, hold_out_classes=2)
    subset = dataset.subset(hold_out=2)
    info = run_info(dataset, config) | dict(held_out=describe_classes(subset.held_out))
    writer = RunWriter.create(info)
    add_epoch(writer, 1)
    torch.manual_seed(1)
    weights = BottleneckNet(classes=3, width=WIDTH).state_dict()
    checkpoint.save(dict(weights=weights, epoch=1, val_accuracy=0.5), writer.folder / "best.pt")
    writer.update(status="finished")
    writer.close()
    return writer.run


@pytest.fixture
def run(folders) -> Run:
    return make_run()
