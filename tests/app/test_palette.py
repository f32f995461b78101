"""The palette as people with colour blindness see it (Machado, Oliveira and Fernandes 2009), and in grey."""

from itertools import combinations

import numpy as np
import pytest
from components import palette

from tinymodel.explain import render

EYES = {  # linear RGB to linear RGB, severity 1.0, their table 1
    "everybody": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
WHITE = np.array([0.9505, 1.0, 1.089])


def linear(colour: str) -> np.ndarray:
    values = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of linear RGB."""
    x, y, z = np.cbrt(np.clip(TO_XYZ @ np.clip(rgb, 0, 1) / WHITE, 1e-6, None))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def difference(first: str, second: str, eyes: str) -> float:
    """Delta E (1976): 2.3 is just seen, from 10 on two colours are told apart at a glance."""
    seen = [lab(np.asarray(EYES[eyes]) @ linear(colour)) for colour in (first, second)]
    return float(np.linalg.norm(seen[0] - seen[1]))


@pytest.mark.parametrize("eyes", EYES)
def test_colours_that_stand_beside_each_other_are_told_apart(eyes):
    for first, second in (
        (palette.TRAIN, palette.VALIDATION),
        (palette.CORRECT, palette.WRONG),
    ):
        assert difference(first, second, eyes) > 30, (first, second)
    for first, second in combinations(palette.SERIES, 2):
        assert difference(first, second, eyes) > 15, (first, second)


def test_training_and_validation_differ_in_grey():
    train, validation = (lab(linear(colour))[0] for colour in (palette.TRAIN, palette.VALIDATION))
    assert abs(train - validation) > 20


@pytest.mark.parametrize("eyes", EYES)
def test_brighter_in_a_heat_map_is_more_to_every_eye(eyes):
    colours = np.asarray(render.INFERNO, dtype=float) / 255
    values = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    brightness = [lab(np.asarray(EYES[eyes]) @ colour)[0] for colour in values]
    assert (np.diff(brightness) > -0.05).all()
    assert brightness[-1] - brightness[0] > 80
