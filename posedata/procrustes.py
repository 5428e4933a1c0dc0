r"""Alignment of poses by the least-squares similarity (Procrustes), in closed form and batched.

The rotation that maximises :math:`\operatorname{tr}(R^T H)` for a 3x3 correlation matrix `H` is found without a
singular value decomposition: its value is the largest root of a quartic (Horn 1987; Theobald 2005), found by
Newton's method from above, and the rotation then follows from Markley's formula (1993, "Attitude determination
using vector observations: a fast optimal matrix algorithm"). It is always a proper rotation: a mirrored pose is
not aligned away. The few poses whose rotation is ill-determined (joints on a line, all in one place, a mirror
image) go through a symmetric eigenvalue problem instead, so that every finite pose has a defined result.

All arithmetic is in float64, results come back in the dtype of the prediction.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

# Newton's steps are quadratic for well-determined rotations; what has not converged goes the slower way.
_NEWTON_STEPS = 9
_CONVERGED = 1e-8
# (s1+s2)(s2+s3)(s3+s1)/2 of the signed singular values, relative to the cube of their norm: below this the closed
# form loses too many digits.
_ILL_DETERMINED = 1e-3
# Poses per block: its intermediate values stay in the processor's second-level cache.
_BLOCK = 8192


def procrustes_align(
    prediction: Float[Tensor, "*batch joints 3"], truth: Float[Tensor, "*batch joints 3"]
) -> Float[Tensor, "*batch joints 3"]:
    r"""The prediction translated, rotated and scaled onto the truth in the least-squares sense.

    .. math:: \min_{s \ge 0, R \in SO(3), t} \sum_j \lVert s R x_j + t - y_j \rVert^2

    Differentiable in both arguments. Where the rotation is not determined (joints on a line), the one returned is
    some minimiser, and the gradient along the undetermined direction is taken as 0. A prediction whose joints all
    coincide is moved to the centre of the truth.

    Args:
        prediction, truth: joints in the same unit.

    Returns:
        Aligned prediction in the unit of the truth. A pose with a value that is not finite gives NaN.
    """
    blocks = [aligned.to(prediction.dtype) for aligned, _ in aligned_blocks(prediction, truth)]
    return torch.cat(blocks).reshape(prediction.shape)


def aligned_blocks(
    prediction: Float[Tensor, "*batch joints 3"], truth: Float[Tensor, "*batch joints 3"]
) -> Iterator[tuple[Float[Tensor, "rows joints 3"], Float[Tensor, "rows joints 3"]]]:
    """The aligned prediction and the truth, both float64, some thousand poses at a time (see `procrustes_align`)."""
    flat_x, flat_y = (joints.reshape(-1, *joints.shape[-2:]) for joints in (prediction, truth))
    for x, y in zip(torch.split(flat_x, _BLOCK), torch.split(flat_y, _BLOCK), strict=True):
        exact = y.double()
        yield _align_block(x.double(), exact), exact


def scale_align(
    prediction: Float[Tensor, "*batch joints 3"], truth: Float[Tensor, "*batch joints 3"]
) -> Float[Tensor, "*batch joints 3"]:
    r"""The root-relative prediction times the scale that fits the truth best (Rhodin et al. 2018).

    .. math:: s = \sum_j x_j \cdot y_j \,/\, \sum_j x_j \cdot x_j

    Args:
        prediction, truth: root-relative joints in the same unit.

    Returns:
        Scaled prediction; unchanged where all its joints are at the root.
    """
    x, y = prediction.double(), truth.double()
    square = (x * x).sum((-1, -2), keepdim=True)
    scale = (x * y).sum((-1, -2), keepdim=True) / torch.where(square == 0, 1.0, square)
    return (scale * x).to(prediction.dtype)


def optimal_rotation(correlation: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 3 3"]:
    r"""Proper rotation that maximises :math:`\operatorname{tr}(R^T H)`.

    With :math:`H = \sum_j y_j x_j^T` of centred points, R rotates x onto y best.

    Args:
        correlation: H, any scale.

    Returns:
        R in float64; the identity for H = 0, NaN where H is not finite.
    """
    flat = correlation.double().reshape(-1, 3, 3)
    rotation: Tensor = _OptimalRotation.apply(flat)
    return rotation.reshape(correlation.shape)


def _align_block(x: Tensor, y: Tensor) -> Tensor:
    y_mean = y.mean(-2, keepdim=True)
    x, y = x - x.mean(-2, keepdim=True), y - y_mean
    correlation = y.transpose(-1, -2) @ x
    rotation = optimal_rotation(correlation)
    square = (x * x).sum((-1, -2))
    scale = (rotation * correlation).sum((-1, -2)) / torch.where(square == 0, 1.0, square)
    return x @ (scale[:, None, None] * rotation.transpose(-1, -2)) + y_mean


class _OptimalRotation(torch.autograd.Function):
    @staticmethod
    def forward(ctx, correlation: Tensor) -> Tensor:  # type: ignore[no-untyped-def]  # torch's context
        rotation = torch.cat([_rotation_block(block) for block in torch.split(correlation, _BLOCK)])
        ctx.save_for_backward(correlation, rotation)
        return rotation

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:  # type: ignore[no-untyped-def]  # torch's context
        r"""Implicit: R^T H stays symmetric, so dR = R [w]_x with (tr(S) I - S) w = vee(A - A^T), A = R^T dH."""
        correlation, rotation = ctx.saved_tensors
        symmetric = rotation.transpose(-1, -2) @ correlation
        symmetric = (symmetric + symmetric.transpose(-1, -2)) / 2
        trace = symmetric.diagonal(dim1=-2, dim2=-1).sum(-1)
        system = (
            trace[:, None, None] * torch.eye(3, dtype=symmetric.dtype, device=symmetric.device) - symmetric
        )
        # Directions about which the pose may rotate freely get no gradient. A pose that is not finite must not stop
        # the others: its own gradient stays NaN through `gradient` and `rotation`.
        inverse = torch.linalg.pinv(system.nan_to_num(0, 0, 0), rtol=1e-10, hermitian=True)
        along = _vee(rotation.transpose(-1, -2) @ gradient)
        into_correlation: Tensor = rotation @ _cross_matrix((inverse @ along[..., None])[..., 0])
        return into_correlation


def _vee(matrix: Tensor) -> Tensor:
    skew = matrix - matrix.transpose(-1, -2)
    return torch.stack([skew[..., 2, 1], skew[..., 0, 2], skew[..., 1, 0]], -1)


def _cross_matrix(vector: Tensor) -> Tensor:
    a, b, c = vector.unbind(-1)
    zero = torch.zeros_like(a)
    return torch.stack([zero, -c, b, c, zero, -a, -b, a, zero], -1).reshape(*a.shape, 3, 3)


def _rotation_block(correlation: Tensor) -> Tensor:
    size = correlation.flatten(1).norm(dim=-1)
    unit = correlation / torch.where(size == 0, 1.0, size)[:, None, None]
    rotation, is_sound = _markley(unit)
    ill = ~is_sound & size.isfinite()
    if bool(ill.any()):
        rotation[ill] = _horn(unit[ill])
    return rotation


def _markley(unit: Tensor) -> tuple[Tensor, Tensor]:
    """Rotations of correlation matrices of Frobenius norm 1, and whether each is exact to nearly all digits."""
    # Components first: each is a contiguous vector over the block.
    a, b, c, d, e, f, g, h, i = components = unit.reshape(-1, 9).T.contiguous().unbind(0)
    cofactors = (
        e * i - f * h, f * g - d * i, d * h - e * g,
        c * h - b * i, a * i - c * g, b * g - a * h,
        b * f - c * e, c * d - a * f, a * e - b * d,
    )  # fmt: skip
    determinant = a * cofactors[0] + b * cofactors[1] + c * cofactors[2]
    adjoint_square = sum((cofactor * cofactor for cofactor in cofactors), torch.zeros_like(a))
    # Largest root of (q^2 - 1)^2 - 8 q det - 4 |adj|^2, where q = s1 + s2 + s3 and so q^2 = 1 + 2 (s1 s2 + ...),
    # which gives a start above it.
    root = torch.sqrt(1 + 2 * torch.sqrt(3 * adjoint_square))
    step = torch.zeros_like(root)
    for _ in range(_NEWTON_STEPS):
        square = root * root - 1
        slope = 4 * root * square - 8 * determinant
        value = square * square - 8 * root * determinant - 4 * adjoint_square
        step = value / torch.where(slope > 0, slope, torch.inf)
        root = root - step
    kappa = (root * root - 1) / 2
    determinacy = kappa * root - determinant
    # B B^T B, with the symmetric B B^T first.
    aa, ab, ac = a * a + b * b + c * c, a * d + b * e + c * f, a * g + b * h + c * i
    bb, bc, cc = d * d + e * e + f * f, d * g + e * h + f * i, g * g + h * h + i * i
    cubes = (
        aa * a + ab * d + ac * g, aa * b + ab * e + ac * h, aa * c + ab * f + ac * i,
        ab * a + bb * d + bc * g, ab * b + bb * e + bc * h, ab * c + bb * f + bc * i,
        ac * a + bc * d + cc * g, ac * b + bc * e + cc * h, ac * c + bc * f + cc * i,
    )  # fmt: skip
    kappa = kappa + 1
    rows = [
        (kappa * component + root * cofactor - cube) / determinacy
        for component, cofactor, cube in zip(components, cofactors, cubes, strict=True)
    ]
    is_sound = (determinacy > _ILL_DETERMINED) & (step.abs() < _CONVERGED)
    return torch.stack(rows, -1).reshape(-1, 3, 3), is_sound


def _horn(unit: Tensor) -> Tensor:
    """The same by the largest eigenvector of Horn's 4x4 matrix: slower, and defined for every finite matrix."""
    (a, b, c), (d, e, f), (g, h, i) = (row.unbind(-1) for row in unit.unbind(-2))
    key = torch.stack(
        [
            a + e + i, h - f, c - g, d - b,
            h - f, a - e - i, b + d, c + g,
            c - g, b + d, e - a - i, f + h,
            d - b, c + g, f + h, i - a - e,
        ],
        -1,
    ).reshape(-1, 4, 4)  # fmt: skip
    w, x, y, z = torch.linalg.eigh(key).eigenvectors[..., -1].unbind(-1)
    rotation = torch.stack(
        [
            1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
            2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
            2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
        ],
        -1,
    ).reshape(-1, 3, 3)  # fmt: skip
    nothing = unit.flatten(1).abs().amax(-1) == 0
    identity = torch.eye(3, dtype=unit.dtype, device=unit.device)
    return torch.where(nothing[:, None, None], identity, rotation)
