"""The ONNX file: the same logits outside PyTorch, everything needed to use it inside, whole or not there."""

import json
import os

import numpy as np
import pytest
import torch

from tinymodel.errors import UserError
from tinymodel.export import OPSET, export_onnx
from tinymodel.network import BottleneckNet

onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

MEAN, STD = (0.480, 0.448, 0.398), (0.276, 0.269, 0.282)


def trained_like(**options) -> BottleneckNet:
    """A network whose norms have seen data: fresh ones would hide a norm that is exported wrongly."""
    torch.manual_seed(5)
    network = BottleneckNet(classes=7, width=8, **options).train()
    with torch.no_grad():
        for module in network.modules():
            if hasattr(module, "num_groups") or hasattr(module, "running_mean"):
                module.weight.uniform_(0.5, 1.5)
                module.bias.uniform_(-0.5, 0.5)
        network(torch.randn(40, 3, 64, 64) * 2 + 1)
    return network.eval()


def logits_of(file, images: torch.Tensor) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    return session.run(["logits"], {"images": images.numpy()})[0]


@pytest.mark.parametrize(
    ("norm", "convolution", "skip"),
    [
        ("batch", "plain", True),
        ("group", "depthwise-separable", True),
        ("layer", "depthwise", False),
        ("ghost", "plain", False),
    ],
)
def test_onnxruntime_gives_the_same_logits_for_any_batch(tmp_path, norm, convolution, skip):
    network = trained_like(norm=norm, convolution=convolution, skip=skip)
    file = export_onnx(network, tmp_path / "network.onnx", MEAN, STD)
    for batch in (1, 5, 33):
        images = torch.randn(batch, 3, 64, 64)
        expected = network(images).detach().numpy()
        assert np.abs(expected).max() > 0.1
        np.testing.assert_allclose(logits_of(file, images), expected, atol=1e-4, rtol=1e-4)


def test_file_carries_what_its_user_needs(tmp_path, capfd):
    names = ["Egyptian cat", "pão", "c", "d", "e", "f", "g"]
    file = export_onnx(trained_like(), tmp_path / "network.onnx", MEAN, STD, classes=names)
    printed = capfd.readouterr()
    assert printed.out + printed.err == ""

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["classes"]) == names
    assert json.loads(metadata["mean"]) == list(MEAN)
    assert json.loads(metadata["std"]) == list(STD)
    assert json.loads(metadata["options"])["width"] == 8
    assert session.get_inputs()[0].shape == ["batch", 3, 64, 64]
    assert session.get_outputs()[0].shape == ["batch", 7]

    onnx = pytest.importorskip("onnx")
    model = onnx.load(file)
    onnx.checker.check_model(model, full_check=True)
    assert [item.version for item in model.opset_import if item.domain == ""] == [OPSET]
    assert [item.name for item in tmp_path.iterdir()] == ["network.onnx"]


def test_network_is_left_as_it_was(tmp_path):
    network = trained_like().to(memory_format=torch.channels_last).train()
    network.stage1.eval()
    modes = [module.training for module in network.modules()]
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    export_onnx(network, tmp_path / "network.onnx", MEAN, STD)
    assert [module.training for module in network.modules()] == modes
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_failed_export_keeps_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    file = tmp_path / "network.onnx"
    file.write_bytes(b"the old one")

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(UserError, match=r"network\.onnx: No space left on device"):
        export_onnx(trained_like(), file, MEAN, STD)
    assert file.read_bytes() == b"the old one"
    assert [item.name for item in tmp_path.iterdir()] == ["network.onnx"]


def test_place_that_cannot_be_is_refused_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.onnx, "export", lambda *_, **__: pytest.fail("it was exported"))
    with pytest.raises(UserError, match="there is no folder"):
        export_onnx(BottleneckNet(2, 1), tmp_path / "nowhere" / "network.onnx", MEAN, STD)
    with pytest.raises(UserError, match="it is a folder"):
        export_onnx(BottleneckNet(2, 1), tmp_path, MEAN, STD)
    with pytest.raises(ValueError, match="has 2 classes, but 1 names"):
        export_onnx(BottleneckNet(2, 1), tmp_path / "network.onnx", MEAN, STD, classes=["a"])
