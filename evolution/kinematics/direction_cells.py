"""The sphere of directions cut into cells, and which cells lie near which.

Cells come from the octahedral map: a direction is divided by the sum of its absolute values, which puts it on an
octahedron; the lower half is folded outward, and the whole is a square of `side` by `side` cells. Finding a
direction's cell takes no trigonometry. Cells differ in size, so distances are measured as angles between their centres.

Reference: Cigolle et al., A survey of efficient representations for independent unit vectors, JCGT 2014.
"""

from __future__ import annotations

import math
from functools import cache

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor


def cell_of(directions: Float[Tensor, "3 *rest"], side: int) -> Int64[Tensor, "*rest"]:
    """Number of the cell that holds each direction, row by row from 0 to side squared less 1.

    Args:
        directions: planes x, y, z; need not have unit length, a vector of no length belongs to a middle cell.
        side: cells along each edge of the square.
    """
    x, y, z = directions
    reach = (x.abs() + y.abs() + z.abs()).clamp_min(1e-20)
    u, v = x / reach, y / reach
    below = z < 0
    # Mirror the lower half at the edges of the upper half's diamond.
    u, v = (
        torch.where(below, torch.copysign(1 - v.abs(), u), u),
        torch.where(below, torch.copysign(1 - u.abs(), v), v),
    )
    column = ((u + 1) * (side / 2)).long().clamp_(0, side - 1)
    row = ((v + 1) * (side / 2)).long().clamp_(0, side - 1)
    return row * side + column


@cache
def centres(side: int) -> Float[Tensor, "cells 3"]:
    """Unit direction at the middle of each cell."""
    step = (torch.arange(side, dtype=torch.float64) + 0.5) * (2 / side) - 1
    v, u = torch.meshgrid(step, step, indexing="ij")
    z = 1 - u.abs() - v.abs()
    below = z < 0
    x = torch.where(below, torch.copysign(1 - v.abs(), u), u)
    y = torch.where(below, torch.copysign(1 - u.abs(), v), v)
    return torch.nn.functional.normalize(torch.stack([x, y, z], -1).reshape(-1, 3), dim=-1).float()


def within(side: int, angle: float, *, other_side: int | None = None) -> Bool[Tensor, "cells others"]:
    """Which cells' centres lie within an angle of which.

    Args:
        side: of the rows' cells.
        angle: radians.
        other_side: of the columns' cells; the same if None.
    """
    return centres(side) @ centres(other_side or side).T >= math.cos(angle) - 1e-6
