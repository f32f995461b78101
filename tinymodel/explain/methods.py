"""The ways to make a heat map, and the classes of the package grad-cam that compute them.

That package is imported where it is used, because it takes one to five seconds.
"""

from dataclasses import dataclass
from functools import cache
from types import SimpleNamespace

import numpy as np


@dataclass(frozen=True)
class Method:
    """One way to weigh the channels of a feature map, in words for the person who chooses."""

    title: str
    help: str
    class_name: str  # in pytorch_grad_cam
    uses_target: bool = True
    at_once: int = 0  # of a slow method: how many channels go through the network in one pass


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

SLOW_METHODS: dict[str, Method] = {
    "scorecam": Method(
        "Score-CAM",
        "Slow. Asks the network again for every feature map, with the picture masked by it, and weighs the map by the "
        "score that is left. It needs no gradients (Wang et al. 2020).",
        "ScoreCAM",
        at_once=16,
    ),
    "ablationcam": Method(
        "Ablation-CAM",
        "Slow. Switches the feature maps off one by one and weighs each by how far the score falls without it. It "
        "needs no gradients (Desai and Ramaswamy 2020).",
        "AblationCAM",
        at_once=32,
    ),
}
ALL_METHODS = METHODS | SLOW_METHODS


@cache
def cam_class(name: str) -> type:
    """grad-cam's class of this method, made to keep its raw maps in `maps`: a float32 (B, h, w) for each layer."""
    import pytorch_grad_cam

    class RawMaps(getattr(pytorch_grad_cam, ALL_METHODS[name].class_name)):
        def compute_cam_per_layer(self, inputs, targets, eigen_smooth):
            kept = self.activations_and_grads
            gradients = kept.gradients or [None] * len(kept.activations)
            # Copies: the slow methods ask the network again, which puts more into these lists.
            pairs = list(zip(self.target_layers, list(kept.activations), gradients, strict=True))
            self.maps = []
            for layer, activation, gradient in pairs:
                activation = activation.numpy()
                gradient = gradient.numpy() if gradient is not None else None
                if name == "eigencam":
                    image = principal_map(activation)
                elif name == "eigengradcam":
                    image = principal_map(activation * gradient)
                else:
                    image = self.get_cam_image(inputs, layer, targets, activation, gradient, False)
                if (
                    name == "ablationcam"
                ):  # its fall is a share of the score: turned round below zero
                    outputs = self.outputs.detach()
                    scores = [float(t(row)) for t, row in zip(targets, outputs, strict=True)]
                    image = image * np.sign(scores)[:, None, None]
                self.maps.append(np.asarray(image, dtype=np.float32))
            return self.maps

        def aggregate_multi_layers(self, maps):  # scales each map to its own maximum: not wanted
            return maps

    if name in SLOW_METHODS:
        _quieten(name)
    if name == "ablationcam":
        # Its own layer is shared by all instances, and adds -10⁷ where no place of the map happens to be zero.
        RawMaps.__init__ = _with_zeros(RawMaps.__init__)
    return RawMaps


def _quieten(name: str) -> None:
    """No progress bars on standard error: progress is reported from passes through the network."""
    from pytorch_grad_cam import ablation_cam, score_cam

    module = dict(scorecam=score_cam, ablationcam=ablation_cam)[name]
    module.tqdm = SimpleNamespace(tqdm=lambda steps: steps)


def _with_zeros(initialize):
    from pytorch_grad_cam.ablation_layer import AblationLayer

    class ZeroOneEach(AblationLayer):
        """In place of the layer: what it gave, in each copy without one channel."""

        def __call__(self, x):
            rows = list(range(len(self.activations)))
            self.activations[rows, self.indices[: len(rows)]] = 0
            return self.activations

    def with_zeros(self, *arguments, **keywords):
        initialize(self, *arguments, ablation_layer=ZeroOneEach(), **keywords)

    return with_zeros


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
