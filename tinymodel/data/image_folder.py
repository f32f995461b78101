"""Your own pictures: one folder a class, in a folder of this machine or in a zip."""

import math
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from tinymodel.data.file_tree import FileTree
from tinymodel.data.pictures import Progress, write_pictures
from tinymodel.data.prepared import (
    ClassInfo,
    PreparedDataset,
    PreparedWriter,
    bytes_needed,
    open_dataset,
)
from tinymodel.errors import UserError

SPLIT_NAMES = {"train", "training", "val", "valid", "validation", "test", "testing"}
EXAMPLE = (
    "one folder for each class with its pictures inside, like pets/cat/1.jpg and pets/dog/1.jpg"
)


def prepare_folder(
    source: Path,
    name: str,
    *,
    validation: float = 0.2,
    seed: int = 0,
    progress: Progress | None = None,
    replace: bool = False,
) -> PreparedDataset:
    """Prepare pictures of any size and format from a folder, or a zip, that has one folder a class.

    Each picture is turned as its EXIF says, its centre square is cut out and resized to 64×64 pixels.

    Args:
        validation: The share of each class kept for validation, in (0, 1); at least one picture on either side.
        seed: Decides which ones: the same seed, the same pictures, whatever other classes there are.

    Raises:
        UserError: There are no two classes, a class has too few pictures, too many are broken, the name is taken, or
            the disk is full.
    """
    return _prepare(FileTree(source), name, validation, seed, progress, replace)


def prepare_zip(
    source: Path | BinaryIO,
    name: str,
    *,
    title: str = "",
    validation: float = 0.2,
    seed: int = 0,
    progress: Progress | None = None,
    replace: bool = False,
) -> PreparedDataset:
    """As `prepare_folder`, from a zip or an open upload that people know as `title`."""
    return _prepare(FileTree(source, title), name, validation, seed, progress, replace)


def disk_needed(source: Path | BinaryIO, title: str = "") -> int:
    """Bytes that preparing `source` will take on the disk, from the number of files in it.

    Raises:
        UserError: It cannot be read or has no folder for each class.
    """
    with FileTree(source, title) as tree:
        return bytes_needed(sum(map(len, _classes(tree).values())))


def _prepare(
    tree: FileTree,
    name: str,
    validation: float,
    seed: int,
    progress: Progress | None,
    replace: bool,
) -> PreparedDataset:
    with tree:
        if not 0 < validation < 1:
            raise UserError(
                f"The share kept for validation must lie between 0 and 1, not {validation!r}."
            )
        files = _classes(tree)
        rows = {}
        for label, (wnid, pictures) in enumerate(files.items()):
            chosen = _chosen(wnid, pictures, validation, seed)
            for file in pictures:
                split = "val" if file in chosen else "train"
                rows[file] = dict(split=split, label=label, source=file)
        with PreparedWriter(
            name,
            kind="folder",
            classes=[ClassInfo(wnid, wnid) for wnid in files],
            capacity=len(rows),
            replace=replace,
        ) as writer:
            write_pictures(writer, tree, rows, crop=True, progress=progress)
            for file in tree.files:
                if file not in rows:
                    writer.leave_out(file, "lies in no class folder")
    return open_dataset(name)


def _classes(tree: FileTree) -> dict[str, list[str]]:
    """Class → its files, both sorted. A single folder around all classes is looked into."""
    top = ""
    while True:
        names = sorted(
            folder.removeprefix(top)
            for folder in tree.folders
            if folder.startswith(top) and "/" not in folder.removeprefix(top)
        )
        inner = f"{top}{names[0]}/" if len(names) == 1 else None
        if inner and any(folder.startswith(inner) for folder in tree.folders):
            top = inner
        else:
            break
    if len(names) < 2:
        raise UserError(
            f"{tree.title} has {len(names) or 'no'} class folder{'s' * (not names)}, and two are the least to tell "
            f"apart: give it {EXAMPLE}."
        )
    if {name.lower() for name in names} <= SPLIT_NAMES:
        raise UserError(
            f"{tree.title} is split into {' and '.join(names)}: choose the folder inside that has {EXAMPLE}; a part is "
            "kept for validation by itself."
        )
    files: dict[str, list[str]] = {name: [] for name in names}
    for file in tree.files:
        name, inside, _ = file.removeprefix(top).partition("/")
        if file.startswith(top) and inside:
            files[name].append(file)
    for name, pictures in files.items():
        if len(pictures) < 2:
            raise UserError(
                f"The class folder {name!r} in {tree.title} has {('no picture', 'only one picture')[len(pictures)]}: "
                "put at least two into it, one to learn from and one to check, or remove it."
            )
    return files


def _chosen(wnid: str, pictures: Sequence[str], validation: float, seed: int) -> set[str]:
    """The pictures of a class that are kept for validation."""
    count = math.floor(len(pictures) * validation + 0.5)
    count = min(max(count, 1), len(pictures) - 1)
    draws = np.random.default_rng([seed, zlib.crc32(wnid.encode("utf-8", "surrogateescape"))])
    return {pictures[i] for i in draws.permutation(len(pictures))[:count]}
