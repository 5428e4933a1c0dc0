"""Rotation matrices from the Euler angles of motion-capture files, and their products. Numpy only, so that worker processes start fast."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def rotation_from_euler(
    angles: Float[np.ndarray, "*batch rotations"], axes: str
) -> Float[np.ndarray, "*batch 3 3"]:
    r"""Right-handed rotation by several angles about fixed axes, the first of them first.

    .. math:: R = R_{axes_n}(\theta_n) \cdots R_{axes_1}(\theta_1)

    BVH lists rotations about moving axes instead; these are the same rotations about fixed axes in the opposite order.

    Args:
        angles: radians, one per rotation.
        axes: a letter x, y or z per rotation; "" gives the identity.
    """
    rotations = np.moveaxis(angles, -1, 0)
    sines, cosines = np.sin(rotations), np.cos(rotations)
    # The matrices' own axes come first while they are made: each step then goes over contiguous memory.
    rotation: np.ndarray = np.zeros((3, 3, *angles.shape[:-1]))
    rotation[range(3), range(3)] = 1
    for s, c, axis in zip(sines, cosines, axes, strict=True):
        i = "xyz".index(axis)
        j, k = (i + 1) % 3, (i + 2) % 3
        # Only two rows of a product with an elementary rotation change.
        row_j, row_k = rotation[j].copy(), rotation[k]
        rotation[j] = c * row_j - s * row_k
        rotation[k] = s * row_j + c * row_k
    return np.moveaxis(rotation, (0, 1), (-2, -1))


def matrix_product(
    left: Float[np.ndarray, "#frames 3 3"], right: Float[np.ndarray, "#frames 3 columns"]
) -> Float[np.ndarray, "#frames 3 columns"]:
    """Products of many small matrices: many times as fast as `left @ right`, which goes matrix by matrix."""
    # Frames last: what `rotation_from_euler` and this function make is stored so.
    a, b = left.transpose(1, 2, 0), right.transpose(1, 2, 0)
    total: np.ndarray = a[:, 0, None] * b[None, 0]
    for inner in (1, 2):
        total = total + a[:, inner, None] * b[None, inner]
    return total.transpose(2, 0, 1)
