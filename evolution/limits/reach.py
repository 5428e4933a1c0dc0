"""How far bones are from a neutral direction, and how far their limits let them go that way.

The border of a joint's range is nearer on one side than on the other. What is told of a bone is therefore measured on the
great circle from the neutral direction through the bone's own: its angle there, and the angle at which that circle leaves the
range.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from evolift.evolution.kinematics.direction import dot, unit

DEGREES = 180
"""The circle is looked at in the middle of each degree, up to against the neutral direction."""

ROUNDING = 0.01
"""By so many degrees at least is outside what is."""

IsInside = Callable[[Float[Tensor, "3 bones looked_at"]], Bool[Tensor, "bones looked_at"]]
"""Whether unit directions keep the limits of their bones. It is given one for each pose, or `DEGREES` one after the other for each."""


class Reach(NamedTuple):
    """Of bones in poses.

    Args:
        angle: from the neutral direction, degrees.
        high: the largest angle that keeps the limit on the way there, degrees; below `angle` exactly if the bone breaks its limit.
        way: unit vector square to the neutral direction, to which the bone leaves it.
    """

    angle: Float[Tensor, "bones n"]
    high: Float[Tensor, "bones n"]
    way: Float[Tensor, "3 bones n"]


def reach(
    directions: Float[Tensor, "3 bones n"], neutral: Float[Tensor, "3 bones"], is_inside: IsInside
) -> Reach:
    """Where bones are, and how far they may go.

    Args:
        directions: unit vectors.
        neutral: unit vectors, within the limits.
        is_inside: tells whether directions keep them.
    """
    zero = neutral[..., None].to(directions)
    angle = torch.rad2deg(torch.arccos(dot(zero, directions).clamp(-1, 1)))
    # A bone in its neutral direction, or against it, goes forward; to the right, where that is the neutral direction.
    is_forward = zero[1].abs() > 0.5
    spare = torch.where(is_forward, torch.eye(3)[0][:, None, None], torch.eye(3)[1][:, None, None]).to(zero)
    way, _ = unit(directions - zero * dot(zero, directions), spare - zero * dot(zero, spare))
    steps = torch.arange(DEGREES).to(directions) + 0.5
    at = zero[..., None] * torch.cos(steps * math.pi / 180) + way[..., None] * torch.sin(
        steps * math.pi / 180
    )
    keeps = is_inside(at.flatten(2)).reshape(*angle.shape, -1)
    is_before = steps <= angle[..., None]
    last_inside = torch.minimum(torch.where(keeps & is_before, steps + 0.5, 0).amax(-1), angle - ROUNDING)
    first_outside = torch.where(keeps | is_before, float(DEGREES), steps - 0.5).amin(-1)
    high = torch.where(is_inside(directions), torch.maximum(first_outside, angle), last_inside)
    return Reach(angle, high, way)
