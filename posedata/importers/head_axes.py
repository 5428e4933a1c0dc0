"""The frame of the head in motion capture whose files rotate it, from which Human3.6M's joint 9 is placed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

MAX_LEAN = 35.0
"""Degrees that trunk, head and the line across shoulders or hips may deviate from the file's axes in a rest pose that tells the
head's axes."""


@dataclass(frozen=True, eq=False)
class HeadAxes:
    """Of every frame of a clip, in the file's axes and unit.

    Args:
        skull: base of the skull.
        left, up: the head's axes to the person's left and to the top, unit vectors.
    """

    skull: Float[np.ndarray, "frames 3"]
    left: Float[np.ndarray, "frames 3"]
    up: Float[np.ndarray, "frames 3"]


def rest_axes(
    joints: Mapping[str, Float[np.ndarray, "3"]],
) -> tuple[Float[np.ndarray, "3"], Float[np.ndarray, "3"]] | None:
    """Left and up of a rest pose, each along one of the file's axes.

    In a rest pose that stands (or lies) straight, the head looks where the trunk does. The direction of legs and arms does
    not matter. The line across the shoulders is asked before that across the hips, because it is nearer to the head: where all
    joints have their bone along x (Bandai-Namco), nothing rotated is a body whose trunk is twisted by a right angle.

    Args:
        joints: H36M17 by name, without the nose, in the rest pose.

    Returns:
        Unit vectors; None if trunk, head and shoulders or hips do not go along the file's axes.
    """
    trunk = _axis(joints["thorax"] - joints["pelvis"])
    head = _axis(joints["head"] - joints["thorax"])
    across = [_axis(joints[f"left_{name}"] - joints[f"right_{name}"]) for name in ("shoulder", "hip")]
    left = next((axis for axis in across if axis is not None), None)
    if trunk is None or head is None or left is None or not np.array_equal(trunk, head) or trunk @ left:
        return None
    return left, trunk


def _axis(direction: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3"] | None:
    """The signed axis that a direction goes along, None if it goes along none."""
    length = float(np.linalg.norm(direction))
    place = int(np.abs(direction).argmax())
    if length == 0 or abs(direction[place]) < math.cos(math.radians(MAX_LEAN)) * length:
        return None
    axis = np.zeros(3)
    axis[place] = math.copysign(1.0, direction[place])
    return axis
