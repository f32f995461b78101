"""The network is the reference's, computed anew here from the field notes; every option does what it says."""

import math

import pytest
import torch
from torch import nn

from tinymodel.network import (
    CONVOLUTIONS,
    NORMS,
    BottleneckNet,
    GhostBatchNorm2d,
    block_title,
    make_norm,
)


class AddInput(nn.Sequential):
    """The layers, then the input added, then ReLU."""

    def forward(self, x):
        return torch.relu(super().forward(x) + x)


def reference(classes: int = 200, width: int = 64) -> nn.Sequential:
    """The field notes' network, written out without anything from tinymodel.network."""

    def conv(c_in, c_out):
        return nn.Conv2d(c_in, c_out, 3, padding=1, bias=False)

    def residual(c):
        return AddInput(
            conv(c, c), nn.BatchNorm2d(c), nn.ReLU(), conv(c, c), nn.BatchNorm2d(c)
        )  # fmt: skip

    layers = [conv(3, width), nn.BatchNorm2d(width), nn.ReLU()]
    layers += [conv(width, width), nn.BatchNorm2d(width), nn.ReLU()]
    for c in (width, 2 * width, 4 * width):
        layers += [conv(c, 2 * c), nn.MaxPool2d(2), nn.BatchNorm2d(2 * c), nn.ReLU()]
        layers += [residual(2 * c), residual(2 * c)]
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8 * width, classes)]
    return nn.Sequential(*layers)


def test_full_width_has_the_parameters_of_the_reference():
    network = BottleneckNet(classes=200)
    assert sum(p.numel() for p in network.parameters()) == 14_085_000
    assert sum(p.numel() for p in BottleneckNet(200, width=16).parameters()) == 901_752


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_same_function_and_gradients_as_an_independent_transcription(training):
    # In float64: through 17 layers of sums over thousands of products, two correct orders of summation differ by
    # about 1e-5 in float32 gradients, so only there can 1e-5 tell a wrong layer from rounding.
    torch.manual_seed(1)
    ours, theirs = BottleneckNet(classes=200).double(), reference().double()
    with torch.no_grad():
        for (
            module
        ) in ours.modules():  # as after training: fresh norms would hide one that is misplaced
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.bias.uniform_(-0.5, 0.5)
                module.running_mean.uniform_(-0.5, 0.5)
                module.running_var.uniform_(0.5, 2.0)
        for kind in ("parameters", "buffers"):
            pairs = list(zip(getattr(ours, kind)(), getattr(theirs, kind)(), strict=True))
            assert all(mine.shape == other.shape for mine, other in pairs)
            for mine, other in pairs:
                other.copy_(mine)

    images, labels = torch.randn(2, 3, 64, 64, dtype=torch.float64), torch.tensor([3, 141])
    results = []
    for network in (ours.train(training), theirs.train(training)):
        logits = network(images)
        nn.functional.cross_entropy(logits, labels).backward()
        results.append((logits.detach(), [p.grad for p in network.parameters()]))
    (logits, gradients), (expected_logits, expected_gradients) = results
    assert logits.abs().max() > 0.1
    torch.testing.assert_close(logits, expected_logits, rtol=0, atol=1e-5)
    for gradient, expected in zip(gradients, expected_gradients, strict=True):
        assert expected.abs().max() > 1e-4
        torch.testing.assert_close(gradient, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("convolution", CONVOLUTIONS)
def test_convolutions_begin_xavier_uniform_and_norms_neutral(convolution):
    network = BottleneckNet(classes=10, width=32, convolution=convolution)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            out, into, *kernel = module.weight.shape
            area = math.prod(kernel)
            bound = math.sqrt(6 / (into * area + out * area))
            weight = module.weight.detach().flatten()
            assert weight.abs().max() <= bound
            if weight.numel() >= 800:  # enough numbers to see the shape of their distribution
                assert weight.abs().max() > 0.98 * bound
                assert weight.std() == pytest.approx(bound / math.sqrt(3), rel=0.1)
        if isinstance(module, nn.BatchNorm2d):
            assert torch.equal(module.weight, torch.ones_like(module.weight))
            assert torch.equal(module.bias, torch.zeros_like(module.bias))


@pytest.mark.parametrize("skip", [True, False])
@pytest.mark.parametrize("convolution", CONVOLUTIONS)
@pytest.mark.parametrize("norm", NORMS)
def test_every_option_learns_with_every_other(norm, convolution, skip):
    torch.manual_seed(0)
    network = BottleneckNet(classes=5, width=4, norm=norm, convolution=convolution, skip=skip)
    assert network.options == dict(
        classes=5, width=4, norm=norm, convolution=convolution, skip=skip
    )
    logits = network(torch.randn(4, 3, 32, 32))
    assert logits.shape == (4, 5)
    logits.square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_convolutions_are_what_they_are_called():
    def weights(convolution):
        network = BottleneckNet(classes=10, width=16, convolution=convolution)
        # Only residual blocks have the option: else depthwise channels would never meet.
        assert network.first.conv2.weight.shape == (16, 16, 3, 3)
        assert network.stage1.bottleneck.conv.weight.shape == (32, 16, 3, 3)
        return [tuple(p.shape) for p in network.stage1.residual1.conv1.parameters()]

    assert weights("plain") == [(32, 32, 3, 3)]
    assert weights("depthwise") == [(32, 1, 3, 3)]
    assert weights("depthwise-separable") == [(32, 1, 3, 3), (32, 32, 1, 1)]


def test_without_skip_the_input_is_not_added():
    def silenced(skip):
        block = BottleneckNet(classes=2, width=4, skip=skip).stage1.residual1.eval()
        nn.init.zeros_(block.norm2.weight)
        return block

    x = torch.rand(1, 8, 16, 16)
    assert torch.equal(silenced(True)(x), x)
    assert torch.equal(silenced(False)(x), torch.zeros_like(x))


@pytest.mark.parametrize(
    ("channels", "groups"), [(1, 1), (4, 4), (16, 16), (64, 16), (20, 10), (24, 12)]
)
def test_group_norm_finds_groups_for_any_number_of_channels(channels, groups):
    assert make_norm("group", channels).num_groups == groups


def test_layer_norm_takes_all_channels_of_an_image_together():
    x = 3 * torch.randn(2, 8, 16, 16) + torch.arange(8.0).view(1, 8, 1, 1)
    y = make_norm("layer", 8)(x)
    torch.testing.assert_close(y.mean(dim=(1, 2, 3)), torch.zeros(2), atol=1e-5, rtol=0)
    assert y[:, 0].mean() < -0.5  # single channels keep their differences


def test_ghost_batch_norm_takes_its_statistics_from_32_images_at_a_time():
    torch.manual_seed(0)
    scale = torch.arange(1.0, 81.0).view(80, 1, 1, 1)
    x = scale * torch.randn(80, 3, 4, 4) + scale
    norm = GhostBatchNorm2d(3)
    parts = norm(x).split(32)
    assert [len(part) for part in parts] == [32, 32, 16]
    for part, own in zip(parts, x.split(32), strict=True):
        alone = nn.functional.batch_norm(own, None, None, training=True)
        torch.testing.assert_close(part, alone)
    assert not torch.allclose(torch.cat(parts), nn.BatchNorm2d(3)(x), atol=0.1)

    assert norm.num_batches_tracked == 3
    plain = nn.BatchNorm2d(3).eval()
    plain.load_state_dict(norm.state_dict())
    assert torch.equal(norm.eval()(x), plain(x))  # afterwards like any batch norm


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (dict(norm="instance"), "norm must be one of batch, group, layer, ghost, not 'instance'."),
        (
            dict(convolution="dilated"),
            "convolution must be one of plain, depthwise, depthwise-separable, not 'dilated'.",
        ),
        (dict(width=0), "width and classes must be at least 1, not 0 and 200."),
        (dict(classes=0), "width and classes must be at least 1, not 64 and 0."),
    ],
)
def test_wrong_options_are_refused_with_the_choices(options, sentence):
    with pytest.raises(ValueError) as refusal:
        BottleneckNet(**options)
    assert str(refusal.value) == sentence


def test_blocks_are_the_ten_blocks_in_order_with_the_shapes_of_the_notes():
    network = BottleneckNet(classes=10, width=4).eval()
    blocks = network.blocks()
    shapes, x = [], torch.randn(1, 3, 64, 64)
    for name, block in blocks.items():
        assert network.get_submodule(name) is block
        x = block(x)
        shapes.append(tuple(x.shape[1:]))
    assert list(blocks) == ["first"] + [
        f"stage{stage}.{block}"
        for stage in (1, 2, 3)
        for block in ("bottleneck", "residual1", "residual2")
    ]
    assert shapes == [(4, 64, 64)] + [(8, 32, 32)] * 3 + [(16, 16, 16)] * 3 + [(32, 8, 8)] * 3


def test_block_titles_are_for_people():
    assert block_title("first") == "First block"
    assert block_title("stage2.bottleneck") == "Stage 2 · bottleneck"
    assert block_title("stage3.residual2") == "Stage 3 · residual 2"


@pytest.mark.parametrize(
    ("depth", "channels"), [(1, 4), (2, 8), (4, 8), (5, 16), (7, 16), (9, 32), (10, 32)]
)
def test_a_network_cut_after_a_block_is_the_beginning_of_the_whole_one(depth, channels):
    torch.manual_seed(3)
    whole = BottleneckNet(classes=5, width=4).eval()
    cut = BottleneckNet(classes=2, width=4, depth=depth).eval()
    assert list(cut.blocks()) == list(whole.blocks())[:depth]
    assert cut.classifier.in_features == channels
    weights = cut.state_dict()
    body = {key: w for key, w in whole.state_dict().items() if not key.startswith("classifier")}
    cut.load_state_dict({key: body.get(key, weight) for key, weight in weights.items()})

    kept = {}
    name = list(cut.blocks())[-1]
    whole.get_submodule(name).register_forward_hook(lambda m, i, output: kept.update(out=output))
    images = torch.randn(2, 3, 64, 64)
    whole(images)
    torch.testing.assert_close(cut(images), cut.classifier(kept["out"].mean((2, 3))))
    assert BottleneckNet(**cut.options).load_state_dict(cut.state_dict())


def test_a_depth_that_does_not_exist_is_refused():
    for depth in (0, 11):
        with pytest.raises(ValueError, match="depth must be between 1 and 10"):
            BottleneckNet(classes=2, width=4, depth=depth)
