"""The documented promises of the palette, computed."""

from __future__ import annotations

import numpy as np
import pytest

from evolift.drawing.colours import (
    INK_COLOUR,
    LEFT_COLOUR,
    PAPER_COLOUR,
    RIGHT_COLOUR,
    SERIES_COLOURS,
    TORSO_COLOUR,
    Colour,
    hexadecimal,
    joint_colours,
)
from evolift.posedata.skeleton import H36M17, SKELETONS

# Machado, Oliveira and Fernandes 2009, severity 1.0, on linear RGB.
_BLINDNESS = {
    "protan": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deutan": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritan": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def _linear(colour: Colour) -> np.ndarray:
    value = np.array(colour) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def _contrast(a: Colour, b: Colour) -> float:
    first, second = (float(_linear(colour) @ [0.2126, 0.7152, 0.0722]) + 0.05 for colour in (a, b))
    return max(first, second) / min(first, second)


def _lab(linear: np.ndarray) -> np.ndarray:
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = np.cbrt(np.clip(to_xyz @ np.clip(linear, 0, 1) / [0.9505, 1, 1.089], 1e-6, None))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("colour", [*SERIES_COLOURS, RIGHT_COLOUR, LEFT_COLOUR, TORSO_COLOUR])
def test_lines_stand_out_from_light_and_dark_paper(colour: Colour) -> None:
    if colour in SERIES_COLOURS[3:]:  # charts are on white paper only
        assert _contrast(colour, PAPER_COLOUR) >= 2.7
        return
    assert _contrast(colour, PAPER_COLOUR) >= 3
    assert _contrast(colour, (23, 25, 29)) >= 3


def test_text_is_readable() -> None:
    assert _contrast(INK_COLOUR, PAPER_COLOUR) >= 7


@pytest.mark.parametrize("kind", _BLINDNESS)
def test_sides_differ_for_colour_blind_people(kind: str) -> None:
    seen = [_lab(np.array(_BLINDNESS[kind]) @ _linear(c)) for c in (RIGHT_COLOUR, LEFT_COLOUR, TORSO_COLOUR)]
    assert np.linalg.norm(seen[0] - seen[1]) > 40  # CIE76; about 2 is just noticeable
    assert np.linalg.norm(seen[0] - seen[2]) > 15
    assert np.linalg.norm(seen[1] - seen[2]) > 15


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=SKELETONS)
def test_mirror_image_swaps_the_colours_of_the_sides(skeleton: object) -> None:
    colours = joint_colours(skeleton)  # type: ignore[arg-type]  # parametrised
    swapped = {RIGHT_COLOUR: LEFT_COLOUR, LEFT_COLOUR: RIGHT_COLOUR, TORSO_COLOUR: TORSO_COLOUR}
    assert [colours[j] for j in skeleton.mirror] == [swapped[c] for c in colours]  # type: ignore[attr-defined]


def test_colours_of_known_joints() -> None:
    colours = dict(zip(H36M17.joints, joint_colours(H36M17), strict=True))
    assert colours["right_wrist"] == RIGHT_COLOUR
    assert colours["left_knee"] == LEFT_COLOUR
    assert colours["thorax"] == TORSO_COLOUR
    assert hexadecimal(RIGHT_COLOUR) == "#d55e00"
