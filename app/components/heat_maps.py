"""Grad-CAM of several pictures at once, computed as one job."""

from collections.abc import Sequence
from itertools import product

import numpy as np

from components.work import result_of
from tinymodel import jobs
from tinymodel.evaluation import weights_version
from tinymodel.explain import render
from tinymodel.explain.gradcam import Explanation, explain_run
from tinymodel.runs import Run

MOST = 24  # pictures at once: two or three seconds of work for the reference network
SIDE = 192  # pixels of a picture with its heat map


def heat_maps_of(
    runs: Sequence[Run], images: np.ndarray, indices: Sequence[int]
) -> list[list[Explanation]]:
    """Of each run, where it looked in `images[indices]`; until they are there the page ends with the progress."""
    work = list(product(runs, indices))

    def explain(report) -> list[list[Explanation]]:
        maps = []
        for number, (run, index) in enumerate(work):
            report(number / len(work), f"Heat map {number + 1} of {len(work)}")
            maps.append(explain_run(run, images[index]))
        return [
            maps[start : start + len(indices)] for start in range(0, len(work), len(indices) or 1)
        ]

    key = ("heat maps", *((str(run.folder), weights_version(run)) for run in runs), *indices)
    label, quick = "Asking the network where it looked", len(work) <= 2
    if jobs.find(key) is None:
        jobs.submit(key, explain, label=label, quick=quick).wait(0.5)  # seconds: no flash for a few
    return result_of(key, explain, label=label, quick=quick)


def overlay(pixels: np.ndarray, explanation: Explanation) -> np.ndarray:
    """The heat map over the picture, smooth: uint8 (192, 192, 3)."""
    return render.overlay(pixels, explanation.heat, opacity=0.5, side=SIDE, smooth=True)


def caption(explanation: Explanation, name: str) -> str:
    if explanation.blank:
        return f"nothing speaks for {name} (empty heat map)"
    return f"looked here for {name}"
