"""How fast is our loop beside a plain PyTorch script, and how near the machine's limit? Run: python benchmarks/training.py

The same network and batch size are trained by (a) a script as one would write it: a dataset that gives one image at a
time, a DataLoader with workers, torchvision's transforms, fp32; and by (b) the pieces of our own loop, in the number
and memory format that it measures to be fastest here. Both on the drawn sample, in turns, several steps each; medians.
The script has a process of its own with the usual settings of PyTorch and the system, some of which our package sets
otherwise. The machine's limit is the fastest matrix product of the same run. Goals hold for a processor with AMX.
"""

import argparse
import contextlib
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from tinymodel.config import TrainConfig, from_preset
from tinymodel.data import open_dataset
from tinymodel.data.batches import TrainBatches
from tinymodel.data.prepared import PreparedDataset, Subset
from tinymodel.data.sample import prepare_sample
from tinymodel.network import BottleneckNet
from tinymodel.precision import DTYPES
from tinymodel.summary import summarize
from tinymodel.training.measure import Speed, measure
from tinymodel.training.recipe import TrainStep, find_device, make_network

CASES = {16: 64, 64: 32}  # width: batch size
RATIO = {16: 3.5, 64: 4.0}  # goals, at quarter and at full width
OF_PEAK, DATA = (
    0.6,
    0.03,
)  # goals at full width: of the bf16 matrix products, at least; of a step, at most
PREFETCH = 2  # batches that each worker of the DataLoader keeps ready
SIDE = 2048  # of the matrices


class Images(Dataset):
    """(a) One image at a time."""

    def __init__(self, subset: Subset, config: TrainConfig):
        self.images, self.rows, self.labels = (
            subset.dataset.images,
            subset.train,
            subset.train_labels,
        )
        self.transform = v2.Compose(
            [
                v2.ToImage(),
                v2.RandomCrop(64, padding=config.crop_padding, padding_mode=config.crop_fill),
                v2.RandomHorizontalFlip(config.flip),
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize(subset.dataset.mean, subset.dataset.std),
            ]
        )

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, number: int) -> tuple[torch.Tensor, int]:
        return self.transform(self.images[self.rows[number]].copy()), int(self.labels[number])


def plain(subset: Subset, config: TrainConfig, device: str) -> Iterator[float]:
    """(a) Trains; each `next` is one step and gives its loss."""
    loader = DataLoader(
        Images(subset, config),
        config.batch_size,
        shuffle=True,
        num_workers=os.cpu_count() or 1,
        prefetch_factor=PREFETCH,
        persistent_workers=True,
        drop_last=True,
    )
    network = BottleneckNet(len(subset.classes), config.width).to(device)
    loss_function = nn.CrossEntropyLoss(label_smoothing=config.label_smoothing)
    optimizer = torch.optim.SGD(network.parameters(), 0.01, momentum=0.9, nesterov=True)
    while True:
        for images, labels in loader:
            images, labels = images.to(device), labels.to(device)
            optimizer.zero_grad()
            loss = loss_function(network(images), labels)
            loss.backward()
            optimizer.step()
            yield loss.item()


def serve_plain(orders: Connection, config: TrainConfig, device: str) -> None:
    """(a) In a process of its own: told a number of steps, takes them and answers how many seconds one took."""
    script = plain(open_dataset(config.dataset).subset(), config, device)
    ahead = PREFETCH * (os.cpu_count() or 1)  # batches that were ready before the clock runs
    while steps := orders.recv():
        for _ in range(ahead):
            next(script)
        began = time.perf_counter()
        for _ in range(steps):
            next(script)
        orders.send((time.perf_counter() - began) / steps)
    script.close()


@contextlib.contextmanager
def plain_script(config: TrainConfig, device: str) -> Iterator[Callable[[int], float]]:
    """(a) A function that takes so many steps and returns the seconds of one."""
    usual = dict(
        MALLOC_ARENA_TEST="8", GOMP_SPINCOUNT="300000"
    )  # so that our package changes nothing
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=serve_plain, args=(there, config, device))
    before = dict(os.environ)
    os.environ.update(usual)
    try:
        process.start()
    finally:
        os.environ.clear()
        os.environ.update(before)

    def take(steps: int) -> float:
        here.send(steps)
        return here.recv()

    try:
        yield take
    finally:
        here.send(0)
        process.join()


def ours(
    subset: Subset, config: TrainConfig, speed: Speed, spent: list[tuple[float, float]]
) -> Iterator[None]:
    """(b) Trains; each `next` is one step and adds the seconds of its data and of all of it to `spent`."""
    dataset, wait = subset.dataset, waiting(speed.device)
    batches = TrainBatches(subset, config, dataset.mean, dataset.std, speed.device)
    network = make_network(config, len(subset.classes))
    step = TrainStep(network, config, speed.device, speed.precision, speed.memory_format)
    epoch = 0
    while True:
        for number in range(batches.steps - 1):  # the last batch may be smaller
            wait()
            began = time.perf_counter()
            images, labels = batches.batch(epoch, number)
            wait()
            ready = time.perf_counter()
            step(images, labels, 0.01)
            wait()
            spent.append((ready - began, time.perf_counter() - began))
            yield
        epoch += 1


def waiting(device: str) -> Callable[[], None]:
    return {"cuda": torch.cuda.synchronize, "mps": torch.mps.synchronize}.get(device, lambda: None)


def peak(device: str, precision: str) -> float:
    """Operations per second of the fastest of five products of large matrices; a multiply-add is two."""
    wait = waiting(device)
    a, b = (torch.randn(SIDE, SIDE, device=device).to(DTYPES[precision]) for _ in range(2))
    times = []
    for _ in range(6):
        wait()
        began = time.perf_counter()
        a @ b
        wait()
        times.append(time.perf_counter() - began)
    return 2 * SIDE**3 / min(times[1:])


def instructions() -> tuple[str, bool]:
    """What the processor offers for matrix products, for people; and whether it has AMX for bf16."""
    able = {name for name, there in torch.cpu.get_capabilities().items() if there is True}
    known = dict(amx_bf16="AMX", avx512_bf16="AVX512-BF16", avx512_f="AVX512", avx2="AVX2")
    found = [title for name, title in known.items() if name in able]
    return (found[0] if found else torch.cpu.get_capabilities()["architecture"]), found[:1] == [
        "AMX"
    ]


def judge(text: str, value: str, goal: str, met: bool, binding: bool) -> bool:
    """Print a line, and return whether it is a goal missed."""
    verdict = (
        ("OK" if met else "MISSED") if binding else ("met" if met else "not met") + " (no AMX)"
    )
    print(f"  {text:<58} {value:>9}   {goal:<10} {verdict}", flush=True)
    return binding and not met


def compare(dataset: PreparedDataset, width: int, batch: int, rounds: int, amx: bool) -> int:
    """Print what one width reaches; returns how many goals were missed."""
    config = from_preset("classroom", dataset=dataset.name, width=width, batch_size=batch)
    subset = dataset.subset()
    speed = measure(config, len(subset.classes))
    network = make_network(config, len(subset.classes))
    operations = 6 * sum(layer.multiply_adds for layer in summarize(network))  # of an image's step
    print(
        f"\nWidth {width}, batch {batch}: {speed.precision} {speed.memory_format} is fastest",
        end="",
    )
    print(f" ({', '.join(f'{name} {value:.0f}' for name, value in speed.tried.items())} images/s)")

    spent: list[tuple[float, float]] = []
    mine, figures = ours(subset, config, speed, spent), []
    steps = 10 if width < 64 else 4
    with plain_script(config, speed.device) as take:
        for _ in range(rounds):
            slow = take(steps)
            time.sleep(max(1.0, 2 * slow))  # until the workers have filled their stores and rest
            next(mine)
            spent.clear()
            for _ in range(2 * steps):
                next(mine)
            data, whole = (sum(part) / len(spent) for part in zip(*spent, strict=True))
            limits = {name: peak(speed.device, name) for name in ("fp32", "bf16")}
            figures.append((slow, whole, data, limits["fp32"], limits["bf16"]))
    slow, whole, data = (statistics.median(part) for part in list(zip(*figures, strict=True))[:3])
    limits = {name: max(row[3 + at] for row in figures) for at, name in enumerate(("fp32", "bf16"))}
    ratio = statistics.median(row[0] / row[1] for row in figures)
    reached = operations * batch / whole
    of_peak = reached / limits.get(speed.precision, limits["bf16"])
    print(
        f"  plain script, fp32 contiguous: {batch / slow:.0f} images/s; our loop: {batch / whole:.0f} images/s"
    )
    print(
        f"  matrix products: fp32 {limits['fp32'] / 1e9:.0f}, bf16 {limits['bf16'] / 1e9:.0f} Gflop/s; "
        f"our steps: {reached / 1e9:.0f} Gflop/s"
    )
    full, goal = width >= 64, RATIO[64 if width >= 64 else 16]
    missed = judge(
        "our loop against the plain script", f"{ratio:.2f}", f"≥ {goal}", ratio >= goal, amx
    )
    text = f"share of the {speed.precision} peak"
    if full:
        missed += judge(text, f"{of_peak:.1%}", f"≥ {OF_PEAK:.0%}", of_peak >= OF_PEAK, amx)
        share = data / whole
        missed += judge(
            "the data's share of a step", f"{share:.1%}", f"≤ {DATA:.0%}", share <= DATA, True
        )
    else:
        print(
            f"  {text:<58} {of_peak:>9.1%}\n  {'the data’s share of a step':<58} {data / whole:>9.1%}"
        )
    return missed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, nargs="*", default=list(CASES))
    parser.add_argument("--batch-size", type=int, help="default: 64, and 32 from width 64 on")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    name, amx = instructions()
    device = find_device("auto")
    print(
        f"{name}, {torch.get_num_threads()} threads, {device.upper()}, torch {torch.__version__}"
        + ("" if amx else "; the goals were set for AMX and do not bind here")
    )
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TINYMODEL_DATA"] = os.environ["TINYMODEL_RUNS"] = folder
        dataset = prepare_sample()
        for width in arguments.width:
            batch = arguments.batch_size or CASES[64 if width >= 64 else 16]
            missed += compare(dataset, width, batch, arguments.rounds, amx)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
