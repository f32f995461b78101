"""Official Tiny ImageNet: downloaded, checked, and prepared straight from its zip or an extracted folder.

What is there is counted, never assumed: a part of it with the same layout works as well. The images of `test` have no
labels and are not used.
"""

import hashlib
import http.client
import re
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from tinymodel.data.decoding import Unreadable
from tinymodel.data.disk import MOVE, check_space, disk_full, format_bytes
from tinymodel.data.file_tree import FileTree
from tinymodel.data.pictures import Progress, write_pictures
from tinymodel.data.prepared import (
    SIDE,
    ClassInfo,
    PreparedDataset,
    PreparedWriter,
    bytes_needed,
    open_dataset,
)
from tinymodel.errors import UserError

URL = "http://cs231n.stanford.edu/tiny-imagenet-200.zip"
SIZE = 248_100_043  # bytes
MD5 = "90528d7ca1a48142e341f4ef8d21d0de"
TIMEOUT = 20.0  # seconds without an answer
RETRIES, PAUSE = (
    5,
    2.0,
)  # times a broken connection is taken up again in vain, and seconds before each
LOCAL_COPY = "ask for a local copy of tiny-imagenet-200.zip and prepare that"

Box = tuple[int, int, int, int]
"""x0, y0, x1, y1: inclusive pixels."""


def prepare_tiny_imagenet(
    source: Path,
    name: str = "tiny-imagenet",
    *,
    progress: Progress | None = None,
    workers: int | None = None,
    replace: bool = False,
) -> PreparedDataset:
    """Prepare official Tiny ImageNet, or a part of it in the same layout.

    Args:
        source: The zip, which is read where it is, or a folder it was extracted to.
        workers: Number of decoding processes; by default one a core, at most 8.
        replace: Whether a dataset of this name may be replaced.

    Raises:
        UserError: The source is not Tiny ImageNet or damaged, the name is taken, or the disk is full.
    """
    with FileTree(source) as tree:
        classes, rows = _contents(tree)
        with PreparedWriter(
            name, kind="tiny-imagenet", classes=classes, capacity=len(rows), replace=replace
        ) as writer:
            write_pictures(writer, tree, rows, crop=False, workers=workers, progress=progress)
    return open_dataset(name)


def disk_needed(source: Path) -> int:
    """Bytes that preparing `source` will take on the disk, from the number of images in it.

    Raises:
        UserError: It cannot be read or is not Tiny ImageNet.
    """
    with FileTree(source) as tree:
        root = _root(tree)
        return bytes_needed(sum(_place(root, file) is not None for file in tree.files))


def _place(root: str, file: str) -> tuple[str, str, str] | None:
    """Split, class id (empty in val, where a table says it) and name of an image, if it is one that is used."""
    match file[len(root) :].split("/"):
        case ["train", wnid, "images", image]:
            return "train", wnid, image
        case ["val", "images", image]:
            return "val", "", image
    return None


def _root(tree: FileTree) -> str:
    """The part of every name before 'wnids.txt'."""
    tops = [file for file in tree.files if file == "wnids.txt" or file.endswith("/wnids.txt")]
    if not tops:
        raise UserError(
            f"{tree.title} is not Tiny ImageNet, because there is no wnids.txt in it: choose the official zip, or the "
            "folder that holds wnids.txt, train and val."
        )
    return min(tops, key=len).removesuffix("wnids.txt")


def _contents(tree: FileTree) -> tuple[list[ClassInfo], dict[str, dict]]:
    """The classes sorted by id, and the row of every image: training images by class and number, then validation."""
    root = _root(tree)
    classes = _classes(tree, root)
    labels = {item.wnid: label for label, item in enumerate(classes)}
    validation = _validation_table(tree, root, labels)
    boxes = {wnid: _class_boxes(tree, root, wnid) for wnid in labels}
    found = []
    for file in tree.files:
        split, wnid, image = _place(root, file) or ("", "", "")
        if split == "val" and image not in validation:
            raise UserError(
                f"{file} in {tree.title} has no line in val_annotations.txt, so its class is not known: get a complete "
                "copy."
            )
        if split == "val":
            wnid, box = validation[image]
        elif wnid in labels:
            box = boxes[wnid].get(image, (None,) * 4)
        else:
            continue
        found.append((split, labels[wnid], len(image), image, file, box))
    rows = {}
    for split, label, _, _, file, (x0, y0, x1, y1) in sorted(found):  # by length: image 9 before 10
        source = file[len(root) :]
        rows[file] = dict(split=split, label=label, source=source, x0=x0, y0=y0, x1=x1, y1=y1)
    counts = {(row["split"], row["label"]) for row in rows.values()}
    for label, item in enumerate(classes):
        for split, folder in (("train", f"train/{item.wnid}/images"), ("val", "val/images")):
            if (split, label) not in counts:
                raise UserError(
                    f"{tree.title} has no image of the class {item.wnid} ({item.name}) in {folder}: get a complete "
                    "copy."
                )
    return classes, rows


def _lines(tree: FileTree, file: str) -> list[tuple[int, str]]:
    """Numbered lines of a text file that are not blank."""
    if file not in tree:
        raise UserError(f"{file} is missing in {tree.title}: get a complete copy of Tiny ImageNet.")
    try:
        text = tree.read(file).decode("utf-8-sig")
    except Unreadable as error:
        raise UserError(f"{file} in {tree.title} {error}: get a new copy.") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{file} in {tree.title} is not a text file: get a new copy.") from error
    return [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]


def _malformed(tree: FileTree, file: str, number: int, line: str, expected: str) -> UserError:
    return UserError(
        f"Line {number} of {file} in {tree.title} is {line.strip()[:40]!r} where {expected} was expected: get a new "
        "copy."
    )


def _classes(tree: FileTree, root: str) -> list[ClassInfo]:
    file = root + "wnids.txt"
    wnids = {}
    for number, line in _lines(tree, file):
        wnid = line.strip()
        if not re.fullmatch(r"n\d{8}", wnid) or wnid in wnids:
            raise _malformed(tree, file, number, line, "one new id like n01443537")
        wnids[wnid] = number
    if len(wnids) < 2:
        raise UserError(f"{file} in {tree.title} names fewer than two classes: get a new copy.")
    words = {}
    file = root + "words.txt"
    for number, line in _lines(tree, file):
        wnid, tab, synonyms = line.partition("\t")
        if not tab or not synonyms.strip(" ,"):
            raise _malformed(tree, file, number, line, "an id, a tab and names")
        words[wnid.strip()] = synonyms.strip(" ,")
    for wnid in wnids:
        if wnid not in words:
            raise UserError(
                f"{file} in {tree.title} has no name for the class {wnid}: get a new copy."
            )
    return [
        ClassInfo(wnid, words[wnid].split(",")[0].strip(), words[wnid]) for wnid in sorted(wnids)
    ]


def _validation_table(
    tree: FileTree, root: str, labels: Mapping[str, int]
) -> dict[str, tuple[str, Box]]:
    file = root + "val/val_annotations.txt"
    table = {}
    for number, line in _lines(tree, file):
        image, _, rest = line.partition("\t")
        wnid, _, numbers = rest.partition("\t")
        box = _box(numbers)
        if wnid not in labels or not box:
            raise _malformed(tree, file, number, line, "a file, an id of wnids.txt and a box")
        table[image] = wnid, box
    return table


def _class_boxes(tree: FileTree, root: str, wnid: str) -> dict[str, Box]:
    file = f"{root}train/{wnid}/{wnid}_boxes.txt"
    boxes = {}
    for number, line in _lines(tree, file):
        image, _, numbers = line.partition("\t")
        box = _box(numbers)
        if not box:
            raise _malformed(tree, file, number, line, "a file and a box")
        boxes[image] = box
    return boxes


def _box(text: str) -> Box | None:
    """Four inclusive pixels inside the image with tabs between, or None if it is anything else."""
    match = re.fullmatch(r"(\d\d?)\t(\d\d?)\t(\d\d?)\t(\d\d?)\s*", text)
    if not match:
        return None
    x0, y0, x1, y1 = map(int, match.groups())
    return (x0, y0, x1, y1) if x0 <= x1 < SIDE and y0 <= y1 < SIDE else None


def download(target_folder: Path, progress: Progress | None = None) -> Path:
    """Download the official zip, 248 MB, and check its size and MD5; what is already there is not fetched again.

    A broken download is taken up where it broke, at once or at the next call: what there is waits in a `.part` file.

    Returns:
        The zip in `target_folder`.

    Raises:
        UserError: The address cannot be reached, it gives something else, or the disk is full.
    """
    target = Path(target_folder) / PurePosixPath(URL).name
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_file() and _is_official(target):
            return target
        with open(part, "ab") as file:
            check_space(SIZE - file.tell(), "The download")
            _fetch(file, progress or (lambda fraction, message: None))
        if not _is_official(part):
            part.unlink()
            raise UserError(
                f"What {URL} sent is not the official archive (its MD5 is not {MD5}), so it was deleted: try again, or "
                f"{LOCAL_COPY}."
            )
        part.replace(target)
    except OSError as error:
        if disk_full(error):
            raise UserError(
                f"The disk became full while downloading: make room, or {MOVE}."
            ) from error
        raise UserError(f"{part.name} cannot be written ({error.strerror or error}).") from error
    finally:
        if part.exists() and not part.stat().st_size:
            part.unlink()
    return target


def _fetch(file: BinaryIO, progress: Progress) -> None:
    """Fill `file`, opened for appending, up to the full size, taking up the connection wherever it breaks."""
    started = file.tell()
    fruitless = 0  # attempts since the last byte
    while (have := file.tell()) < SIZE:
        problem = "the connection broke"
        try:
            for position, chunk in _receive(have):
                if position < file.tell():  # the server cannot resume and sends everything again
                    file.truncate(position)
                    file.seek(position)
                file.write(chunk)
                fruitless = 0
                done = position + len(chunk)
                progress(done / SIZE, f"Downloaded {format_bytes(done)} of {format_bytes(SIZE)}")
        except _Interrupted as error:
            problem = str(error)
        if file.tell() >= SIZE:
            return
        fruitless += 1
        if file.tell() == started or fruitless > RETRIES:
            raise UserError(
                f"{URL} could not be downloaded ({problem}): this address is often down, so {LOCAL_COPY}, or try again "
                "later."
            )
        progress(file.tell() / SIZE, "The connection broke; trying again")
        time.sleep(PAUSE)


class _Interrupted(Exception):
    """The network failed; the text says how."""


def _receive(start: int) -> Iterator[tuple[int, bytes]]:
    """Positions and pieces of the archive from `start` on, or from 0 if the server cannot begin later."""
    request = urllib.request.Request(URL, headers={"Range": f"bytes={start}-"} if start else {})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
            position = start if response.status == 206 else 0
            length = response.headers.get("Content-Length")
            if length is not None and position + int(length) != SIZE:
                raise _Interrupted(
                    f"it offers {position + int(length):,} bytes rather than {SIZE:,}"
                )
            while chunk := response.read(1 << 18):
                yield position, chunk
                position += len(chunk)
    except (OSError, http.client.HTTPException) as error:
        raise _Interrupted(getattr(error, "reason", None) or error) from error


def _is_official(file: Path) -> bool:
    if file.stat().st_size != SIZE:
        return False
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "md5").hexdigest() == MD5
