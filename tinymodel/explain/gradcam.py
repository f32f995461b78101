"""Grad-CAM and its relatives: which places of a feature map speak for a class.

Computed by the package grad-cam, in fp32.
"""

import copy
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from tinymodel import checkpoint
from tinymodel.data.batches import normalize
from tinymodel.errors import UserError
from tinymodel.evaluation import weights_file, weights_version
from tinymodel.explain.methods import ALL_METHODS, METHODS, SLOW_METHODS, cam_class
from tinymodel.network import BottleneckNet
from tinymodel.runs import Run

__all__ = [
    "ALL_METHODS",
    "LAST_BLOCK",
    "METHODS",
    "SLOW_METHODS",
    "Explanation",
    "explain",
    "explain_layers",
    "explain_run",
    "explain_run_layers",
    "last_block",
    "raw_maps",
    "run_network",
]

LAST_BLOCK = "stage3.residual2"  # of a whole network: the last feature map before the pooling
Report = Callable[[float, str], None]


@dataclass(frozen=True)
class Explanation:
    """What one image got from one network, and where in the image that came from."""

    signed: np.ndarray  # float32 (h, w), the feature map's own size; evidence for the target, or against it, unscaled
    probabilities: np.ndarray  # float32 (classes,)
    target: int  # the label that the map is about
    layer: str
    method: str
    epoch: int | None = None  # of the weights, from 1; 0 before the end of the first epoch

    @property
    def blank(self) -> bool:
        """No place speaks for the target: there is nothing to see in the map."""
        # Sums of positive and negative evidence leave rounding behind: that is no evidence either.
        return bool(self.signed.max() <= 1e-6 * np.abs(self.signed).max())

    @property
    def heat(self) -> np.ndarray:
        """The evidence for the target alone: float32 (h, w), ≥ 0, not scaled."""
        return np.zeros_like(self.signed) if self.blank else np.maximum(self.signed, 0)

    @property
    def prediction(self) -> int:
        return int(self.probabilities.argmax())

    def top(self, count: int = 5) -> list[tuple[int, float]]:
        """The most probable labels with their probabilities, best first."""
        best = np.argsort(-self.probabilities, kind="stable")[:count]
        return [(int(label), float(self.probabilities[label])) for label in best]


def explain(
    network: BottleneckNet,
    image: np.ndarray,
    mean: Sequence[float],
    std: Sequence[float],
    *,
    layer: str | None = None,
    **choices,
) -> Explanation:
    """Explain one image at one layer, by default the last block: see `explain_layers`."""
    layers = [layer or last_block(network)]
    return explain_layers(network, image, mean, std, layers=layers, **choices)[0]


def last_block(network: BottleneckNet) -> str:
    """The usual choice of a layer: the last feature map before the pooling."""
    return list(network.blocks())[-1]


def explain_layers(
    network: BottleneckNet,
    image: np.ndarray,
    mean: Sequence[float],
    std: Sequence[float],
    *,
    layers: Sequence[str],
    method: str = "gradcam",
    target: int | None = None,
    report: Report | None = None,
) -> list[Explanation]:
    """Explain one image at several layers, in one pass.

    Args:
        network: One that nobody else uses meanwhile, least of all one in training. Its mode is restored; its
            gradients are lost.
        image: uint8 (64, 64, 3), RGB.
        mean, std: The colour statistics that the network learned with, in [0, 1].
        layers: Names of `network.blocks()`.
        method: A key of `METHODS` or `SLOW_METHODS`.
        target: The label to look for; None for the network's own answer.
        report: Of a slow method, called as `report(fraction, message)`; it may raise to stop.

    Raises:
        UserError: There is no such layer, method or label.
    """
    if target is not None and not 0 <= target < network.options["classes"]:
        raise UserError(
            f"There is no class {target}: this network knows {network.options['classes']}, counted from 0."
        )
    inputs = normalize(torch.from_numpy(np.array(image))[None], tuple(mean), tuple(std))
    more = dict(report=report) if report and method in SLOW_METHODS else {}
    logits, maps = raw_maps(network, inputs, [target], layers=layers, method=method, **more)
    probabilities = logits[0].softmax(0).numpy()
    target = int(probabilities.argmax()) if target is None else target
    return [
        Explanation(signed[0], probabilities, target, layer, method)
        for layer, signed in zip(layers, maps, strict=True)
    ]


def raw_maps(
    network: BottleneckNet,
    inputs: Tensor,
    targets: Sequence[int | None],
    *,
    layers: Sequence[str],
    method: str = "gradcam",
    report: Report | None = None,
) -> tuple[Tensor, list[np.ndarray]]:
    """Maps of several layers in one pass, as they come: of the layer's own size, signed, not scaled.

    Args:
        inputs: Normalised, float32 (B, 3, 64, 64).
        targets: A label for each image, or None for the network's own answer.
        report: As of `explain_layers`.

    Returns:
        Logits float32 (B, classes), and for each layer a float32 (B, h, w), positive where a place speaks for the
        target.

    Raises:
        UserError: There is no such layer or method.
    """
    blocks = network.blocks()
    for layer in layers:
        if layer not in blocks:
            raise UserError(f"There is no layer {layer!r}: choose one of {', '.join(blocks)}.")
    if method not in ALL_METHODS:
        raise UserError(f"There is no method {method!r}: choose one of {', '.join(ALL_METHODS)}.")
    if method in SLOW_METHODS:  # they take the network apart, and may be stopped in the middle
        network = copy.deepcopy(network)
        blocks = network.blocks()
        with torch.no_grad():  # for one class throughout, also where another one comes to lead
            answers = network.eval()(inputs).argmax(1).tolist()
        targets = [a if t is None else t for t, a in zip(targets, answers, strict=True)]
        _report_passes(network, ALL_METHODS[method].at_once, len(inputs), layers, report)
    device = inputs.device.type
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.autocast(device, enabled=False),  # grad-cam cannot read bfloat16
        _only_gradients_behind(network, [blocks[layer] for layer in layers]),
        cam_class(method)(network, [blocks[layer] for layer in layers]) as cam,
    ):
        cam(inputs, [_target(label) for label in targets])
        return cam.outputs.detach().cpu(), cam.maps


@contextmanager
def _only_gradients_behind(network: BottleneckNet, layers: list) -> Iterator[None]:
    """Gradients of these layers' outputs but none of weights, nor of anything before the layers: half the work."""
    was_training = network.training
    wanted = [weight for weight in network.parameters() if weight.requires_grad]
    network.eval().requires_grad_(False)
    hooks = [
        layer.register_forward_hook(lambda module, inputs, output: output.requires_grad_())
        for layer in layers
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
        for weight in wanted:
            weight.requires_grad_(True)
        network.train(was_training)


def _target(label: int | None):
    return lambda scores: scores.max() if label is None else scores[label]


def _report_passes(
    network: BottleneckNet, at_once: int, images: int, layers: Sequence[str], report: Report | None
) -> None:
    """Report before every pass through the network, of which there is one for so many channels of a layer."""
    if report is None:
        return
    channels = [_channels(network, layer) for layer in layers]
    total = 1 + images * sum(-(-count // at_once) for count in channels)
    passes = iter(range(1_000_000))

    def say(module, inputs) -> None:
        done = min(next(passes) / total, 0.99)
        report(done, f"Asking the network again and again: {done:.0%}")

    network.register_forward_pre_hook(say)


def _channels(network: BottleneckNet, layer: str) -> int:
    convolutions = [m for m in network.blocks()[layer].modules() if isinstance(m, nn.Conv2d)]
    return convolutions[-1].out_channels


_networks: OrderedDict[tuple[str, str, int], tuple[BottleneckNet, int]] = OrderedDict()
KEEP = 4  # networks; the reference one takes 56 MB


def explain_run(run: Run, image: np.ndarray, *, layer: str | None = None, **choices) -> Explanation:
    """`explain` with the run's best weights so far. Only inside a job: its network is shared by all jobs.

    Raises:
        UserError: As `explain`, or the run has no weights yet.
    """
    network, epoch = run_network(run)
    found = explain(network, image, run.mean, run.std, layer=layer, **choices)
    return replace(found, epoch=epoch)


def explain_run_layers(
    run: Run, image: np.ndarray, *, layers: Sequence[str], **choices
) -> list[Explanation]:
    """`explain_layers` with the run's best weights so far. As `explain_run`."""
    network, epoch = run_network(run)
    found = explain_layers(network, image, run.mean, run.std, layers=layers, **choices)
    return [replace(explanation, epoch=epoch) for explanation in found]


def run_network(run: Run) -> tuple[BottleneckNet, int]:
    """The run's network of now and the epoch of its weights; kept, and shared by all jobs, so only inside one."""
    file = weights_file(run)
    key = (str(run.folder), str(file), weights_version(run))
    if key not in _networks:
        network = run.network("best").requires_grad_(False)
        network = network.to(memory_format=torch.channels_last)
        _networks[key] = network, int(checkpoint.load(file)["epoch"])
        while len(_networks) > KEEP:
            _networks.popitem(last=False)
    _networks.move_to_end(key)
    return _networks[key]
