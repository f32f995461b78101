"""Pictures of any kind to 64×64 pixels, by several processes at once.

Processes, because threads gain next to nothing on pictures this small: on two cores 2 threads took 107 to 130 µs an
image, one 120 to 139, 2 processes 66. They are plain child processes that run this file and nothing else, because
`multiprocessing` would import the parent's main module, which in Streamlit is the page.
"""

import contextlib
import io
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import warnings
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

SIDE = 64  # pixels; as in tinymodel.data.prepared, which is not imported to keep a process small
MAX_PIXELS = 50_000_000  # of a picture once unpacked: 200 MB at four bytes a pixel
MAX_JPEG_PIXELS = 200_000_000  # a JPEG is unpacked at up to an eighth of its size
# What photographs come as, the usual ones first. Pillow reads forty kinds, for one of which (EPS) it starts another program.
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "PPM", "WEBP", "AVIF", "TIFF", "JPEG2000", "TGA")
MAX_WORKERS = 8  # a process takes about 30 MB
NICENESS = 5  # so that pages stay quick while the processes take the rest

Image.MAX_IMAGE_PIXELS = MAX_JPEG_PIXELS  # also of what is packed inside another picture
warnings.simplefilter("error", Image.DecompressionBombWarning)  # a sentence, not a line in the log
# Of damaged EXIF data and the like.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
_turn = threading.Lock()  # of a room full of large photographs only one is unpacked at a time


class Unreadable(ValueError):
    """A picture that cannot be used; the text is the reason, to be read after its name."""


def decode(data: bytes, *, crop: bool = True) -> np.ndarray:
    """One encoded picture as uint8 (64, 64, 3), RGB.

    Args:
        crop: Turn it as its EXIF says, crop the centre square and resize it; otherwise it must be 64×64 already.

    Raises:
        Unreadable: It is empty, not an image, broken, too large, or (without `crop`) of another size.
    """
    with _opened(data) as image:
        if not crop and image.size != (SIDE, SIDE):
            raise Unreadable(f"has {image.width}×{image.height} pixels, not {SIDE}×{SIDE}")
        if crop:
            image = ImageOps.fit(_upright(image, 2 * SIDE), (SIDE, SIDE), Image.Resampling.LANCZOS)
        return np.asarray(image if image.mode == "RGB" else _to_rgb(image))


def decode_whole(data: bytes, longest: int) -> tuple[np.ndarray, bool]:
    """One encoded picture as a whole, turned as its EXIF says and shrunk to `longest` pixels a side where it has more.

    Returns:
        uint8 (h, w, 3), RGB; and whether it is the first of several (an animation).

    Raises:
        Unreadable: As `decode`.
    """
    with _opened(data) as image:
        several = getattr(image, "is_animated", False)
        image = _upright(image, longest)
        image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
        return np.array(image), several


@cache
def _formats() -> list[str]:
    """Those of `FORMATS` that this Pillow was built with."""
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


@contextlib.contextmanager
def _opened(data: bytes) -> Iterator[Image.Image]:
    """The picture, still packed; whatever goes wrong with it becomes `Unreadable`."""
    if not data:
        raise Unreadable("is empty")
    try:
        with _turn, Image.open(io.BytesIO(data), formats=_formats()) as image:
            yield image
    except Unreadable:
        raise
    except UnidentifiedImageError:
        raise Unreadable("is not an image that can be read") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise Unreadable("has too many megapixels") from None
    except Exception as error:  # whatever Pillow's forty readers raise on broken files
        raise Unreadable(f"is broken ({error or type(error).__name__})") from error


def _upright(image: Image.Image, side: int) -> Image.Image:
    """Unpacked as RGB, turned as its EXIF says; a JPEG is unpacked smaller, still `side` pixels a side where it can."""
    megapixels = image.width * image.height / 1e6
    most = MAX_JPEG_PIXELS if image.format == "JPEG" else MAX_PIXELS
    image.draft(None, (side, side))
    if megapixels > most / 1e6 or image.width * image.height > MAX_PIXELS:
        raise Unreadable(f"has {megapixels:,.0f} megapixels, which is too many")
    ImageOps.exif_transpose(image, in_place=True)
    return _to_rgb(image)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode[0] in "IF":  # 16 or 32 bits, which Pillow would clip to white
        values = np.nan_to_num(np.asarray(image, dtype=np.float32))
        peak = next((p for p in (1.0, 255.0) if values.max() <= p), 65535.0)
        image = Image.fromarray((values.clip(0, peak) * (255 / peak)).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def colour_sums(images: np.ndarray) -> np.ndarray:
    """Sums of each image's colours and of their squares, exactly: uint8 (n, 64, 64, 3) → float64 (n, 2, 3)."""
    sums = np.empty((len(images), 2, 3))
    ones = np.ones(SIDE, np.float32)  # 64 · 255² < 2²⁴: nothing is rounded
    for image, (plain, squared) in zip(
        images, sums, strict=True
    ):  # one at a time stays in the cache
        colours = image.reshape(SIDE, SIDE * 3).astype(np.float32)
        for total, values in ((plain, colours), (squared, colours * colours)):
            total[:] = (ones @ values).reshape(SIDE, 3).sum(0, dtype=np.float64)
    return sums


@dataclass(frozen=True)
class Decoded:
    """A block of pictures, in the order asked for."""

    names: list[str]  # those that could be read
    images: np.ndarray  # uint8 (len(names), 64, 64, 3)
    sums: np.ndarray  # float64 (len(names), 2, 3): of each image's colours and of their squares
    checksums: list[int]  # CRC-32 of each of these files
    broken: dict[str, str]  # name → reason


def default_workers() -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(MAX_WORKERS, cores or 1))


def decode_all(
    names: Sequence[str],
    read: Callable[[str], bytes],
    *,
    crop: bool,
    workers: int | None = None,
) -> Iterator[Decoded]:
    """Read and decode many pictures, block by block in order; closing the iterator ends the processes.

    Args:
        read: Gives a file's content or raises `Unreadable`; called from several threads.
        workers: Number of processes; by default one a core, at most 8.

    Raises:
        ChildProcessError: A process died.
    """
    size = 16 if crop else 128  # photographs are large: a block of them waits in memory
    blocks = [names[i : i + size] for i in range(0, len(names), size)]
    count = min(workers or default_workers(), max(1, len(blocks)))
    idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
    team: list[_Worker] = []

    def work(block: Sequence[str]) -> Decoded:
        contents, broken = {}, {}
        for name in block:
            try:
                contents[name] = read(name)
            except Unreadable as error:
                broken[name] = str(error)
        worker = idle.get()
        try:
            images, sums, reasons = worker.decode(list(contents.values()), crop)
        finally:
            idle.put(worker)
        names = list(contents)
        broken |= {names[i]: reason for i, reason in reasons.items()}
        kept = [name for name in names if name not in broken]
        return Decoded(kept, images, sums, [zlib.crc32(contents[name]) for name in kept], broken)

    # One thread more than processes: it reads files while the others wait for theirs.
    pool = ThreadPoolExecutor(count + 1, thread_name_prefix="decode")
    pending: deque = deque()
    try:
        for _ in range(count):
            team.append(_Worker())
            idle.put(team[-1])
        for block in blocks:
            pending.append(pool.submit(work, block))
            if len(pending) > 2 * count + 1:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()
        for worker in team:
            worker.kill()
        pool.shutdown()
        for worker in team:
            worker.close()


class _Worker:
    """The parent's end of one decoding process."""

    def __init__(self) -> None:
        # -P: this file's folder must not become a place to import from. Warnings of Pillow are of no use to anybody.
        command = [sys.executable, "-P", "-W", "ignore", __file__]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pipesize=1 << 20,  # where that is possible: fewer turns for a block of 1.5 MB
        )

    def decode(
        self, contents: list[bytes], crop: bool
    ) -> tuple[np.ndarray, np.ndarray, dict[int, str]]:
        """Images and their sums, as in `Decoded`, and the reasons why others could not be read."""
        try:
            pickle.dump((contents, crop), self.process.stdin, protocol=5)
            self.process.stdin.flush()
            sums, reasons = pickle.load(self.process.stdout)
            images = np.empty((len(sums), SIDE, SIDE, 3), np.uint8)
            if self.process.stdout.readinto(images) != images.nbytes:
                raise EOFError
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            raise ChildProcessError("a process that reads pictures ended unexpectedly") from error
        return images, sums, reasons

    def kill(self) -> None:
        self.process.kill()

    def close(self) -> None:
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):  # what was still to be sent to the dead process
                pipe.close()


def serve() -> None:
    """The child's end: answer until the parent closes the pipe or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's affair
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a C library prints must not get among the answers
    while True:
        try:
            contents, crop = pickle.load(requests)
        except EOFError:
            return
        images, count, reasons = np.empty((len(contents), SIDE, SIDE, 3), np.uint8), 0, {}
        for i, data in enumerate(contents):
            try:
                images[count] = decode(data, crop=crop)
                count += 1
            except Unreadable as error:
                reasons[i] = str(error)
        images = images[:count]
        pickle.dump((colour_sums(images), reasons), answers, protocol=5)
        answers.write(images)
        answers.flush()


if __name__ == "__main__":
    serve()
