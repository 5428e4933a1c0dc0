"""Unit directions and the minimal rotations between them, as batched torch.

Vectors are held as planes: a tensor (3, ...) whose first axis is x, y, z and whose last axis is the pose.
Every operation below is then elementwise over long contiguous rows, which is several times as fast as working
on a last axis of three. `torch.linalg.cross` and matrix products over tiny matrices are avoided for the same reason.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

TINY = 1e-12
"""Squared lengths below this (mm^2 or unit^2) count as zero."""


def dot(a: Float[Tensor, "3 *#rest"], b: Float[Tensor, "3 *#rest"]) -> Float[Tensor, "..."]:
    """Scalar product of planes; the other axes broadcast."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def cross(a: Float[Tensor, "3 *#rest"], b: Float[Tensor, "3 *#rest"]) -> Float[Tensor, "3 ..."]:
    """Cross product of vectors whose x, y and z lie along the first axis."""
    return torch.stack([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])


def unit(
    vectors: Float[Tensor, "3 *#rest"], fallback: Float[Tensor, "3 *#rest"]
) -> tuple[Float[Tensor, "3 ..."], Float[Tensor, "..."]]:
    """Unit vectors and lengths; a vector of no length gets the direction `fallback` and length 0."""
    squared = dot(vectors, vectors)
    length = torch.sqrt(squared.clamp_min(TINY))
    direction = vectors / length
    without = squared <= TINY
    if not without.any():  # two passes over all the memory saved in the usual case
        return direction, length
    return torch.where(without, fallback, direction), torch.where(without, 0, length)


def reflect(vectors: Float[Tensor, "3 *#rest"], normal: Float[Tensor, "3 *#rest"]) -> Float[Tensor, "3 ..."]:
    r"""Mirror vectors at the plane through the origin with a normal of any length.

    .. math:: H_n v = v - 2\, n\, (n^\top v) / (n^\top n)

    Its own inverse to rounding error. A normal of no length leaves the vectors as they are.
    """
    squared = dot(normal, normal)
    scale = torch.where(squared > TINY, 2 / squared.clamp_min(TINY), 0)
    return vectors - normal * (dot(normal, vectors) * scale)


def swing(
    vectors: Float[Tensor, "3 *#rest"], rest: Float[Tensor, "3 *#rest"], direction: Float[Tensor, "3 *#rest"]
) -> Float[Tensor, "3 ..."]:
    r"""Apply the minimal rotation that takes the unit vector `rest` to the unit vector `direction`.

    .. math:: S = H_{r + u} H_r

    Two reflections are a rotation, and stay one to rounding error however close `direction` is to `-rest`, where
    the axis of the minimal rotation is arbitrary (`evolift.evolution.kinematics.local_bones` says where that is on the body).
    """
    return reflect(reflect(vectors, rest), rest + direction)


def apply_matrix(
    matrix: Float[Tensor, "3 3 *#rest"], vectors: Float[Tensor, "3 *#rest"]
) -> Float[Tensor, "3 ..."]:
    """Matrix times vector; `matrix[i, k]` is the plane of row i, column k."""
    return torch.stack([dot(matrix[row], vectors) for row in range(3)])


def apply_transpose(
    matrix: Float[Tensor, "3 3 *#rest"], vectors: Float[Tensor, "3 *#rest"]
) -> Float[Tensor, "3 ..."]:
    """Product of the transposed matrices and the vectors, whose x, y and z lie along the first axis."""
    return torch.stack([dot(matrix[:, column], vectors) for column in range(3)])
