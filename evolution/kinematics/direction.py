"""Unit directions and the minimal rotations between them, as batched torch.

Vectors are held as planes: a tensor (3, ...) whose first axis is x, y, z and whose last axis is the pose.
Every operation below is then elementwise over long contiguous rows, which is several times as fast as working
on a last axis of three. `torch.linalg.cross` and matrix products over tiny matrices are avoided for the same reason, and
products are added up in place (`addcmul_`): what such operations cost is the memory that they go through.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

TINY = 1e-12
"""Squared lengths below this (mm^2 or unit^2) count as zero."""


def dot(a: Float[Tensor, "3 *#rest"], b: Float[Tensor, "3 *#rest"]) -> Float[Tensor, "..."]:
    """Scalar product of planes; the other axes broadcast."""
    return (a[0] * b[0]).addcmul_(a[1], b[1]).addcmul_(a[2], b[2])


def cross(a: Float[Tensor, "3 *#rest"], b: Float[Tensor, "3 *#rest"]) -> Float[Tensor, "3 ..."]:
    """Cross product of vectors whose x, y and z lie along the first axis."""
    planes = [(a[i] * b[k]).addcmul_(a[k], b[i], value=-1) for i, k in ((1, 2), (2, 0), (0, 1))]
    return torch.stack(planes)


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
    return torch.addcmul(vectors, normal, dot(normal, vectors) * scale, value=-1)


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
    """Matrix times vector; `matrix[i, k]` is the plane of row i, column k. Both have as many further axes."""
    return _products(matrix.transpose(0, 1), vectors)


def apply_transpose(
    matrix: Float[Tensor, "3 3 *#rest"], vectors: Float[Tensor, "3 *#rest"]
) -> Float[Tensor, "3 ..."]:
    """Product of the transposed matrices and the vectors, whose x, y and z lie along the first axis; else as `apply_matrix`."""
    return _products(matrix, vectors)


def _products(
    columns: Float[Tensor, "3 3 *#rest"], factors: Float[Tensor, "3 *#rest"]
) -> Float[Tensor, "3 ..."]:
    """Sum of vectors, each times its factor."""
    return (columns[0] * factors[0]).addcmul_(columns[1], factors[1]).addcmul_(columns[2], factors[2])


def sine_ratio(angle: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """sin(angle) / angle, 1 at zero; radians, not negative. `torch.sinc` takes seven times as long as the sine."""
    least = angle.clamp_min(1e-6)
    return torch.sin(least) / least
