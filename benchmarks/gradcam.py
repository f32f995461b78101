"""How much more than one bare forward and backward pass does a heat map cost? Run: python benchmarks/gradcam.py

One image, one warm network, fp32, both measured in turn in the same process; medians.
"""

import argparse
import statistics
import time

import numpy as np
import torch

from tinymodel.data.batches import IMAGENET_MEAN, IMAGENET_STD, normalize
from tinymodel.explain.gradcam import LAST_BLOCK, METHODS, explain
from tinymodel.network import BottleneckNet

GOAL = 1.5


def median_ratio(
    network: BottleneckNet, layer: str, method: str, repeats: int
) -> tuple[float, float]:
    """Median seconds of an explanation, and how many bare passes that is."""
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    inputs = normalize(torch.from_numpy(image)[None], IMAGENET_MEAN, IMAGENET_STD)

    def bare() -> None:
        network.zero_grad(set_to_none=True)
        network(inputs).max().backward()

    def explained() -> None:
        explain(network, image, IMAGENET_MEAN, IMAGENET_STD, layer=layer, method=method)

    seconds: dict = {bare: [], explained: []}
    for turn in range(repeats + 3):
        for function, times in seconds.items():
            began = time.perf_counter()
            function()
            if turn >= 3:  # warm
                times.append(time.perf_counter() - began)
    medians = {function: statistics.median(times) for function, times in seconds.items()}
    return medians[explained], medians[explained] / medians[bare]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, nargs="*", default=[16, 64])
    parser.add_argument("--repeats", type=int, default=15)
    arguments = parser.parse_args()
    print(f"{'width':>5}  {'method':<14} {'layer':<18} {'time':>9}  × bare forward and backward")
    for width in arguments.width:
        network = BottleneckNet(width=width).eval().to(memory_format=torch.channels_last)
        cases = [(method, LAST_BLOCK) for method in METHODS] + [("gradcam", "first")]
        for method, layer in cases:
            seconds, ratio = median_ratio(network, layer, method, arguments.repeats)
            verdict = "" if ratio <= GOAL else f"  above the goal of {GOAL}"
            print(
                f"{width:>5}  {method:<14} {layer:<18} {1000 * seconds:>6.1f} ms  {ratio:.2f}{verdict}"
            )


if __name__ == "__main__":
    main()
