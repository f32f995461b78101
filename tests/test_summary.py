"""The summary tells of the real network: figures checked against other ways of finding them."""

import copy

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from tinymodel.network import CONVOLUTIONS, NORMS, BottleneckNet
from tinymodel.summary import summarize, summarize_blocks, summarize_design


def test_totals_at_full_width_are_those_of_the_reference():
    layers = summarize(BottleneckNet(classes=200))
    assert sum(layer.parameters for layer in layers) == 14_085_000
    assert sum(layer.multiply_adds for layer in layers) / 1e9 == pytest.approx(2.88, abs=0.005)


@pytest.mark.parametrize("convolution", CONVOLUTIONS)
def test_parameters_and_multiply_adds_agree_with_torchs_own_count(convolution):
    network = BottleneckNet(classes=10, width=8, convolution=convolution).eval()
    with FlopCounterMode(display=False) as counter:
        network(torch.randn(1, 3, 64, 64))
    layers = summarize(network)
    assert 2 * sum(layer.multiply_adds for layer in layers) == counter.get_total_flops()
    assert sum(layer.parameters for layer in layers) == sum(p.numel() for p in network.parameters())


def test_output_shapes_are_those_of_a_real_pass():
    network = BottleneckNet(classes=7, width=4, convolution="depthwise-separable").eval()
    shapes = {}
    for name, module in network.named_modules():
        module.register_forward_hook(lambda _m, _i, y, name=name: shapes.update({name: y.shape}))
    network(torch.randn(1, 3, 64, 64))
    for layer in summarize(network):
        assert layer.output_shape == (*shapes[layer.name][1:], 1, 1)[:3]


def test_receptive_field_is_how_far_a_real_gradient_reaches():
    # With positive weights, no norms and mean instead of maximum, every dependence shows in the gradient.
    torch.manual_seed(0)
    network = copy.deepcopy(BottleneckNet(classes=2, width=1)).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_().add_(0.1)
    for block in network.blocks().values():
        for name, module in list(block.named_children()):
            if isinstance(module, nn.BatchNorm2d):
                setattr(block, name, nn.Identity())
            if isinstance(module, nn.MaxPool2d):
                setattr(block, name, nn.AvgPool2d(2))
    fields = {block.name: block.receptive_field for block in summarize_blocks(BottleneckNet(2, 1))}
    image = torch.rand(1, 3, 256, 256, dtype=torch.float64, requires_grad=True)
    x = image
    for name, block in network.blocks().items():
        x = block(x)
        middle = x.shape[-1] // 2
        (gradient,) = torch.autograd.grad(x[0, 0, middle, middle], image, retain_graph=True)
        rows = gradient[0, 0].any(dim=1).nonzero()
        assert int(rows.max() - rows.min()) + 1 == fields[name], name


def test_receptive_field_of_each_block():
    blocks = summarize_design(classes=10, width=4)
    assert [block.receptive_field for block in blocks[:-2]] == [5, 8, 16, 24, 30, 46, 62, 74, 106, 138]  # fmt: skip


@pytest.mark.parametrize("norm", NORMS)
def test_kinds_name_the_chosen_norm(norm):
    kinds = {layer.kind for layer in summarize(BottleneckNet(classes=2, width=16, norm=norm))}
    names = {
        "batch": "batch norm",
        "group": "group norm (16 groups)",
        "layer": "layer norm",
        "ghost": "ghost batch norm",
    }
    assert kinds & set(names.values()) == {names[norm]}


def test_network_is_left_as_it_was():
    network = BottleneckNet(classes=3, width=4).train()
    network.stage2.eval()
    modes = [module.training for module in network.modules()]
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    summarize(network)
    assert [module.training for module in network.modules()] == modes
    assert not any(module._forward_hooks for module in network.modules())
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, state[name]), name

    network.stage3.forward = None  # a pass that fails leaves no hook either
    with pytest.raises(TypeError):
        summarize(network)
    assert [module.training for module in network.modules()] == modes
    assert not any(module._forward_hooks for module in network.modules())


def test_blocks_hold_every_layer_once_and_know_what_they_are():
    network = BottleneckNet(classes=3, width=4)
    blocks = summarize_blocks(network)
    assert [layer for block in blocks for layer in block.layers] == summarize(network)
    assert [block.name for block in blocks] == [*network.blocks(), "pool", "classifier"]
    assert [block.kind for block in blocks] == [
        "first", *["bottleneck", "residual", "residual"] * 3, "pool", "classifier"
    ]  # fmt: skip
    assert [block.name for block in blocks if block.skip] == [
        f"stage{i}.residual{j}" for i in (1, 2, 3) for j in (1, 2)
    ]
    assert not any(block.skip for block in summarize_blocks(BottleneckNet(3, 4, skip=False)))


def test_design_is_summarized_without_weights():
    options = dict(classes=12, width=8, norm="group", convolution="depthwise-separable", skip=False)
    assert summarize_design(**options) == summarize_blocks(BottleneckNet(**options))
    with pytest.raises(ValueError, match="norm must be one of"):
        summarize_design(norm="instance")
