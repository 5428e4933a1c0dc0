"""Boxes around people: around their joints, on a grid, and how much they overlap."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from evolift.detector2d.crop import Box

GRID = 256
"""Steps of the grid that boxes lie on in the longer side of a box, rounded up to a power of two pixels.

A coarser one costs: with 64 the confidence on 103 LSPET photographs was 0.011 lower in the mean, and PCK 0.013."""


def box_of_joints(joints: Float[np.ndarray, "joints 2"]) -> tuple[float, float, float, float]:
    """Bounds of joints as (left, top, width, height), at least 2 pixels wide and high."""
    lower, upper = joints.min(0), joints.max(0)
    size = np.maximum(upper - lower, 2)
    left, top = (lower + upper - size) / 2
    return float(left), float(top), float(size[0]), float(size[1])


def box_on_grid(box: Box) -> tuple[float, float, float, float]:
    """A box whose middle and sides are moved to a grid, which is as fine as the box is small.

    So boxes that differ by rounding alone become the same one; the middle and the sides move by a 256th of the longer side at most.

    Args:
        box: (left, top, width, height), pixels.
    """
    left, top, width, height = box
    step = 2.0 ** math.ceil(math.log2(max(width, height) / GRID))
    width, height = (max(1, round(side / step)) * step for side in (width, height))
    middle = (round((at + side / 2) / step) * step for at, side in ((left, box[2]), (top, box[3])))
    across, down = middle
    return across - width / 2, down - height / 2, width, height


def box_overlaps(a: Float[np.ndarray, "a 4"], b: Float[np.ndarray, "b 4"]) -> Float[np.ndarray, "a b"]:
    """Intersection over union of each box of `a` with each of `b` (left, top, width, height); 0 for empty boxes."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, :2] + a[:, None, 2:], b[None, :, :2] + b[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(-1)
    union = a[:, None, 2:].prod(-1) + b[None, :, 2:].prod(-1) - shared
    overlaps: np.ndarray = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return overlaps


def shares_inside(a: Float[np.ndarray, "a 4"], b: Float[np.ndarray, "b 4"]) -> Float[np.ndarray, "a b"]:
    """How much of the smaller of each two boxes (left, top, width, height) lies in the other, 0 to 1; 0 for empty boxes."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, :2] + a[:, None, 2:], b[None, :, :2] + b[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(-1)
    smaller = np.minimum(a[:, None, 2:].prod(-1), b[None, :, 2:].prod(-1))
    shares: np.ndarray = np.divide(shared, smaller, out=np.zeros_like(shared), where=smaller > 0)
    return shares
