"""Local bones between frames, and smooth curves over time.

Bones of n clips of F frames have one batch axis of n F rows, frame after frame and clip after clip, so that the operators on
poses work on them as they are.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from jaxtyping import Float
from scipy.interpolate import BSpline
from torch import Tensor

from evolift.evolution.kinematics.local_bones import LocalBones

CUBIC = 3


def at_times(bones: LocalBones, times: Float[Tensor, "clips frames"]) -> LocalBones:
    """Bones of clips at times between their frames.

    Directions and places are interpolated linearly, directions and axes made unit again: neighbouring frames are near.

    Args:
        bones: clips of as many frames as there are times.
        times: in frames from 0, at most the last one.
    """
    clips, frames = times.shape
    before = times.floor().clamp(0, frames - 2)
    share = (times - before).flatten()
    rows = (before.long() + torch.arange(clips)[:, None] * frames).flatten()

    def between(values: Tensor) -> Tensor:
        weight = share.reshape(-1, *[1] * (values.ndim - 1)).to(values)
        return values[rows] * (1 - weight) + values[rows + 1] * weight

    return LocalBones(
        between(bones.root),
        _axes(between(bones.lower)),
        _axes(between(bones.upper)),
        torch.nn.functional.normalize(between(bones.directions), dim=-1),
        between(bones.lengths),
    )


def values_at(
    values: Float[Tensor, "clips frames *rest"], times: Float[Tensor, "clips frames"]
) -> Float[Tensor, "clips frames *rest"]:
    """Numbers of clips at times between their frames, interpolated linearly."""
    frames = values.shape[1]
    before = times.floor().clamp(0, frames - 2).long()
    clip = torch.arange(len(values))[:, None]
    weight = (times - before).reshape(*times.shape, *[1] * (values.ndim - 2)).to(values)
    return values[clip, before] * (1 - weight) + values[clip, before + 1] * weight


def _axes(columns: Float[Tensor, "rows 3 3"]) -> Float[Tensor, "rows 3 3"]:
    """Axes made unit and perpendicular again: the first keeps its direction, the third its plane with that."""
    across = torch.nn.functional.normalize(columns[..., 0], dim=-1)
    up = columns[..., 2]
    up = torch.nn.functional.normalize(up - across * (across * up).sum(-1, keepdim=True), dim=-1)
    return torch.stack([across, torch.linalg.cross(up, across), up], -1)


def smooth_curves(
    curves: int, frames: int, spacing: float, generator: torch.Generator, *, width: int = 1
) -> Float[Tensor, "width curves frames"]:
    r"""Random curves of variance 1 that change slowly: cubic B-splines with gaussian coefficients.

    .. math:: c(t) = \frac{1}{\sqrt{v}} \sum_k z_k\, B(t / h - k), \qquad z_k \sim N(0, 1), \quad v = \operatorname{mean}_t \sum_k B(t / h - k)^2

    A cubic B-spline is made of pieces of third degree; with the second differences of the coefficients bounded, the second
    derivative is: :math:`|c''| \le \max_k |z_{k-1} - 2 z_k + z_{k+1}| / (h^2 \sqrt{v})`.

    Args:
        curves: how many.
        frames: of each.
        spacing: h, frames from one coefficient to the next.
        width: numbers that each has.
    """
    basis = torch.from_numpy(_basis(frames, spacing)).float()
    return torch.randn(width, curves, len(basis), generator=generator) @ basis


@cache
def _basis(frames: int, spacing: float) -> Float[np.ndarray, "coefficients frames"]:
    times = np.arange(frames) / spacing
    coefficients = int(np.ceil(times[-1])) + CUBIC
    knots = np.arange(-CUBIC, coefficients + 1, dtype=np.float64)
    basis: np.ndarray = BSpline.design_matrix(times, knots, CUBIC).toarray().T
    basis /= np.sqrt((basis**2).sum(0).mean())
    return basis
