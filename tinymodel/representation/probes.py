"""How much a layer knows: simple classifiers on its frozen features.

A linear probe (Alain and Bengio 2016) asks whether classes can be separated by flat boundaries, a k-nearest-neighbour
classifier whether images of a class lie together. Neither changes the network.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

NEIGHBOURS = 10
STEPS = 60
# Of the linear probe, on standardised features. With 120 images a class the middle of 1e-3 … 1, of which no one was best
# in every layer; tried on 20 and on 5 classes of Tiny ImageNet.
WEIGHT_DECAY = 1e-2

Report = Callable[[float, str], None]


@dataclass(frozen=True)
class LinearProbe:
    """scores = features @ weight.T + bias."""

    weight: np.ndarray  # float32 (classes, d)
    bias: np.ndarray  # float32 (classes,)

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Labels int64 (n,) of features (n, d)."""
        return (features @ self.weight.T + self.bias).argmax(1)


def fit_linear(
    features: np.ndarray,
    labels: np.ndarray,
    classes: int,
    *,
    steps: int = STEPS,
    weight_decay: float = WEIGHT_DECAY,
    each_step: Callable[[int, LinearProbe, float], None] | None = None,
) -> LinearProbe:
    """Multinomial logistic regression, all images at once, with L-BFGS from zero: the same every time.

    Args:
        features: float32 (n, d). They are standardised for learning, and the result takes them as they are.
        labels: int64 (n,) in [0, classes).
        each_step: Called as `each_step(step, probe, loss)`, from step 0 before anything is learned; may raise to stop.
    """
    mean, scale = features.mean(0), features.std(0)
    scale = np.where(scale > 1e-6, scale, 1.0).astype(np.float32)
    inputs = torch.from_numpy((features - mean) / scale)
    targets = torch.from_numpy(np.asarray(labels, dtype=np.int64))
    weight = torch.zeros(classes, features.shape[1], requires_grad=True)
    bias = torch.zeros(classes, requires_grad=True)
    # L-BFGS (Liu and Nocedal 1989): one iteration a step, so that learning can be watched.
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=1, line_search_fn="strong_wolfe")
    decay = weight_decay / features.shape[1] ** 0.5

    def loss_now() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(inputs @ weight.T + bias, targets) + decay * weight.square().sum()
        loss.backward()
        return loss

    def probe() -> LinearProbe:
        learned = weight.detach().numpy() / scale
        return LinearProbe(learned, bias.detach().numpy() - learned @ mean)

    last = None
    for step in range(steps + 1):
        if each_step:
            with torch.no_grad():
                loss = F.cross_entropy(inputs @ weight.T + bias, targets)
            each_step(step, probe(), float(loss))
        if step == steps:
            break
        loss = float(optimizer.step(loss_now).detach())
        if not each_step and last is not None and last - loss < 1e-5:
            break
        last = loss
    return probe()


def classify_by_neighbours(
    features: np.ndarray,
    labels: np.ndarray,
    classes: int,
    queries: np.ndarray,
    count: int = NEIGHBOURS,
) -> np.ndarray:
    """Labels int64 (m,) for `queries` (m, d): the `count` most similar of `features` (n, d) vote with their similarity.

    Similarity is the cosine after the mean of `features` has been taken off (see `projection.neighbours`).
    """
    centre = features.mean(0)
    known, asked = (
        F.normalize(torch.from_numpy(np.ascontiguousarray(values - centre)), dim=1)
        for values in (features, queries)
    )
    similarity, nearest = (asked @ known.T).topk(min(count, len(labels)), dim=1)
    votes = torch.zeros(len(queries), classes)
    voters = torch.from_numpy(np.asarray(labels, dtype=np.int64))[nearest]
    votes.scatter_add_(1, voters, similarity.clamp(min=0) + 1e-6)
    return votes.argmax(1).numpy()
