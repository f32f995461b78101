"""Whether files that came from elsewhere are those of a run: looked at as data, never run."""

import json
import math
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow
import pyarrow.parquet

from tinymodel.config import TrainConfig
from tinymodel.data.prepared import ClassInfo
from tinymodel.errors import UserError
from tinymodel.paths import check_name
from tinymodel.runs import FORMAT, REQUIRED, write_atomically
from tinymodel.tables import EPOCH_COLUMNS, STEP_COLUMNS, read_table

WEIGHTS = ("best.pt", "last.pt", "previous.pt")
STATES = ("running", "paused", "stopped", "failed", "finished")
NEEDED = (
    *REQUIRED,
    "fingerprint",
    "steps_per_epoch",
    "train_images",
    "val_images",
    "train_indices",
    "val_indices",
)
MOST_CLASSES, MOST_WIDTH, MOST_ROWS = 100_000, 256, 10_000_000
MOST_CELLS = 500_000_000  # bytes of an unpacked parquet table
PREDICTIONS = (
    "index",
    "label",
    "prediction",
    "confidence",
    "true_probability",
    "loss",
    "top5",
    "top5_probabilities",
)


class BadRun(Exception):
    """Why this is no run: the end of a sentence that begins with the file's name."""


def read_info(file: Path) -> dict[str, Any]:
    try:
        info = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise BadRun("its run.json cannot be read.") from error
    if not isinstance(info, dict) or not isinstance(info.get("format"), int):
        raise BadRun("its run.json is not that of a run.")
    if info["format"] > FORMAT:
        raise BadRun("it was written by a newer version of this program. Update this one.")
    return info


def write_info(file: Path, info: dict[str, Any]) -> None:
    write_atomically(file, json.dumps(info, indent=1, ensure_ascii=False))


def check_info(info: dict[str, Any]) -> None:
    """Raise BadRun unless everything that pages read from `run.json` is what they expect."""
    if missing := [key for key in NEEDED if key not in info]:
        raise BadRun(f"its run.json does not say {missing[0]!r}.")
    try:
        config = TrainConfig.from_json(info["config"])
        check_name(config.dataset, "dataset")
    except UserError as error:
        raise BadRun(f"its configuration is none of this program's. {error}") from error
    except (TypeError, AttributeError) as error:
        raise BadRun("its configuration is none of this program's.") from error
    _check_classes(info["classes"])
    _check_classes(info.get("held_out", []), fewest=0)
    if "stacked_on" in info:
        _expect(isinstance(info["stacked_on"], dict), "stacked_on")
        _check_classes(info["stacked_on"].get("classes", []), fewest=0)
    for key in ("mean", "std"):
        _expect(_numbers(info[key], 3), key)
    _expect(min(info["std"]) > 0, "std")
    for key in ("steps_per_epoch", "train_images", "val_images"):
        _expect(_whole(info[key]) and info[key] <= MOST_ROWS, key)
    for key in ("train_indices", "val_indices"):
        _expect(_ranges(info[key]), key)
    for key in ("message", "device", "precision", "fingerprint"):
        _expect(isinstance(info.get(key, ""), str), key)
    _expect(info["status"] in STATES, "status")
    _expect(isinstance(info.get("versions", {}), dict), "versions")
    accuracy = info.get("flip_averaged_accuracy")
    _expect(accuracy is None or _numbers([accuracy], 1), "flip_averaged_accuracy")
    try:
        datetime.fromisoformat(info["created"]).astimezone()
    except (ValueError, TypeError, OverflowError, OSError) as error:
        raise BadRun("its run.json has no sensible 'created'.") from error


def _expect(right: bool, key: str) -> None:
    if not right:
        raise BadRun(f"its run.json has no sensible {key!r}.")


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _numbers(values: Any, count: int) -> bool:
    return (
        isinstance(values, list)
        and len(values) == count
        and all(type(value) in (int, float) and math.isfinite(value) for value in values)
    )


def _ranges(ranges: Any) -> bool:
    return (
        isinstance(ranges, list)
        and all(
            isinstance(r, list) and len(r) == 2 and _whole(r[0]) and _whole(r[1]) for r in ranges
        )
        and all(a < b <= 2**53 for a, b in ranges)
        and sum(b - a for a, b in ranges) <= MOST_ROWS
    )


def _check_classes(classes: Any, fewest: int = 1) -> None:
    _expect(isinstance(classes, list) and fewest <= len(classes) <= MOST_CLASSES, "classes")
    try:
        texts = [text for item in classes for text in vars(ClassInfo(**item)).values()]
    except TypeError:
        texts = [None]
    _expect(all(isinstance(text, str) for text in texts), "classes")


def check_files(folder: Path, info: dict[str, Any]) -> list[str]:
    """Check every other file. Studies that cannot be read are deleted, because they can be made again.

    Returns:
        The names of those deleted.

    Raises:
        BadRun: A table or checkpoint is not what it should be.
    """
    for name, columns in (("steps.csv", STEP_COLUMNS), ("epochs.csv", EPOCH_COLUMNS)):
        try:
            table = read_table(folder / name, columns)
        except UserError as error:
            raise BadRun(f"its table {name} is damaged.") from error
        numeric = all(pd.api.types.is_numeric_dtype(table[column]) for column in table)
        if tuple(table.columns) != columns or (len(table) and not numeric):
            raise BadRun(f"its table {name} is not that of a run.")
    shapes = _network_shapes(info)
    for name in WEIGHTS:
        if (folder / name).exists():
            _check_weights(folder / name, shapes)
    deleted = [file for file in sorted(folder.glob("*.parquet")) if not _is_sound_parquet(file)]
    for file in deleted:
        file.unlink()
    return [file.name for file in deleted]


def _network_shapes(info: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """Name → shape of every tensor of the network that `run.json` describes. Takes no memory for them."""
    import torch

    from tinymodel.network import BottleneckNet

    model = info["model"]
    _expect(isinstance(model, dict) and _whole(model.get("width")), "model")
    _expect(model["width"] <= MOST_WIDTH and model.get("classes") == len(info["classes"]), "model")
    try:
        with torch.device("meta"):
            network = BottleneckNet(**model)
    except (TypeError, ValueError, RuntimeError) as error:
        raise BadRun("its network is none of this program's.") from error
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


def _check_weights(file: Path, shapes: dict[str, tuple[int, ...]]) -> None:
    from tinymodel import checkpoint

    # torch writes plain zips; a squeezed one could unpack to more than the memory holds
    if not zipfile.is_zipfile(file):
        raise BadRun(f"its {file.name} is not a checkpoint of this program.")
    with zipfile.ZipFile(file) as archive:
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise BadRun(f"its {file.name} is not a checkpoint of this program.")
    try:
        state = checkpoint.load(file)
    except UserError as error:
        raise BadRun(str(error)) from error
    except TypeError as error:  # a format that is no number
        raise BadRun(f"its {file.name} is not a checkpoint of this program.") from error
    for key in ("weights", "averaged"):
        found = state.get(key)
        if found is None and key == "averaged":
            continue
        try:
            same = {name: tuple(tensor.shape) for name, tensor in found.items()} == shapes
        except AttributeError:
            same = False
        if not same:
            raise BadRun(f"the weights in its {file.name} are of another network.")
    lengths = state.get("lengths", {})
    for name, length in lengths.items() if isinstance(lengths, dict) else [("tables", -1)]:
        table = file.parent / f"{name}.csv"
        if name not in ("steps", "epochs") or not _whole(length) or length > _size(table):
            raise BadRun(f"its {file.name} does not belong to its tables.")


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _is_sound_parquet(file: Path) -> bool:
    """Small enough to be read, and with the columns that it should have."""
    try:
        about = pyarrow.parquet.read_metadata(file)
        size = sum(about.row_group(i).total_byte_size for i in range(about.num_row_groups))
        if about.num_rows > MOST_ROWS or size > MOST_CELLS:
            return False
        return file.name != "predictions.parquet" or set(PREDICTIONS) <= set(
            about.schema.to_arrow_schema().names
        )
    except (OSError, ValueError, pyarrow.ArrowException):
        return False
