"""What a network is made of, measured on the network itself: shapes, parameters, multiply-adds, receptive fields."""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from tinymodel.dropout import GuidedDropout
from tinymodel.network import BottleneckNet, GhostBatchNorm2d, Residual, block_title


@dataclass(frozen=True)
class LayerSummary:
    """One layer, as it was met in a forward pass of one image."""

    name: str
    """The dotted name under which `network.get_submodule` finds it."""
    kind: str
    """What it does, for people: 'convolution 3×3', 'batch norm', 'ReLU'."""
    output_shape: tuple[int, int, int]
    """Channels, height, width. A vector of n numbers is (n, 1, 1)."""
    parameters: int
    """Numbers that training changes."""
    multiply_adds: int
    """Multiplications with an addition, for one image. Convolutions and linear layers only, as is usual:
    norms, ReLU, pooling and the additions of skips are left out."""
    receptive_field: int
    """Side in pixels of the square of the image that one output position can depend on; it may pass the border."""


@dataclass(frozen=True)
class BlockSummary:
    """Layers that belong together: a block of `BottleneckNet.blocks()`, the pooling or the classifier."""

    name: str
    title: str
    kind: str
    """'first', 'bottleneck', 'residual', 'pool' or 'classifier'."""
    skip: bool
    """Whether the block adds its input to its output."""
    layers: tuple[LayerSummary, ...]

    @property
    def output_shape(self) -> tuple[int, int, int]:
        return self.layers[-1].output_shape

    @property
    def parameters(self) -> int:
        return sum(layer.parameters for layer in self.layers)

    @property
    def multiply_adds(self) -> int:
        return sum(layer.multiply_adds for layer in self.layers)

    @property
    def receptive_field(self) -> int:
        return self.layers[-1].receptive_field


def summarize(network: BottleneckNet, size: int = 64) -> list[LayerSummary]:
    """The layers in the order in which an image of `size` × `size` pixels passes them.

    Nothing is computed: only shapes pass through the network. Its weights, mode and hooks are as before
    afterwards. Not for a network that another thread is using.
    """
    meta = {
        name: tensor.to("meta")
        for name, tensor in [*network.named_parameters(), *network.named_buffers()]
    }
    leaves = {
        name: module for name, module in network.named_modules() if not any(module.children())
    }
    modes = {module: module.training for module in network.modules()}
    met: list[tuple[str, nn.Module, Tensor, Tensor]] = []

    def remember(name: str, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        met.append((name, module, inputs[0], output))

    hooks = [
        module.register_forward_hook(partial(remember, name)) for name, module in leaves.items()
    ]
    try:
        image = torch.empty(1, 3, size, size, device="meta")
        with torch.no_grad():
            torch.func.functional_call(network.eval(), meta, (image,))
    finally:
        for hook in hooks:
            hook.remove()
        for module, training in modes.items():
            module.training = training
    return _summaries(met)


def summarize_blocks(network: BottleneckNet, size: int = 64) -> list[BlockSummary]:
    """The same layers gathered into blocks, in order."""
    blocks = network.blocks()
    groups: dict[str, list[LayerSummary]] = {}
    for layer in summarize(network, size):
        # Dropout acts on what the classifier takes: it is drawn as a part of it.
        last = "classifier" if layer.name == "dropout" else layer.name
        owner = next((name for name in blocks if layer.name.startswith(f"{name}.")), last)
        groups.setdefault(owner, []).append(layer)
    titles = {"pool": "Global average pool", "classifier": "Classifier"}
    summaries = []
    for name, layers in groups.items():
        module = network.get_submodule(name)
        summaries.append(
            BlockSummary(
                name=name,
                title=titles.get(name) or block_title(name),
                kind="residual" if isinstance(module, Residual) else name.rpartition(".")[2],
                skip=isinstance(module, Residual) and module.skip,
                layers=tuple(layers),
            )
        )
    return summaries


def summarize_design(size: int = 64, **options) -> list[BlockSummary]:
    """The blocks of `BottleneckNet(**options)`, without allocating its weights: milliseconds at any width.

    Raises:
        ValueError: An option is not one of those listed.
    """
    with torch.device("meta"):
        network = BottleneckNet(**options)
    return summarize_blocks(network, size)


def _summaries(met: list[tuple[str, nn.Module, Tensor, Tensor]]) -> list[LayerSummary]:
    # Kernel and stride arithmetic along the layers (Araujo et al. 2019, equations 1 and 2): a kernel of k reaches
    # k − 1 positions further, and neighbouring positions lie `spacing` pixels apart. A skip leads around layers,
    # so it never sees further than they do.
    field, spacing = 1, 1
    layers = []
    for name, module, taken, given in met:
        kernel, stride = _kernel_and_stride(module, taken)
        field += (kernel - 1) * spacing
        spacing *= stride
        layers.append(
            LayerSummary(
                name=name,
                kind=_kind(module),
                output_shape=(*given.shape[1:], 1, 1)[:3],
                parameters=sum(p.numel() for p in module.parameters()),
                multiply_adds=_multiply_adds(module, given),
                receptive_field=field,
            )
        )
    return layers


def _kernel_and_stride(module: nn.Module, taken: Tensor) -> tuple[int, int]:
    """Of square windows. A global pooling has one window as large as the feature map that it takes."""
    if isinstance(module, nn.Conv2d):
        return module.kernel_size[0], module.stride[0]
    if isinstance(module, nn.MaxPool2d):
        return module.kernel_size, module.stride
    if isinstance(module, nn.AdaptiveAvgPool2d):
        return taken.shape[-1], taken.shape[-1]
    return 1, 1


def _multiply_adds(module: nn.Module, given: Tensor) -> int:
    if isinstance(module, nn.Conv2d | nn.Linear):
        per_output = module.weight[0].numel()  # what is multiplied and added for one output number
        return given[0].numel() * per_output
    return 0


def _kind(module: nn.Module) -> str:
    match module:
        case nn.Conv2d(kernel_size=(1, 1)):
            return "pointwise convolution 1×1"
        case nn.Conv2d(groups=groups) if groups > 1:
            return "depthwise convolution 3×3"
        case nn.Conv2d():
            return "convolution 3×3"
        case nn.MaxPool2d():
            return "max-pool 2×2"
        case GhostBatchNorm2d():
            return "ghost batch norm"
        case nn.BatchNorm2d():
            return "batch norm"
        case nn.GroupNorm(num_groups=1):
            return "layer norm"
        case nn.GroupNorm(num_groups=groups):
            return f"group norm ({groups} groups)"
        case nn.ReLU():
            return "ReLU"
        case nn.AdaptiveAvgPool2d():
            return "global average pool"
        case GuidedDropout():
            return "guided dropout"
        case nn.Linear():
            return "linear"
    return type(module).__name__
