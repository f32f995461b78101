"""Grad-CAM and its relatives: which places of a feature map speak for a class.

Computed by the package grad-cam, in fp32. It is imported where it is used, because that takes one to five seconds.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch
from torch import Tensor

from tinymodel import checkpoint
from tinymodel.data.batches import normalize
from tinymodel.errors import UserError
from tinymodel.evaluation import weights_file, weights_version
from tinymodel.network import BottleneckNet
from tinymodel.runs import Run

LAST_BLOCK = "stage3.residual2"  # the usual choice: the last feature map before the pooling


@dataclass(frozen=True)
class Method:
    """One way to weigh the channels of a feature map, in words for the person who chooses."""

    title: str
    help: str
    class_name: str  # in pytorch_grad_cam
    uses_target: bool = True


METHODS: dict[str, Method] = {
    "gradcam": Method(
        "Grad-CAM",
        "The classic. Weighs each feature map by how much the score of the class rises with it, on average "
        "(Selvaraju et al. 2017).",
        "GradCAM",
    ),
    "gradcam++": Method(
        "Grad-CAM++",
        "Counts only where the score rises, and copes better with several objects (Chattopadhyay et al. 2018).",
        "GradCAMPlusPlus",
    ),
    "hirescam": Method(
        "HiResCAM",
        "Weighs each place by itself instead of on average: shows only places that were really used. The same as "
        "Grad-CAM at the last block (Draelos and Carin 2020).",
        "HiResCAM",
    ),
    "xgradcam": Method(
        "XGrad-CAM",
        "Like Grad-CAM, with averages weighted by where each feature map is active (Fu et al. 2020).",
        "XGradCAM",
    ),
    "layercam": Method(
        "LayerCAM",
        "Keeps fine detail: the best choice for early blocks (Jiang et al. 2021).",
        "LayerCAM",
    ),
    "eigencam": Method(
        "Eigen-CAM",
        "What the feature maps have most in common (their first principal component). It asks about no class "
        "(Muhammad and Yeasin 2020).",
        "EigenCAM",
        uses_target=False,
    ),
    "eigengradcam": Method(
        "Eigen-Grad-CAM",
        "Eigen-CAM of the feature maps weighted place by place like HiResCAM, so it does ask about the class.",
        "EigenGradCAM",
    ),
}


@dataclass(frozen=True)
class Explanation:
    """What one image got from one network, and where in the image that came from."""

    heat: (
        np.ndarray
    )  # float32 (h, w), the feature map's own size; evidence for the target, ≥ 0, not scaled
    probabilities: np.ndarray  # float32 (classes,)
    target: int  # the label that the map is about
    layer: str
    method: str
    blank: bool  # no place speaks for the target: there is nothing to see in the map
    epoch: int | None = None  # of the weights, from 1; 0 before the end of the first epoch

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
    layer: str = LAST_BLOCK,
    method: str = "gradcam",
    target: int | None = None,
) -> Explanation:
    """Explain one image.

    Args:
        network: One that nobody else uses meanwhile, least of all one in training. Its mode is restored; its
            gradients are lost.
        image: uint8 (64, 64, 3), RGB.
        mean, std: The colour statistics that the network learned with, in [0, 1].
        layer: A name of `network.blocks()`.
        method: A key of `METHODS`.
        target: The label to look for; None for the network's own answer.

    Raises:
        UserError: There is no such layer, method or label.
    """
    if target is not None and not 0 <= target < network.options["classes"]:
        raise UserError(
            f"There is no class {target}: this network knows {network.options['classes']}, counted from 0."
        )
    inputs = normalize(torch.from_numpy(np.array(image))[None], tuple(mean), tuple(std))
    logits, (signed,) = raw_maps(network, inputs, [target], layers=[layer], method=method)
    probabilities = logits[0].softmax(0).numpy()
    heat = np.maximum(signed[0], 0)
    # Sums of positive and negative evidence leave rounding behind: that is no evidence either.
    blank = bool(heat.max() <= 1e-6 * np.abs(signed).max())
    return Explanation(
        heat=np.zeros_like(heat) if blank else heat,
        probabilities=probabilities,
        target=int(probabilities.argmax()) if target is None else target,
        layer=layer,
        method=method,
        blank=blank,
    )


def raw_maps(
    network: BottleneckNet,
    inputs: Tensor,
    targets: Sequence[int | None],
    *,
    layers: Sequence[str],
    method: str = "gradcam",
) -> tuple[Tensor, list[np.ndarray]]:
    """Maps of several layers in one pass, as they come: of the layer's own size, signed, not scaled.

    Args:
        inputs: Normalised, float32 (B, 3, 64, 64).
        targets: A label for each image, or None for the network's own answer.

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
    if method not in METHODS:
        raise UserError(f"There is no method {method!r}: choose one of {', '.join(METHODS)}.")
    device = inputs.device.type
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.autocast(device, enabled=False),  # grad-cam cannot read bfloat16
        _only_gradients_behind(network, [blocks[layer] for layer in layers]),
        _method(method)(network, [blocks[layer] for layer in layers]) as cam,
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


@cache
def _method(name: str) -> type:
    """grad-cam's class of this name, made to keep its raw maps."""
    import pytorch_grad_cam

    class RawMaps(getattr(pytorch_grad_cam, METHODS[name].class_name)):
        def compute_cam_per_layer(self, inputs, targets, eigen_smooth):
            kept = self.activations_and_grads
            gradients = kept.gradients or [None] * len(kept.activations)
            self.maps = []
            for layer, activation, gradient in zip(
                self.target_layers, kept.activations, gradients, strict=True
            ):
                activation = activation.numpy()
                gradient = gradient.numpy() if gradient is not None else None
                if name == "eigencam":
                    image = principal_map(activation)
                elif name == "eigengradcam":
                    image = principal_map(activation * gradient)
                else:
                    image = self.get_cam_image(inputs, layer, targets, activation, gradient, False)
                self.maps.append(np.asarray(image, dtype=np.float32))
            return self.maps

        def aggregate_multi_layers(self, maps):  # scales each map to its own maximum: not wanted
            return maps

    return RawMaps


def principal_map(features: np.ndarray) -> np.ndarray:
    """The first principal component of the channels at every place: (B, c, h, w) → float32 (B, h, w).

    As grad-cam's `get_2d_projection`, but for two things: the decomposition is the thin one (at 64×64 the full one
    takes a matrix of 4096×4096), and the sign, which is arbitrary, is the one that goes with the sum of the channels.
    """
    maps = []
    for feature in features:
        channels, height, width = feature.shape
        places = feature.reshape(channels, -1).T  # (h·w, c)
        places = places - places.mean(0)
        direction = np.linalg.svd(places, full_matrices=False)[2][0]
        projection = places @ direction
        sign = -1 if projection @ places.sum(1) < 0 else 1
        maps.append((sign * projection).reshape(height, width))
    return np.float32(maps)


_networks: OrderedDict[tuple[str, str, int], tuple[BottleneckNet, int]] = OrderedDict()
KEEP = 4  # networks; the reference one takes 56 MB


def explain_run(run: Run, image: np.ndarray, **choices) -> Explanation:
    """`explain` with the run's best weights so far. Only inside a job: its network is shared by all jobs.

    Raises:
        UserError: As `explain`, or the run has no weights yet.
    """
    network, epoch = _network(run)
    return replace(explain(network, image, run.mean, run.std, **choices), epoch=epoch)


def _network(run: Run) -> tuple[BottleneckNet, int]:
    """The run's network of now and the epoch of its weights."""
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
