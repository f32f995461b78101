"""Features as points to look at: in two or three dimensions, turned so that they move little from layer to layer."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tinymodel.errors import UserError
from tinymodel.representation.features import Study, layer_title

MOST_POINTS = 5_000
MOST_TSNE = 2_000  # t-SNE of 5,000 points in eleven layers takes minutes
FEWEST = 5
CHUNK = 1_000  # images at a time
TSNE_INPUTS = 50  # principal components that t-SNE begins with, as its authors advise

Report = Callable[[float, str], None]


@dataclass(frozen=True)
class Projection:
    """Where the images lie in each layer.

    `points` are float32 (layers, n, dimensions), each layer centred and so large that 95 % of them lie within a distance
    of 1 from the centre. `shares` say how much of the features' variance lies in these dimensions, in [0, 1] (PCA only).
    """

    method: str  # 'pca' or 'tsne'
    layers: tuple[str, ...]
    points: np.ndarray
    shares: tuple[float | None, ...]
    chosen: np.ndarray  # positions in the study's `rows`


def project(
    study: Study,
    chosen: np.ndarray,
    dimensions: int,
    method: str = "pca",
    report: Report | None = None,
) -> Projection:
    """Lay out the images `chosen` (positions in `study.rows`) in every layer.

    PCA (Pearson 1901) keeps the directions in which they differ most. t-SNE (van der Maaten and Hinton 2008) keeps
    neighbours together; each layer begins with the layout of the one before. Both are then turned or mirrored to lie
    as close as possible to the layer before (orthogonal Procrustes, Schönemann 1966), which changes no distance.

    Raises:
        UserError: There are fewer than five images.
    """
    if len(chosen) < FEWEST:
        raise UserError(
            f"A map needs at least {FEWEST} images; these classes have {len(chosen)}. Choose more classes."
        )
    layers, shares = [], []
    before = None
    for number, layer in enumerate(study.layers):
        if report:
            report(number / len(study.layers), f"Laying out layer {number}: {layer_title(layer)}")
        features = study.features(layer, chosen)
        if method == "tsne":
            points, share = tsne(features, before), None
        else:
            points, share = principal_components(features, dimensions)
        points = unit_spread(points)
        before = points if before is None else align(points, before)
        layers.append(before)
        shares.append(share)
    return Projection(method, study.layers, np.float32(layers), tuple(shares), chosen)


def principal_components(features: np.ndarray, count: int) -> tuple[np.ndarray, float]:
    """The first `count` principal components of (n, d): (n, count), and their share of the variance, in [0, 1]."""
    from sklearn.decomposition import PCA  # it takes a second to import

    found = min(count, *features.shape)
    pca = PCA(
        found, svd_solver="randomized" if features.shape[1] > 1000 else "auto", random_state=0
    )
    points = np.zeros((len(features), count), np.float32)  # a layer of two channels has no third
    spread = float(features.var(0).sum())
    if spread < 1e-12:  # every image alike
        return points, 0.0
    points[:, :found] = pca.fit_transform(features)
    return points, min(1.0, float(points.var(0).sum()) / spread)


def tsne(features: np.ndarray, start: np.ndarray | None = None) -> np.ndarray:
    """t-SNE of (n, d) in two dimensions, beginning with the layout `start` (n, 2), or with PCA."""
    from sklearn.manifold import TSNE

    reduced, _ = principal_components(features, min(TSNE_INPUTS, *features.shape))
    if start is None:
        start = unit_spread(reduced[:, :2])
    start = np.float32(
        start * 1e-4 / max(float(start[:, 0].std()), 1e-12)
    )  # as scikit-learn's PCA start
    perplexity = min(30.0, (len(features) - 1) / 3)
    return TSNE(2, init=start, perplexity=perplexity, random_state=0).fit_transform(reduced)


def unit_spread(points: np.ndarray) -> np.ndarray:
    """Centred, and 95 % within a distance of 1 from the centre; points that all coincide stay at 0."""
    points = points - points.mean(0)
    spread = np.quantile(np.linalg.norm(points, axis=1), 0.95)
    return points / spread if spread > 1e-12 else points


def align(points: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """`points` (n, d) rotated or mirrored to lie as close to `reference` (n, d) as possible; both centred."""
    u, _, vt = np.linalg.svd(points.T @ reference)
    return points @ (u @ vt)


def neighbours(
    query: np.ndarray, features: np.ndarray, count: int, centre: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The `count` rows of `features` (n, d) most like `query` (d,): their positions and similarities, best first.

    Similarity is the cosine of the angle between the two after `centre`, by default the mean of `features`, has been
    taken off; without that, features that are all positive (after a ReLU) would all look alike.
    """
    centre = features.mean(0) if centre is None else centre
    centred, direction = features - centre, query - centre
    lengths = np.linalg.norm(centred, axis=1) * np.linalg.norm(direction)
    similarity = centred @ direction / np.maximum(lengths, 1e-12)
    best = np.argsort(-similarity, kind="stable")[:count]
    return best, similarity[best]


def nearest_images(
    study: Study, layer: str, query: np.ndarray, among: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """`neighbours` among the images `among` (positions in `study.rows`), a part at a time: pixels of 10,000 take 490 MB."""
    parts = [among[start : start + CHUNK] for start in range(0, len(among), CHUNK)]
    centre = sum(study.features(layer, part).sum(0, dtype=np.float64) for part in parts) / len(
        among
    )
    found = [
        neighbours(query, study.features(layer, part), count, np.float32(centre)) for part in parts
    ]
    positions = np.concatenate([part[best] for part, (best, _) in zip(parts, found, strict=True)])
    similarity = np.concatenate([similarity for _, similarity in found])
    best = np.argsort(-similarity, kind="stable")[:count]
    return positions[best], similarity[best]


def own_kind_share(
    study: Study, layer: str, label: int, among: np.ndarray, count: int = 10
) -> float:
    """How well a class keeps together: of the `count` nearest neighbours of each of its images among the images
    `among` (positions in `study.rows`), the share that are of the same class, in [0, 1]."""
    features = study.features(layer, among)
    features = features - features.mean(0)
    features /= np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    own = np.flatnonzero(study.labels[among] == label)
    similarity = features[own] @ features.T
    similarity[np.arange(len(own)), own] = -np.inf  # itself
    count = min(count, len(own) - 1)
    if count < 1:
        raise UserError(
            f"The class {study.classes[label].name!r} has too few images for this; choose another one."
        )
    best = np.argpartition(-similarity, count - 1, axis=1)[:, :count]
    return float((study.labels[among][best] == label).mean())


def effective_dimension(features: np.ndarray) -> float:
    """Participation ratio of the covariance of (n, d): (Σλ)² / Σλ² over its eigenvalues λ.

    It is d if the features vary alike in d directions, and 1 if they all lie on a line. (Gao et al. 2017, *A theory of
    multineuronal dimensionality*, bioRxiv 214262; of layers: Recanatesi et al. 2019, arXiv 1906.00443.)
    """
    centred = (
        np.float64(features - features.mean(0))
        if features.shape[1] <= 4096
        else features - features.mean(0)
    )
    n, d = centred.shape
    product = (
        centred.T @ centred if d < n else centred @ centred.T
    )  # the same eigenvalues but for zeros
    trace = float(np.trace(product))
    return trace**2 / float((product**2).sum()) if trace > 0 else 0.0
