"""Shortest distances between segments of lines, as batched torch."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from evolift.evolution.kinematics.direction import TINY, dot


def segment_distance(
    a: Float[Tensor, "3 *rest"],
    b: Float[Tensor, "3 *rest"],
    c: Float[Tensor, "3 *rest"],
    d: Float[Tensor, "3 *rest"],
) -> Float[Tensor, "*rest"]:
    r"""Shortest distance between the segments from a to b and from c to d, in the unit of the points.

    .. math:: \min_{0 \le s, t \le 1} |(a + s u) - (c + t v)|, \qquad u = b - a,\ v = d - c

    The nearest points of both lines are clamped to the segments one after the other, which is exact (Ericson, Real-Time
    Collision Detection, 2005, section 5.1.9). Segments may be parallel or have no length.

    Args:
        a, b, c, d: ends as planes x, y, z.
    """
    u, v, gap = b - a, d - c, a - c
    uu, vv, uv = dot(u, u), dot(v, v), dot(u, v)
    ug, vg = dot(u, gap), dot(v, gap)
    # s of the nearest points of the lines; for parallel lines any will do.
    area = uu * vv - uv * uv
    parallel = area <= 1e-7 * uu * vv
    s = torch.where(parallel, 0, ((uv * vg - vv * ug) / area.clamp_min(TINY)).clamp(0, 1))
    # The nearest t to that s; if it lies beyond an end, the nearest s to that end.
    t = ((uv * s + vg) / vv.clamp_min(TINY)).clamp(0, 1)
    s = ((uv * t - ug) / uu.clamp_min(TINY)).clamp(0, 1)
    between = gap + u * s - v * t
    return torch.sqrt(dot(between, between))
