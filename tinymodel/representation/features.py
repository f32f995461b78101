"""Features: each block's output averaged over space, for many images in one pass, kept in the run's folder.

The average over space (global average pooling) is what the classifier of a network cut after block k gets to see;
after the last block it is the pooled last layer itself. Layer 0 is the image: its 12,288 colour values.
"""

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from tinymodel.data import ClassInfo, PreparedDataset
from tinymodel.data.batches import normalize
from tinymodel.errors import UserError
from tinymodel.evaluation import run_dataset, weights_version
from tinymodel.network import BLOCKS, DEPTH, BottleneckNet, block_title
from tinymodel.precision import autocast
from tinymodel.runs import Run

PIXELS = "pixels"  # layer 0
VAL_IMAGES = 10_000  # the most that are kept, all classes together
TRAIN_IMAGES = 4_000  # of which a probe learns
UNSEEN_CLASSES = 20  # the most that are taken where a run holds out none but its dataset has others
FLOAT16_MAX = 65504.0

Report = Callable[[float, str], None]


def layer_title(layer: str) -> str:
    """For people: 'Raw pixels', 'Stage 2 · bottleneck'."""
    return "Raw pixels" if layer == PIXELS else block_title(layer)


def extract(
    network: BottleneckNet,
    images: np.ndarray,
    rows: np.ndarray,
    mean: Sequence[float],
    std: Sequence[float],
    *,
    into: Mapping[str, np.ndarray] | None = None,
    precision: str = "fp32",
    batch_size: int = 256,
    report: Report | None = None,
) -> dict[str, np.ndarray]:
    """Features of every block for `images[rows]`, in one pass.

    Args:
        network: On the CPU; nobody else's. Its mode is restored.
        images: uint8 (N, 64, 64, 3), RGB, a memory map or an array.
        into: Arrays (n, channels) to fill, by block; by default new ones, float32.

    Returns:
        For each block (n, channels): its output averaged over space.
    """
    network_blocks = network.blocks()
    given = dict(into) if into is not None else {}
    was_training = network.training
    network.eval()
    try:
        with torch.inference_mode(), autocast("cpu", precision), _pooled(network_blocks) as pooled:
            for start in range(0, len(rows), batch_size):
                if report:
                    report(start / len(rows), f"Reading image {start + 1:,} of {len(rows):,}")
                batch = torch.from_numpy(
                    np.ascontiguousarray(images[rows[start : start + batch_size]])
                )
                network(normalize(batch, tuple(mean), tuple(std)))
                for name, values in pooled.items():
                    if name not in given:
                        given[name] = np.empty((len(rows), values.shape[1]), np.float32)
                    values = values.clamp_(-FLOAT16_MAX, FLOAT16_MAX)
                    given[name][start : start + len(values)] = values.numpy()
    finally:
        network.train(was_training)
    return given


@contextmanager
def _pooled(blocks: Mapping[str, nn.Module]):
    """A dict that every forward pass fills: block → float32 (B, channels)."""
    kept: dict[str, Tensor] = {}

    def keep(name: str):
        def hook(module: nn.Module, inputs: tuple, output: Tensor) -> None:
            kept[name] = output.mean((2, 3), dtype=torch.float32)

        return hook

    hooks = [module.register_forward_hook(keep(name)) for name, module in blocks.items()]
    try:
        yield kept
    finally:
        for hook in hooks:
            hook.remove()


def pixel_features(images: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Layer 0: the colours themselves, in [0, 1], float32 (n, 12288)."""
    return images[rows].reshape(len(rows), -1).astype(np.float32) / 255


@dataclass(frozen=True)
class Study:
    """The images of a run that its layers are studied with, and their features.

    `classes` are the run's own, in the order of its outputs, then those it has never seen. `rows` are rows of the
    dataset, `labels` point into `classes`, and `validation` says which of them are validation images; the others are
    training images, for probes to learn from.
    """

    run: Run
    dataset: PreparedDataset
    classes: tuple[ClassInfo, ...]
    seen: int  # how many of `classes` the network was trained on
    rows: np.ndarray  # int64 (n,)
    labels: np.ndarray  # int64 (n,)
    validation: np.ndarray  # bool (n,)
    folder: Path

    @cached_property
    def layers(self) -> tuple[str, ...]:
        """Layer 0, then every block."""
        return PIXELS, *BLOCKS[: self.run.info()["model"].get("depth", DEPTH)]

    def features(self, layer: str, where: np.ndarray | slice = slice(None)) -> np.ndarray:
        """float32 (n, d) of the images `where`, an index into `rows`."""
        if layer == PIXELS:
            return pixel_features(self.dataset.images, self.rows[where])
        return np.load(self.folder / f"{layer}.npy", mmap_mode="r")[where].astype(np.float32)

    def of_classes(self, labels: Sequence[int], validation: bool = True) -> np.ndarray:
        """Positions in `rows` of the images of these classes."""
        return np.flatnonzero(np.isin(self.labels, labels) & (self.validation == validation))

    def unseen(self) -> range:
        """Labels of the classes that the network has never seen."""
        return range(self.seen, len(self.classes))


def unseen_classes(run: Run, dataset: PreparedDataset) -> tuple[ClassInfo, ...]:
    """Classes of the dataset that never entered the run's training: those held out, else others that it has.

    Raises:
        UserError: The run's own record contradicts itself: an image of a held-out class was trained on.
    """
    info = run.info()
    known = {item["wnid"] for item in info["classes"]}
    known |= {item["wnid"] for item in info.get("stacked_on", {}).get("classes", [])}
    position = {item.wnid: label for label, item in enumerate(dataset.classes)}
    held = [item["wnid"] for item in info.get("held_out", []) if item["wnid"] in position]
    others = [item.wnid for item in dataset.classes if item.wnid not in known]
    stride = max(1, len(others) // UNSEEN_CLASSES)
    chosen = sorted(position[wnid] for wnid in held or others[::stride][:UNSEEN_CLASSES])
    trained = dataset.samples["label"].to_numpy()[run.train_indices]
    if len(mixed := np.intersect1d(trained, chosen)):
        name = dataset.classes[mixed[0]].name
        raise UserError(
            f"The run {run.name!r} says that it never saw {name!r}, but images of it are among those it learned from; "
            "its run.json has been changed."
        )
    return tuple(dataset.classes[label] for label in chosen)


def choose_images(run: Run, dataset: PreparedDataset, classes: Sequence[ClassInfo]) -> tuple:
    """(rows, labels, validation) of the images that a run is studied with; the same every time.

    Of trained classes only images that the run knows: validation images it was judged by, training images it
    learned from.
    """
    position = {item.wnid: label for label, item in enumerate(dataset.classes)}
    limits = dict(
        val=max(1, VAL_IMAGES // len(classes)), train=max(20, TRAIN_IMAGES // len(classes))
    )
    own = dict(val=run.val_indices, train=run.train_indices)
    trained = {item.wnid for item in run.classes}
    parts = []
    for label, item in enumerate(classes):
        if item.wnid not in position:  # taught from photographs that are in no dataset
            continue
        for split, limit in limits.items():
            rows = dataset.indices(split, position[item.wnid])
            if item.wnid in trained:
                rows = np.intersect1d(rows, own[split])
            if len(rows) > limit:
                drawn = np.random.default_rng([label, len(rows)]).permutation(len(rows))[:limit]
                rows = rows[np.sort(drawn)]
            parts.append((rows, np.full(len(rows), label), np.full(len(rows), split == "val")))
    if not parts or not any(len(rows) for rows, _, _ in parts):
        raise UserError(
            f"The dataset {dataset.name!r} has no image of the classes of {run.name!r}."
        )
    rows, labels, validation = (np.concatenate(column) for column in zip(*parts, strict=True))
    return rows.astype(np.int64), labels.astype(np.int64), validation


def features_folder(run: Run) -> Path:
    """Where the features of the run's present weights are kept."""
    return run.folder / "features" / str(weights_version(run))


def study_run(run: Run, report: Report | None = None) -> Study:
    """The run's images with their features, computed now if they are not kept already.

    Raises:
        UserError: The run has no weights yet, its dataset is gone or another one, or has no images of its classes.
    """
    dataset = run_dataset(run)
    classes = (*run.classes, *unseen_classes(run, dataset))
    rows, labels, validation = choose_images(run, dataset, classes)
    study = Study(
        run, dataset, classes, len(run.classes), rows, labels, validation, features_folder(run)
    )
    if not _is_whole(study):
        _write(study, report)
    return study


def precision_here(run: Run) -> str:
    """The run's own precision if it was chosen on this kind of machine; what suited a GPU may crawl on a CPU."""
    info = run.info()
    on_cpu = info.get("device") == "cpu" and info.get("precision") in ("fp32", "bf16")
    return info["precision"] if on_cpu else "fp32"


def _is_whole(study: Study) -> bool:
    try:
        return np.array_equal(np.load(study.folder / "rows.npy"), study.rows)
    except (OSError, ValueError, EOFError):
        return False


def _write(study: Study, report: Report | None) -> None:
    """Compute the features beside their place and rename them when whole; those of older weights go."""
    run = study.run
    network = run.network("best").to(memory_format=torch.channels_last)
    home = study.folder.parent
    home.mkdir(exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=".writing-", dir=home))
    try:
        maps = {
            name: np.lib.format.open_memmap(
                beside / f"{name}.npy", "w+", np.float16, (len(study.rows), channels(block))
            )
            for name, block in network.blocks().items()
        }
        extract(
            network,
            study.dataset.images,
            study.rows,
            run.mean,
            run.std,
            into=maps,
            precision=precision_here(run),
            report=report,
        )
        for values in maps.values():
            values.flush()
        np.save(beside / "rows.npy", study.rows)
        for old in home.iterdir():
            if old != beside:
                shutil.rmtree(old, ignore_errors=True)
        beside.rename(study.folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def channels(block: nn.Module) -> int:
    """Feature maps of a block's output: those of its last convolution."""
    return [module for module in block.modules() if isinstance(module, nn.Conv2d)][-1].out_channels


def describe_image(run: Run, image: np.ndarray) -> dict[str, np.ndarray]:
    """Features of one image, uint8 (64, 64, 3), in every layer: float32 (d,) each."""
    network = run.network("best").to(memory_format=torch.channels_last)
    found = extract(
        network, image[None], np.array([0]), run.mean, run.std, precision=precision_here(run)
    )
    rows = {PIXELS: pixel_features(image[None], np.array([0]))} | found
    return {layer: values[0] for layer, values in rows.items()}
