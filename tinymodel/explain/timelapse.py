"""Time-lapse: what a network thought of a few pinned images after every epoch, and where it looked.

`pins.json` in the run folder names the images; anybody may change it, also while the run trains. After every epoch the
recorder adds one line for each pin to `timelapse.jsonl`, about 500 bytes: heat map, prediction, probabilities. It is a
hook of the training loop and works on a copy of the weights.
"""

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from tinymodel.data.batches import normalize
from tinymodel.errors import UserError
from tinymodel.evaluation import run_dataset, run_labels
from tinymodel.network import BottleneckNet
from tinymodel.paths import runs_folder
from tinymodel.runs import Run, write_atomically

PINS, RECORD = "pins.json", "timelapse.jsonl"
NEXT = ".next-pins.json"  # in the folder of all runs: dataset fingerprint → pins
MOST = 16  # pins of a run
DEFAULT = 8  # pinned when nobody has chosen
TOP = 5


@dataclass(frozen=True)
class Moment:
    """One pinned image after one epoch."""

    epoch: int  # from 1
    index: int  # row of the dataset
    heat: (
        np.ndarray
    )  # float32 (8, 8): evidence for the true class at the last block, ≥ 0, not scaled
    prediction: int
    true_probability: float
    top: list[tuple[int, float]]  # the most probable labels, best first


def read_pins(run: Run) -> list[int]:
    """The pinned rows of the dataset, in the order in which they were pinned."""
    try:
        pins = json.loads((run.folder / PINS).read_text(encoding="utf-8"))
        return [int(index) for index in pins][:MOST]
    except (OSError, ValueError, TypeError):
        return []


def write_pins(run: Run, pins: Sequence[int]) -> None:
    """Pin these images, instead of those before; from the next epoch on they are recorded.

    Raises:
        UserError: There are more than 16.
    """
    write_atomically(run.folder / PINS, json.dumps(_checked(pins)))


def _checked(pins: Sequence[int]) -> list[int]:
    pins = list(dict.fromkeys(map(int, pins)))
    if len(pins) > MOST:
        raise UserError(f"At most {MOST} images can be pinned; take one off first.")
    return pins


def read_next_pins(run: Run) -> list[int]:
    """The images to watch in the next run on the dataset of this one, if somebody has chosen them."""
    try:
        kept = json.loads((runs_folder() / NEXT).read_text(encoding="utf-8"))
        return [int(index) for index in kept[run.info()["fingerprint"]]][:MOST]
    except (OSError, ValueError, TypeError, KeyError):
        return []


def write_next_pins(run: Run, pins: Sequence[int]) -> None:
    """Choose the images to watch in the next run on the dataset of this one; none: chosen by the program.

    Raises:
        UserError: There are more than 16.
    """
    pins = _checked(pins)
    write_atomically(runs_folder() / NEXT, json.dumps({run.info()["fingerprint"]: pins}))


def pin_examples(run: Run) -> None:
    """Pin what was chosen beforehand, else one validation image each of up to 8 classes, spread over all of them."""
    if (run.folder / PINS).exists():
        return
    labels = run_labels(run, run_dataset(run), run.val_indices)
    if chosen := [index for index in read_next_pins(run) if index in set(run.val_indices)]:
        write_pins(run, chosen)
        return
    classes, first = np.unique(labels, return_index=True)
    chosen = first[np.linspace(0, len(classes) - 1, min(DEFAULT, len(classes))).round().astype(int)]
    write_pins(run, run.val_indices[chosen].tolist())


def record(run: Run, epoch: int, network: Callable[[], BottleneckNet]) -> None:
    """The hook of the training loop (`EpochHook`): add this epoch's line for every pinned image."""
    from tinymodel.explain.gradcam import LAST_BLOCK, raw_maps

    if epoch == 1:
        pin_examples(run)
    pins = np.array(read_pins(run), dtype=np.int64)
    if not len(pins):
        return
    dataset = run_dataset(run)
    pins = pins[(pins >= 0) & (pins < len(dataset.images))]
    labels = run_labels(run, dataset, pins)
    pins, labels = pins[labels >= 0], labels[labels >= 0]
    if not len(pins):
        return
    images = torch.from_numpy(dataset.images[pins])
    inputs = normalize(images, run.mean, run.std)
    logits, (maps,) = raw_maps(network(), inputs, labels.tolist(), layers=[LAST_BLOCK])
    probabilities = logits.softmax(1).numpy()
    lines = []
    for index, label, heat, row in zip(pins, labels, maps, probabilities, strict=True):
        best = np.argsort(-row, kind="stable")[:TOP]
        lines.append(
            dict(
                epoch=epoch,
                index=int(index),
                heat=_pack(np.maximum(heat, 0)),
                prediction=int(best[0]),
                true_probability=round(float(row[label]), 5),
                top=[[int(i), round(float(row[i]), 5)] for i in best],
            )
        )
    with open(run.folder / RECORD, "a", encoding="utf-8") as file:
        file.writelines(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)


def _pack(heat: np.ndarray) -> str:
    return base64.b64encode(heat.astype("<f2").tobytes()).decode()


def _unpack(text: str) -> np.ndarray:
    values = np.frombuffer(base64.b64decode(text), "<f2").astype(np.float32)
    side = int(len(values) ** 0.5)
    return values.reshape(side, side)


def read_moments(run: Run) -> dict[int, dict[int, Moment]]:
    """What was recorded: image → epoch → moment.

    A resumed run may have recorded an epoch twice: the later line counts. Epochs that a resume has cut from the run's
    table are left out, and so is a line torn by the end of its process.
    """
    try:
        text = (run.folder / RECORD).read_text(encoding="utf-8")
    except OSError:
        return {}
    finished = len(run.epochs())
    moments: dict[int, dict[int, Moment]] = {}
    for line in text.splitlines():
        try:
            values = json.loads(line)
            values["heat"] = _unpack(values["heat"])
            values["top"] = [(int(label), float(share)) for label, share in values["top"]]
            moment = Moment(**values)
        except (ValueError, TypeError, KeyError):
            continue
        if moment.epoch <= finished:
            moments.setdefault(moment.index, {})[moment.epoch] = moment
    return moments
