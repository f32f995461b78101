"""Where runs looked in pictures of the study pages: the last block's Grad-CAM for what each of them says."""

from collections.abc import Sequence

import numpy as np

from components.heat.asking import Question, ask
from components.heat.choices import layers
from components.image_picker import Subject
from tinymodel.explain import render
from tinymodel.explain.gradcam import Explanation
from tinymodel.runs import Run

MOST = 24  # pictures at once: two or three seconds of work for the reference network
SIDE = 192  # pixels of a picture with its heat map


def heat_maps_of(
    runs: Sequence[Run], images: np.ndarray, indices: Sequence[int]
) -> list[list[Explanation]]:
    """Of each run its maps of `images[indices]`; until they are there the page ends with the progress."""
    subjects = [Subject(images[index], str(index), index) for index in indices]
    return [
        [maps[0] for maps in ask(run, [Question(each, (layers(run)[-1],)) for each in subjects])]
        for run in runs
    ]


def overlay(pixels: np.ndarray, explanation: Explanation) -> np.ndarray:
    """The heat map over the picture, smooth: uint8 (192, 192, 3)."""
    return render.overlay(pixels, explanation.heat, opacity=0.5, side=SIDE, smooth=True)


def caption(explanation: Explanation, name: str) -> str:
    if explanation.blank:
        return f"nothing speaks for {name} (empty heat map)"
    return f"looked here for {name}"
