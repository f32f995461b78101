"""From files to a prepared dataset: what official Tiny ImageNet and one's own pictures have in common."""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

from tinymodel.data.decoding import decode_all
from tinymodel.data.file_tree import FileTree
from tinymodel.data.prepared import SPLITS, PreparedWriter
from tinymodel.errors import UserError

Progress = Callable[[float, str], None]
"""Called with the fraction done, in [0, 1], and a message; may raise to stop, and then nothing is left behind."""


def most_left_out(count: int) -> int:
    """How many of `count` pictures may be broken: one in a hundred; of few, one in ten and at most two."""
    return max(count // 100, min(2, count // 10))


def write_pictures(
    writer: PreparedWriter,
    tree: FileTree,
    rows: Mapping[str, dict[str, Any]],
    *,
    crop: bool,
    workers: int | None = None,
    progress: Progress | None = None,
) -> None:
    """Decode the files of `tree` that `rows` names, in that order, and give them to `writer`.

    Args:
        rows: File name → its row of the table.
        crop: As of `decode`.

    Raises:
        UserError: Too many are broken, or they leave a class with no picture in a split.
    """
    broken: dict[str, str] = {}
    counts: Counter = Counter()
    content = hashlib.sha256()
    done, total = 0, len(rows)
    with closing(decode_all(list(rows), tree.read, crop=crop, workers=workers)) as blocks:
        try:
            for block in blocks:
                kept = [rows[name] for name in block.names]
                writer.add(block.images, kept, block.sums)
                counts.update((row["split"], row["label"]) for row in kept)
                for row, checksum in zip(kept, block.checksums, strict=True):
                    line = f"{row['split']} {row['label']} {row['source']} {checksum:08x}\n"
                    content.update(line.encode("utf-8", "surrogateescape"))
                broken |= block.broken
                if len(broken) > most_left_out(total):
                    raise UserError(_too_many(tree.title, broken, total))
                done += len(block.names) + len(block.broken)
                if progress:
                    progress(done / total, f"Read {done:,} of {total:,} images")
        except ChildProcessError as error:
            raise UserError(
                f"{tree.title} could not be read because {error}: perhaps memory ran out; close other programs and try "
                "again."
            ) from error
    for name, reason in broken.items():
        writer.leave_out(name, reason)
    for label, item in enumerate(writer.classes):
        for split, side in zip(SPLITS, ("training", "validation"), strict=True):
            if not counts[split, label]:
                raise UserError(
                    f"{tree.title} has no {side} image of the class {item.name!r}{_left(broken)}: add pictures to it, "
                    "or leave the class out."
                )
    classes = "\n".join(item.wnid for item in writer.classes)
    content.update(classes.encode("utf-8", "surrogateescape"))
    writer.fingerprint = f"{writer.kind}-{content.hexdigest()[:16]}"


def _too_many(title: str, broken: Mapping[str, str], total: int) -> str:
    name, reason = next(iter(broken.items()))
    return (
        f"{title} was not prepared because {len(broken)} of its {total:,} images cannot be used, the first being "
        f"{name} (it {reason}): replace or delete the broken ones and try again."
    )


def _left(broken: Mapping[str, str]) -> str:
    return f" once broken ones like {next(iter(broken))} are left out" if broken else ""
