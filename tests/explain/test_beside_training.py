"""Explaining while training goes on never touches what is being trained, and leaves nothing behind."""

import gc
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from tinymodel.config import TrainConfig
from tinymodel.explain.gradcam import explain, explain_run
from tinymodel.explain.sanity import check_run
from tinymodel.network import BottleneckNet
from tinymodel.runs import Run
from tinymodel.training.loop import Training

MEAN, STD = (0.48, 0.45, 0.40), (0.28, 0.27, 0.28)


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)


def begin(name: str) -> Training:
    config = TrainConfig(
        dataset="small",
        epochs=5,
        width=4,
        batch_size=6,
        device="cpu",
        precision="fp32",
    )
    return Training.create(config, name)


def test_training_gives_the_same_numbers_with_explanations_beside_it(small_dataset, image):
    begin("alone").train()
    training, failures = begin("beside"), []

    def train() -> None:
        try:
            training.train()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=train)
    thread.start()
    epochs, count = set(), 0
    run = training.run
    while thread.is_alive():
        if run.has_weights:
            for layer in ("first", "stage3.residual2"):
                epochs.add(explain_run(run, image, layer=layer).epoch)
                count += 1
            if count % 20 == 0:
                check_run(run, image)
    thread.join()
    assert not failures
    assert count > 20
    assert len(epochs) > 1  # it was explained in several states
    alone, beside = Run.open("alone"), Run.open("beside")
    for table in ("steps", "epochs"):
        expected, found = getattr(alone, table)(), getattr(beside, table)()
        columns = [column for column in expected if "second" not in column]  # not the speed
        np.testing.assert_array_equal(found[columns], expected[columns])
    for expected, found in zip(
        alone.network("last").state_dict().values(),
        beside.network("last").state_dict().values(),
        strict=True,
    ):
        assert torch.equal(expected, found)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="counts memory as Linux does")
def test_a_thousand_maps_leave_no_hooks_and_no_memory_behind(image):
    torch.manual_seed(0)
    network = BottleneckNet(classes=3, width=2).eval()

    def explained(times: int) -> int:
        """Bytes of this process after so many maps."""
        for number in range(times):
            layer = ("first", "stage2.residual2", "stage3.residual2")[number % 3]
            explain(network, image, MEAN, STD, layer=layer, target=number % 3)
        gc.collect()
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    before = explained(60)  # whatever is allocated once
    after = explained(1000)
    assert after - before < 4e6  # one map's activations alone are 1 MB: a leak would be hundreds
    for module in network.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
        assert not module._backward_hooks
    assert all(weight.grad is None for weight in network.parameters())
