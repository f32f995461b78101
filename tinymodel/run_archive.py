"""A run as one zip: packed here, unpacked on another machine, where it is something from elsewhere and believed nothing.

In the zip lies one folder with the files of the run folder. Files of unknown names stay out; nothing is ever run.
"""

import os
import re
import shutil
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from tinymodel.data.disk import disk_full, format_bytes
from tinymodel.data.file_tree import open_zip
from tinymodel.errors import UserError
from tinymodel.paths import check_name, runs_folder
from tinymodel.run_checks import WEIGHTS, BadRun, check_files, check_info, read_info, write_info
from tinymodel.runs import Run

MB = 10**6
LIMITS = {
    ".pt": 4000 * MB,
    ".csv": 400 * MB,
    ".parquet": 400 * MB,
    ".json": 50 * MB,
    ".jsonl": 200 * MB,
    ".txt": 50 * MB,
}
MOST_ENTRIES = 10_000
MOST_DIRECTORY = 5 * MB  # bytes of the table of contents
MOST_SQUEEZED = 100  # times; tables reach 5, weights 1.1
KNOWN = re.compile(
    r"[a-z][a-z0-9_-]{0,60}\.(csv|json|jsonl|parquet|txt)"
)  # read as data, whoever reads it
CHUNK = 1 << 20

Report = Callable[[float, str], None]


@dataclass(frozen=True)
class Imported:
    """A run that has come in, and the names of the files in the zip that stayed out."""

    run: Run
    left_out: tuple[str, ...]


def _is_known(name: str) -> bool:
    return name in WEIGHTS or KNOWN.fullmatch(name) is not None


# Out


def export_run(run: Run, target: BinaryIO, report: Report | None = None) -> None:
    """Write a run as a zip to `target`, also while it trains: what is packed can then be resumed elsewhere.

    What can be computed again (the features of the study pages) stays here.

    Raises:
        UserError: The run is gone.
    """
    files = [file for file in sorted(run.folder.glob("*.*")) if _is_known(file.name)]
    if run.folder / "run.json" not in files:
        raise UserError(f"There is no run {run.name!r}; it may have been deleted or renamed.")
    # Weights before tables: a checkpoint knows how long the tables were, and they only grow.
    files.sort(key=lambda file: file.name not in WEIGHTS)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, file in enumerate(files):
            try:
                source = open(file, "rb")  # noqa: SIM115
            except FileNotFoundError:  # this moment replaced by the next checkpoint
                continue
            with source:
                entry = zipfile.ZipInfo.from_file(
                    file, f"{run.name}/{file.name}", strict_timestamps=False
                )
                squeezed = file.suffix not in (".pt", ".parquet")
                entry.compress_type = zipfile.ZIP_DEFLATED if squeezed else zipfile.ZIP_STORED
                entry.file_size = os.fstat(source.fileno()).st_size
                with archive.open(entry, "w") as packed:
                    while chunk := source.read(CHUNK):
                        if report:
                            report(number / len(files), f"Packing {file.name}")
                        packed.write(chunk)


# In


def import_run(source: Path | BinaryIO, title: str = "", report: Report | None = None) -> Imported:
    """Unpack a run that `export_run` packed, or whose folder somebody zipped, check all of it, and put it in place.

    Its name gets a number if there is a run of that name. A failure leaves nothing behind.

    Args:
        source: The zip: a path, or an upload, whose name is then `title`.

    Raises:
        UserError: It is no such zip, damaged, meant to do harm, from a newer version, or the disk is full.
    """
    title = title or Path(source).name
    report = report or (lambda fraction, message: None)
    folder = runs_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        with (
            _open(source) as archive,
            tempfile.TemporaryDirectory(
                prefix=".importing-", dir=folder, ignore_cleanup_errors=True
            ) as beside,
        ):
            entries, left_out = _entries(archive)
            _check_space(folder, sum(entry.file_size for entry in entries.values()))
            work = Path(beside) / "run"
            work.mkdir()
            _unpack(archive, entries, work, lambda done, message: report(0.7 * done, message))
            report(0.7, "Checking what came")
            info = read_info(work / "run.json")
            check_info(info)
            info.pop("shipped", None)  # it came with no copy of this program
            named = Path(beside) / _stem(info["name"])
            work.rename(named)  # so that sentences about its files name it
            left_out += check_files(named, info)
            report(1.0, "Putting it in place")
            run = _put_in_place(named, info)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise UserError(
            f"{title} is not a zip file, only part of one, or damaged: export the run again and copy the whole file."
        ) from error
    except BadRun as error:
        raise UserError(f"{title} was not imported: {error}") from error
    except OSError as error:
        if disk_full(error):
            why = "the disk is full. Make room and try again"
        else:
            why = error.strerror or str(error)
        raise UserError(f"{title} was not imported: {why}.") from error
    return Imported(run, tuple(left_out))


def _open(source: Path | BinaryIO) -> zipfile.ZipFile:
    try:
        return open_zip(source, MOST_DIRECTORY)
    except (NotImplementedError, ValueError) as error:  # what its table of contents can be full of
        raise zipfile.BadZipFile(str(error)) from error


def _entries(archive: zipfile.ZipFile) -> tuple[dict[str, zipfile.ZipInfo], list[str]]:
    """File name → entry of what belongs to the run, and the names of what does not. Raises BadRun."""
    found: dict[str, zipfile.ZipInfo] = {}
    if len(archive.infolist()) > MOST_ENTRIES:
        raise BadRun("it holds thousands of files, which no run does.")
    for entry in archive.infolist():
        path = entry.filename.replace("\\", "/")
        parts = path.split("/")
        if ".." in parts or parts[0] == "" or re.match("[A-Za-z]:", path):
            raise BadRun(
                f"it has an entry that climbs out of its folder ({entry.filename[:80]!r}), so it may be meant to do harm."
            )
        if path in found:
            raise BadRun(f"it holds {path[-80:]} twice, so it may be meant to do harm.")
        if parts[-1] and not any(part[:1] in (".", "") or part == "__MACOSX" for part in parts):
            found[path] = entry
    roots = [path.removesuffix("run.json") for path in found if path.split("/")[-1] == "run.json"]
    if len(roots) != 1:
        raise BadRun(
            "there are several runs in it. Zip and import them one by one."
            if roots
            else "there is no run in it (no run.json). Choose a zip that the Runs page exported, and copy the whole file."
        )
    inside = {
        path.removeprefix(roots[0]): entry
        for path, entry in found.items()
        if path.startswith(roots[0])
    }
    known = {name: entry for name, entry in inside.items() if _is_known(name)}
    for name, entry in known.items():
        _check_entry(name, entry)
    ours = {*known, "lock", "request"}  # the last two are nobody's loss
    return known, [path for path in found if path.removeprefix(roots[0]) not in ours]


def _check_entry(name: str, entry: zipfile.ZipInfo) -> None:
    if entry.flag_bits & 1:
        raise BadRun("it is locked with a password. Export the run again without one.")
    if entry.file_size > LIMITS[Path(name).suffix]:
        raise BadRun(f"its {name} has {format_bytes(entry.file_size)}, more than any run needs.")
    if entry.file_size > MB and entry.file_size > MOST_SQUEEZED * entry.compress_size:
        raise BadRun(
            f"its {name} would grow {entry.file_size // max(1, entry.compress_size):,} times as large when unpacked, so "
            "it may be meant to do harm."
        )


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed + 50 * MB:
        raise BadRun(
            f"it needs {format_bytes(needed)} and only {format_bytes(free)} are free. Make room and try again."
        )


def _unpack(archive: zipfile.ZipFile, entries: dict, folder: Path, report: Report) -> None:
    """Raises BadRun, or what zipfile raises about a damaged zip."""
    total = sum(entry.file_size for entry in entries.values()) or 1
    done = 0
    for name, entry in entries.items():
        try:
            with archive.open(entry) as source, open(folder / name, "wb") as target:
                # zipfile gives no more than the entry says it holds, which was checked
                while chunk := source.read(CHUNK):
                    report(done / total, f"Unpacking {name}")
                    done += target.write(chunk)
        except (RuntimeError, NotImplementedError) as error:
            raise BadRun(f"its {name} cannot be unpacked ({error}).") from error
        # Which study is as new as the weights is told by the times of the files.
        moment = time.mktime((*entry.date_time, 0, 0, -1))
        os.utime(folder / name, (moment, moment))


def _stem(name: Any) -> str:
    try:
        return check_name(name, "run")
    except (UserError, TypeError):
        return "imported"


def _put_in_place(work: Path, info: dict) -> Run:
    """Rename the folder to the first free name, which `run.json` then says too."""
    for name in _names(work.name):
        target = runs_folder() / name
        if target.exists():
            continue
        write_info(work / "run.json", info | {"name": name})
        try:
            work.rename(target)
        except OSError:
            if target.exists():  # somebody was quicker
                continue
            raise
        return Run(target)
    raise AssertionError("names never end")


def _names(stem: str) -> Iterator[str]:
    yield stem
    number = 2
    while True:
        yield f"{stem[:50]}-{number}"
        number += 1


def _sweep(folder: Path) -> None:
    """Delete what an import left that was killed more than a day ago."""
    for item in folder.glob(".importing-*"):
        if time.time() - item.stat().st_mtime > 86_400:
            shutil.rmtree(item, ignore_errors=True)
