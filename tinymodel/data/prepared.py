"""The form in which every dataset is kept: one memory-mapped array of images and one table.

`data/<name>/` holds `images.npy` uint8 (N, 64, 64, 3), `samples.parquet` (split, label, source, x0, y0, x1, y1) and
`dataset.json`. It is written in a temporary folder beside its final place and renamed when whole.
"""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from tinymodel.data.decoding import colour_sums
from tinymodel.data.disk import MOVE, Workplace, check_space, disk_full, set_aside
from tinymodel.errors import UserError
from tinymodel.paths import check_name, data_folder

FORMAT = 1
SIDE = 64  # pixels
SPLITS = ("train", "val")
SAMPLE_COLUMNS = ("split", "label", "source", "x0", "y0", "x1", "y1")
IMAGE_BYTES = SIDE * SIDE * 3
FILES = ("dataset.json", "images.npy", "samples.parquet")


@dataclass(frozen=True)
class ClassInfo:
    """A class: its id (WordNet id for Tiny ImageNet), its short name, and a longer description."""

    wnid: str
    name: str
    description: str = ""


@dataclass(frozen=True)
class Subset:
    """Some classes and some images of a dataset: indices into it, never a copy.

    `classes` are in label order of the network that learns them; labels are int64 in [0, len(classes)).
    `held_out` are classes chosen but never trained on.
    """

    dataset: "PreparedDataset"
    classes: tuple[ClassInfo, ...]
    held_out: tuple[ClassInfo, ...]
    train: np.ndarray
    train_labels: np.ndarray
    val: np.ndarray
    val_labels: np.ndarray


@dataclass(frozen=True)
class PreparedDataset:
    """A dataset on disk. Images are mapped, not read: opening takes milliseconds."""

    name: str
    folder: Path
    info: Mapping  # dataset.json
    images: np.ndarray  # uint8 (N, 64, 64, 3), RGB
    samples: pd.DataFrame  # N rows of SAMPLE_COLUMNS; boxes: inclusive pixels, or missing

    @property
    def kind(self) -> str:
        """'tiny-imagenet', 'sample' or 'folder'."""
        return self.info["kind"]

    @cached_property
    def classes(self) -> tuple[ClassInfo, ...]:
        """In label order, which is the sorted order of their ids."""
        return tuple(ClassInfo(**item) for item in self.info["classes"])

    @property
    def mean(self) -> tuple[float, float, float]:
        """Of the training images' colours, in [0, 1]."""
        return tuple(self.info["mean"])

    @property
    def std(self) -> tuple[float, float, float]:
        return tuple(self.info["std"])

    @property
    def fingerprint(self) -> str:
        return self.info["fingerprint"]

    @property
    def left_out(self) -> list[dict[str, str]]:
        """Images that could not be read: {'source', 'reason'} each."""
        return self.info["left_out"]

    @cached_property
    def _rows(self) -> dict[tuple[str, int], np.ndarray]:
        groups = self.samples.groupby(["split", "label"], observed=True).indices
        return {(str(split), int(label)): rows for (split, label), rows in groups.items()}

    @cached_property
    def largest_class(self) -> int:
        """How many training images the class has that has the most."""
        return max(len(rows) for (split, _), rows in self._rows.items() if split == "train")

    def indices(self, split: str, label: int | None = None) -> np.ndarray:
        """Rows of one split, and of one class if `label` is given: int64, ascending."""
        if label is not None:
            return self._rows.get((split, label), np.arange(0)).copy()
        parts = [rows for (part, _), rows in self._rows.items() if part == split]
        return np.sort(np.concatenate([np.arange(0), *parts]))

    def find_class(self, text: str) -> int:
        """The label of the class with this id or, ignoring case, this name."""
        for label, item in enumerate(self.classes):
            if text.strip().lower() in (item.wnid.lower(), item.name.lower()):
                return label
        raise UserError(
            f"The dataset {self.name!r} has no class {text.strip()[:60]!r}. Its classes are "
            f"{', '.join(c.name for c in self.classes[:8])}{' …' if len(self.classes) > 8 else ''}."
        )

    def subset(
        self,
        classes: int | Sequence[str] | None = None,
        hold_out: int | Sequence[str] = 0,
        per_class: int | None = None,
    ) -> Subset:
        """Choose classes (a number: the first ids in sorted order) and the first `per_class` training images.

        Raises:
            UserError: Fewer than two classes remain, or a class is unknown.
        """
        if classes is None:
            chosen = list(range(len(self.classes)))
        elif isinstance(classes, int):
            if classes > len(self.classes):
                raise UserError(
                    f"The dataset {self.name!r} has {len(self.classes)} classes; {classes} were asked for."
                )
            chosen = list(range(classes))
        else:
            chosen = sorted({self.find_class(text) for text in classes})
        if isinstance(hold_out, int):
            held = chosen[len(chosen) - hold_out :] if hold_out else []
        else:
            held = sorted({self.find_class(text) for text in hold_out})
        kept = [label for label in chosen if label not in set(held)]
        if len(kept) < 2:
            raise UserError(
                f"At least two classes are needed to train on; {len(kept)} remain. Choose more classes"
                f"{' or keep fewer for later' if held else ''}."
            )
        parts: dict[str, tuple[list, list]] = {split: ([], []) for split in SPLITS}
        for new_label, label in enumerate(kept):
            for split in SPLITS:
                rows = self.indices(split, label)
                if split == "train":
                    rows = rows[:per_class]
                parts[split][0].append(rows)
                parts[split][1].append(np.full(len(rows), new_label))
        arrays = {}
        for split, (rows, labels) in parts.items():
            arrays[split] = np.concatenate(rows).astype(np.int64)
            arrays[f"{split}_labels"] = np.concatenate(labels).astype(np.int64)
        return Subset(
            dataset=self,
            classes=tuple(self.classes[label] for label in kept),
            held_out=tuple(self.classes[label] for label in held),
            **arrays,
        )


def dataset_folder(name: str) -> Path:
    return data_folder() / check_name(name, "dataset")


def list_datasets() -> list[str]:
    """Names of the prepared datasets, sorted."""
    folder = data_folder()
    if not folder.is_dir():
        return []
    return sorted(
        item.name
        for item in folder.iterdir()
        if not item.name.startswith(".") and (item / "dataset.json").is_file()
    )


def open_dataset(name: str) -> PreparedDataset:
    """Open a prepared dataset.

    Raises:
        UserError: It does not exist, was written by a newer version, or its files do not fit together.
    """
    folder = dataset_folder(name)
    try:
        return _opened(name, folder, tuple(_stamp(folder / file) for file in FILES))
    except FileNotFoundError as error:
        known = ", ".join(list_datasets()) or "none yet"
        raise UserError(
            f"There is no prepared dataset {name!r} (there are: {known}). Prepare it on the Data page or with "
            "python -m tinymodel prepare."
        ) from error
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(
            f"The prepared dataset {name!r} is damaged ({error}); remove it and prepare it again."
        ) from error


def _stamp(file: Path) -> tuple[int, int, int]:
    """Another one after any change of the file."""
    about = file.stat()
    return about.st_ino, about.st_size, about.st_mtime_ns


@lru_cache(maxsize=4)
def _opened(name: str, folder: Path, stamps: tuple) -> PreparedDataset:
    """One for everybody, as long as its files stay what they are: pages open it several times each."""
    info = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
    if info["format"] > FORMAT:
        raise UserError(f"The dataset {name!r} was prepared by a newer version; prepare it again.")
    images = np.load(folder / "images.npy", mmap_mode="r")
    samples = pd.read_parquet(folder / "samples.parquet")
    if images.shape != (len(samples), SIDE, SIDE, 3) or images.dtype != np.uint8:
        raise UserError(
            f"The prepared dataset {name!r} is damaged; remove it and prepare it again."
        )
    return PreparedDataset(name, folder, info, images, samples)


def bytes_needed(images: int) -> int:
    """Bytes on disk of a dataset with so many images: the array, and about 30 bytes a row of the table."""
    return images * (IMAGE_BYTES + 30) + 100_000


def check_new_name(name: str) -> None:
    """Raise a UserError if a new dataset cannot have this name: it is none, or it is taken."""
    if dataset_folder(name).exists():
        raise UserError(
            f"A dataset named {name!r} is already prepared: choose another name, or remove it first."
        )


def remove_dataset(name: str) -> None:
    """Delete a prepared dataset. Runs trained on it keep what they need.

    Raises:
        UserError: There is none, or another program holds its files.
    """
    folder = dataset_folder(name)
    if not folder.is_dir():
        raise UserError(f"There is no prepared dataset {name!r} to remove.")
    _opened.cache_clear()  # Windows moves no file that is mapped
    try:
        doomed = set_aside(folder)
    except OSError as error:
        raise UserError(
            f"The dataset {name!r} cannot be removed ({error.strerror or error}): is it used for training?"
        ) from error
    shutil.rmtree(doomed, ignore_errors=True)


class PreparedWriter:
    """Writes a dataset block by block; it appears under its name only when whole.

    ```
    with PreparedWriter("pets", kind="folder", classes=classes, fingerprint=…, capacity=n) as writer:
        writer.add(images, rows)        # uint8 (n, 64, 64, 3) and n dicts of SAMPLE_COLUMNS
        writer.leave_out("cat/7.jpg", "not an image")
    ```
    Leaving the block by an exception removes what was written and touches nothing else. A full disk becomes a
    UserError.

    Args:
        kind: 'tiny-imagenet', 'sample' or 'folder'.
        fingerprint: Names the content: equal content, equal fingerprint. May be set later as `writer.fingerprint`.
        capacity: The most images that will come; fewer may.
        replace: Whether a dataset of this name may be replaced; else a UserError at once.
    """

    def __init__(
        self,
        name: str,
        *,
        kind: str,
        classes: Sequence[ClassInfo],
        fingerprint: str = "",
        capacity: int,
        notes: Mapping | None = None,
        replace: bool = False,
    ):
        self.target = dataset_folder(name)
        self.replace = replace
        self._refuse_second()
        self.kind, self.classes, self.notes = kind, list(classes), dict(notes or {})
        self.fingerprint = fingerprint
        self.capacity = capacity
        self.rows: list[dict] = []
        self.left_out: list[dict[str, str]] = []
        self.sums = np.zeros((2, 3))  # of colours and of their squares over the training images
        self.pixels = 0

    def _refuse_second(self) -> None:
        if not self.replace:
            check_new_name(self.target.name)

    def __enter__(self) -> "PreparedWriter":
        check_space(bytes_needed(self.capacity), f"The dataset {self.target.name!r}")
        self._workplace = Workplace(self.target)
        self.folder = self._workplace.folder
        self.file = open(self.folder / "images.npy", "wb")
        self._write_header(self.capacity)
        return self

    def _write_header(self, count: int) -> None:
        self.file.seek(0)
        header = dict(descr="|u1", fortran_order=False, shape=(count, SIDE, SIDE, 3))
        np.lib.format.write_array_header_1_0(self.file, header)  # as long for every count

    def add(
        self, images: np.ndarray, rows: Sequence[Mapping], sums: np.ndarray | None = None
    ) -> None:
        """Append images, uint8 (n, 64, 64, 3), and their n rows of the table; `sums` as of `colour_sums`, if known."""
        self.file.write(np.ascontiguousarray(images, dtype=np.uint8).data)
        self.rows.extend(dict(row) for row in rows)
        train = np.array([row["split"] == "train" for row in rows], dtype=bool)
        self.sums += (colour_sums(images[train]) if sums is None else sums[train]).sum(0)
        self.pixels += int(train.sum()) * SIDE * SIDE

    def leave_out(self, source: str, reason: str) -> None:
        self.left_out.append(dict(source=source, reason=reason))

    def __exit__(self, kind, error, traceback) -> None:
        try:
            if kind is None:
                self._finish()
        except OSError as failure:
            error = failure
            if not disk_full(failure):
                raise
        finally:
            try:
                self.file.close()
            except OSError as failure:  # it writes what is left in its buffer
                error = error or failure
            self._workplace.close()
        if disk_full(error):
            raise UserError(
                f"The disk became full while {self.target.name!r} was being prepared, and what was written has been "
                f"removed: make room, or {MOVE}."
            ) from error

    def _finish(self) -> None:
        self._write_header(len(self.rows))
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()
        samples = pd.DataFrame(self.rows, columns=list(SAMPLE_COLUMNS)).astype(
            dict(split="str", label="int64", source="str")
            | dict.fromkeys(("x0", "y0", "x1", "y1"), "Int16")
        )
        samples.to_parquet(self.folder / "samples.parquet", index=False)
        mean = self.sums[0] / max(1, self.pixels)
        std = np.sqrt(np.maximum(self.sums[1] / max(1, self.pixels) - mean**2, 0.25))
        info = dict(
            format=FORMAT,
            name=self.target.name,
            kind=self.kind,
            classes=[asdict(item) for item in self.classes],
            fingerprint=self.fingerprint,
            notes=self.notes,
            counts={split: int((samples["split"] == split).sum()) for split in SPLITS},
            mean=(mean / 255).tolist(),
            std=(std / 255).tolist(),
            left_out=self.left_out,
        )
        text = json.dumps(info, indent=1, ensure_ascii=False)
        (self.folder / "dataset.json").write_text(text, encoding="utf-8")
        self._refuse_second()
        try:
            self._workplace.put_in_place()
        except OSError as error:
            raise UserError(
                f"The dataset {self.target.name!r} could not be put in its place ({error.strerror or error}): if it is in "
                "use, end the training or the other program, then try again."
            ) from error
