"""Rotation matrices from the Euler angles of motion-capture files. Numpy only, so that worker processes start fast."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def rotation_from_euler(
    angles: Float[np.ndarray, "*batch turns"], axes: str
) -> Float[np.ndarray, "*batch 3 3"]:
    r"""Right-handed rotation by several turns about fixed axes, the first of them first.

    .. math:: R = R_{axes_n}(\theta_n) \cdots R_{axes_1}(\theta_1)

    BVH lists turns about moving axes instead; these are the same turns about fixed axes in the opposite order.

    Args:
        angles: radians, one per turn.
        axes: a letter x, y or z per turn; "" gives the identity.
    """
    sines, cosines = np.sin(angles), np.cos(angles)
    rotation = np.zeros((*angles.shape[:-1], 3, 3))
    rotation[..., range(3), range(3)] = 1
    for turn, axis in enumerate(axes):
        i = "xyz".index(axis)
        j, k = (i + 1) % 3, (i + 2) % 3
        s, c = sines[..., turn, None], cosines[..., turn, None]
        # Only two rows of a product with an elementary rotation change.
        row_j, row_k = rotation[..., j, :].copy(), rotation[..., k, :]
        rotation[..., j, :] = c * row_j - s * row_k
        rotation[..., k, :] = s * row_j + c * row_k
    return rotation
