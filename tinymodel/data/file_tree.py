"""A zip or a folder, read alike: what files it holds, and their content. Nothing is ever unpacked to disk."""

import contextlib
import os
import re
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO

from tinymodel.data.decoding import Unreadable
from tinymodel.errors import UserError

MAX_BYTES = 100_000_000  # of one file; the largest reasonable photograph
MAX_DIRECTORY = 64_000_000  # bytes of a zip's table of contents: half a million files; that of Tiny ImageNet has 13 MB


class FileTree:
    """The files of a zip or a folder, under names with '/' relative to its top.

    Hidden files and what operating systems leave behind (`.DS_Store`, `__MACOSX`, `Thumbs.db`) are not listed.

    Args:
        source: A path, or an open zip such as an upload; `title` is then what people call it.

    Raises:
        UserError: There is nothing there, it is no zip, it is damaged, or an entry climbs out of its folder.
    """

    def __init__(self, source: Path | BinaryIO, title: str = ""):
        self.archive: zipfile.ZipFile | None = None
        self.root = None if hasattr(source, "read") else Path(source)
        self.title = title or (self.root.name if self.root else "") or str(source)
        if self.root:
            self.root = _existing(self.root)
        self.folders: set[str] = set()
        self._entries: dict[str, zipfile.ZipInfo | None] = {}
        if self.root and self.root.is_dir():
            self._list_folder()
        else:
            self._list_zip(source if self.root is None else self.root)
        self.files = sorted(self._entries)

    def _list_folder(self) -> None:
        def refuse(error: OSError) -> None:
            raise UserError(f"The folder {error.filename!r} cannot be read ({error.strerror}).")

        for folder, subfolders, files in os.walk(self.root, onerror=refuse):
            place = Path(folder).relative_to(self.root).as_posix()
            place = "" if place == "." else f"{place}/"
            subfolders[:] = [name for name in subfolders if not _is_clutter(name)]
            self.folders.update(place + name for name in subfolders)
            self._entries.update((place + name, None) for name in files if not _is_clutter(name))

    def _list_zip(self, file: Path | BinaryIO) -> None:
        try:
            self.archive = open_zip(file)
        except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError) as error:
            raise UserError(
                f"{self.title} is not a zip file or only part of one ({error}): download or copy it again."
            ) from error
        except OSError as error:
            raise UserError(f"{self.title} cannot be read ({error.strerror or error}).") from error
        wanted: dict[str, bool] = {"": True}  # folder → whether its files are listed
        for entry in self.archive.infolist():
            folder, _, name = entry.filename.replace("\\", "/").rpartition("/")
            if folder not in wanted:
                wanted[folder] = self._enter(folder, entry.filename)
            if name == ".." or re.match("[A-Za-z]:", name):
                self._enter(name, entry.filename)
            if name and wanted[folder] and not _is_clutter(name):
                self._entries[f"{folder}/{name}" if folder else name] = entry

    def _enter(self, folder: str, entry: str) -> bool:
        """Note a folder of a zip and those around it; False if its files are not to be listed."""
        parts = folder.split("/")
        if ".." in parts or parts[0] == "" or re.match("[A-Za-z]:", folder):
            self.close()
            raise UserError(
                f"{self.title} has an entry that climbs out of its folder ({entry[:80]!r}): it may be meant to do harm, "
                "so nothing was read; pack the pictures anew."
            )
        if any(map(_is_clutter, parts)):
            return False
        self.folders.update("/".join(parts[: depth + 1]) for depth in range(len(parts)))
        return True

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def read(self, name: str) -> bytes:
        """A file's content.

        Raises:
            Unreadable: It is damaged, locked with a password, or larger than 100 MB.
        """
        entry = self._entries[name]
        try:
            if entry is None:
                path = self.root / name
                if path.stat().st_size > MAX_BYTES:
                    raise Unreadable(f"is larger than {MAX_BYTES // 10**6} MB")
                return path.read_bytes()
            if entry.file_size > MAX_BYTES:
                raise Unreadable(f"is larger than {MAX_BYTES // 10**6} MB")
            return self.archive.read(entry)
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise Unreadable(f"is damaged in the zip ({error})") from error
        except (RuntimeError, NotImplementedError) as error:  # a password, an unknown compression
            raise Unreadable(f"cannot be unpacked ({error})") from error
        except OSError as error:
            raise Unreadable(f"cannot be read ({error.strerror or error})") from error

    def close(self) -> None:
        if self.archive is not None:
            self.archive.close()

    def __enter__(self) -> "FileTree":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_zip(file: Path | BinaryIO, most: int = MAX_DIRECTORY) -> zipfile.ZipFile:
    """Raises what `zipfile` raises, and BadZipFile for a table of contents that would fill the memory."""
    with contextlib.ExitStack() as stack:
        stream = file if hasattr(file, "read") else stack.enter_context(open(file, "rb"))
        stream.seek(0, os.SEEK_END)
        stream.seek(-min(stream.tell(), 70_000), os.SEEK_CUR)
        tail = stream.read()
    small, large = tail.rfind(b"PK\x05\x06"), tail.rfind(b"PK\x06\x06")
    sizes = [int.from_bytes(tail[small + 12 : small + 16], "little")] if small >= 0 else []
    sizes = [size for size in sizes if size != 0xFFFFFFFF]  # said in the larger record
    if large >= 0:
        sizes.append(int.from_bytes(tail[large + 40 : large + 48], "little"))
    if max(sizes, default=0) > most:
        raise zipfile.BadZipFile(f"its table of contents has {max(sizes) // 10**6:,} MB")
    return zipfile.ZipFile(file)


def _existing(path: Path) -> Path:
    """The path with its '~' replaced, if there is something. Raises UserError."""
    try:
        found = path.expanduser()
        if found.exists():
            return found
        why = "check the path"
    except RuntimeError:
        why = "nobody is known whose folder '~' could mean"
    except (OSError, ValueError) as error:  # too long, a byte that no path has, not permitted
        why = getattr(error, "strerror", None) or str(error)
    raise UserError(f"There is no file or folder {str(path)[:200]!r}: {why}.")


CLUTTER = {"__MACOSX", "Thumbs.db", "thumbs.db", "desktop.ini", "Desktop.ini"}


def _is_clutter(name: str) -> bool:
    return name[:1] == "." or name in CLUTTER
