"""Preparing genuine Tiny ImageNet against decoding it and throwing the result away: `python benchmarks/prepare.py`.

Both begin with the closed zip and read it with the same decoder in as many processes. The goals: a ratio of at most 1.5, at most 1 GB of
anonymous memory over all processes, and a prepared dataset that opens in under 100 ms.
"""

import argparse
import os
import statistics
import tempfile
import threading
import time
from pathlib import Path

from tinymodel.data.decoding import decode_all, default_workers
from tinymodel.data.file_tree import FileTree
from tinymodel.data.prepared import open_dataset
from tinymodel.data.tiny_imagenet import prepare_tiny_imagenet
from tinymodel.paths import archive_path


class PeakMemory(threading.Thread):
    """Anonymous memory of this process and its descendants, ten times a second (Linux)."""

    def __init__(self):
        super().__init__(daemon=True)
        self.peak, self.ended = 0, threading.Event()
        self.start()

    def run(self) -> None:
        while not self.ended.wait(0.1):
            self.peak = max(self.peak, sum(map(anonymous_bytes, family(os.getpid()))))

    def stop(self) -> int:
        self.ended.set()
        self.join()
        return self.peak


def family(process: int) -> list[int]:
    members = [process]
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            for child in task.read_text().split():
                members += family(int(child))
        except OSError:
            continue
    return members


def anonymous_bytes(process: int) -> int:
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0
    return sum(1024 * int(line.split()[1]) for line in status.splitlines() if "RssAnon" in line)


def measure_discarding(workers: int) -> tuple[float, int]:
    """Seconds and images: from the closed zip to the last decoded block, which goes nowhere."""
    started = time.perf_counter()
    with FileTree(archive_path()) as tree:
        names = [name for name in tree.files if name.endswith(".JPEG")]
        blocks = decode_all(names, tree.read, crop=False, workers=workers)
        count = sum(len(block.names) for block in blocks)
    return time.perf_counter() - started, count


def measure_preparing(workers: int) -> tuple[float, int, int, float]:
    """Seconds, images, peak of anonymous bytes, and seconds to open the result."""
    memory = PeakMemory()
    started = time.perf_counter()
    dataset = prepare_tiny_imagenet(archive_path(), "benchmark", workers=workers, replace=True)
    seconds = time.perf_counter() - started
    peak = memory.stop()
    openings = []
    for _ in range(5):
        started = time.perf_counter()
        open_dataset("benchmark")
        openings.append(time.perf_counter() - started)
    return seconds, len(dataset.images), peak, statistics.median(openings)


def processor_seconds() -> float:
    """Of this process and of those it has waited for: less disturbed by what else the machine does."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=default_workers())
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TINYMODEL_DATA"] = folder
        ratios = []
        for _ in range(options.rounds):
            spent = [processor_seconds()]
            discarding, images = measure_discarding(options.workers)
            spent.append(processor_seconds())
            preparing, prepared, peak, opening = measure_preparing(options.workers)
            spent.append(processor_seconds())
            assert images == prepared
            ratios.append(preparing / discarding)
            print(
                f"{images} images, {options.workers} workers: decoded and discarded in {discarding:.1f} s, prepared in "
                f"{preparing:.1f} s, ratio {ratios[-1]:.2f} ({spent[1] - spent[0]:.1f} and {spent[2] - spent[1]:.1f} s of "
                f"processor time), at most {peak / 1e6:.0f} MB anonymous memory, opens in "
                f"{opening * 1000:.0f} ms",
                flush=True,
            )
    print(f"ratio, median of {options.rounds}: {statistics.median(ratios):.2f} (goal: at most 1.5)")


if __name__ == "__main__":
    main()
