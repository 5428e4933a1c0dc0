"""Mutation: bones rotated, bodies rotated in the world, bones scaled, bodies mirrored.

Pure functions of (bones, tree, generator, rates); what is passed in is never changed. Angles are radians.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from evolift.evolution.kinematics.direction import apply_matrix, chosen, dot, reflect, sine_ratio, unit
from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.kinematics.local_bones import LocalBones, numbers


def draw_rotated(
    tree: KinematicTree,
    mutated: Bool[Tensor, "n"],
    generator: torch.Generator,
    *,
    per_bone_rate: float | None = None,
) -> Bool[Tensor, "n bones"]:
    """Which bones to rotate.

    Args:
        mutated: which bodies get any bone rotated.
        per_bone_rate: chance of each movable bone of those; None rotates exactly one of each.
    """
    n = len(mutated)
    movable = torch.tensor(tree.movable)
    rotated = torch.zeros(len(tree.names), n, dtype=torch.bool)
    if per_bone_rate is None:
        chosen = movable[torch.randint(len(movable), (n,), generator=generator)]
        rotated[chosen, torch.arange(n)] = mutated
    else:
        drawn = torch.rand(len(movable), n, generator=generator) < per_bone_rate
        rotated.index_copy_(0, movable, drawn & mutated)
    return rotated.T


def rotate_bones(
    bones: LocalBones,
    rotated: Bool[Tensor, "n bones"],
    tree: KinematicTree,
    generator: torch.Generator,
    *,
    sigma: float,
) -> LocalBones:
    r"""Rotate the given bones by gaussian rotations; the last trunk bone also twists the shoulders about itself.

    .. math:: u' = \cos|t|\, u + \frac{\sin|t|}{|t|}\, t, \qquad t = w - (w^\top u)\,u, \quad w \sim N(0, \sigma^2 I_3)

    Args:
        rotated: which bones of which body.
        sigma: radians.
    """
    # Only the bones that are rotated get a draw: one of sixteen in the report's setting.
    device = bones.lengths.device
    places = torch.from_numpy(np.flatnonzero(rotated.T.numpy())).to(device)  # torch takes eight times as long
    noise = torch.randn(3, len(places), generator=generator).to(bones.lengths) * sigma
    planes = bones.directions.permute(2, 1, 0).contiguous()
    moved = step_on_sphere(planes.flatten(1).index_select(1, places), noise)
    directions = planes.flatten(1).index_copy(1, places, moved).reshape(planes.shape)
    trunk = rotated[:, tree.trunk[-1]].nonzero()[:, 0].to(device)
    twist = torch.randn(len(trunk), generator=generator).to(bones.lengths) * sigma
    angle = bones.lengths.new_zeros(len(bones)).index_copy(0, trunk, twist)
    return bones.with_values(
        directions=directions.permute(2, 1, 0), upper=rotate_about_vertical(bones.upper, angle)
    )


def step_on_sphere(directions: Float[Tensor, "3 n"], steps: Float[Tensor, "3 n"]) -> Float[Tensor, "3 n"]:
    """Walk along the great circle that starts at a direction towards the tangential part of a step, as far as it is long."""
    tangent = steps - directions * dot(steps, directions)
    angle = torch.sqrt(dot(tangent, tangent))
    moved = (directions * torch.cos(angle)).addcmul_(tangent, sine_ratio(angle))
    return moved * torch.rsqrt(dot(moved, moved))


def rotate_about_vertical(axes: Float[Tensor, "n 3 3"], angle: Float[Tensor, "n"]) -> Float[Tensor, "n 3 3"]:
    """Rotate orientations (columns) about z, counter-clockwise seen from above."""
    cosine, sine = torch.cos(angle), torch.sin(angle)
    x, y, z = axes.permute(1, 2, 0)
    rotated = torch.stack([cosine * x - sine * y, sine * x + cosine * y, z])
    return rotated.permute(2, 0, 1)


def rotate_bodies(
    bones: LocalBones,
    rotated: Bool[Tensor, "n"],
    generator: torch.Generator,
    *,
    tilt_sigma: float = 0.0,
) -> LocalBones:
    """Give bodies a new heading, uniform about the world's vertical (z), and optionally a gaussian tilt.

    Args:
        rotated: which bodies.
        tilt_sigma: standard deviation of the tilt about each horizontal axis, radians; 0 keeps people as upright as
            they were.
    """
    # All are rotated, the others by no angle, which leaves them exactly as they were: cheaper than to take some out.
    rows = rotated.nonzero()[:, 0].to(bones.lengths.device)
    drawn = torch.rand(len(rows), generator=generator).to(bones.lengths) * (2 * math.pi)
    lower = rotate_about_vertical(bones.lower, drawn.new_zeros(len(bones)).index_copy(0, rows, drawn))
    if tilt_sigma:
        drawn = torch.randn(2, len(rows), generator=generator).to(bones.lengths) * tilt_sigma
        lower = _tilt(lower, drawn.new_zeros(2, len(bones)).index_copy(1, rows, drawn))
    return bones.with_values(lower=lower)


def _tilt(axes: Float[Tensor, "n 3 3"], vector: Float[Tensor, "2 n"]) -> Float[Tensor, "n 3 3"]:
    """Rotate by a rotation vector that lies in the horizontal plane (Rodrigues' formula)."""
    angle = torch.sqrt(vector[0] ** 2 + vector[1] ** 2)
    sine, cosine = sine_ratio(angle), torch.cos(angle)
    # (1 - cos a) / a^2 = (sin(a / 2) / (a / 2))^2 / 2
    bend = sine_ratio(angle / 2) ** 2 / 2
    x, y = vector
    matrix = torch.stack(
        [
            torch.stack([cosine + bend * x * x, bend * x * y, sine * y]),
            torch.stack([bend * x * y, cosine + bend * y * y, -sine * x]),
            torch.stack([-sine * y, sine * x, cosine]),
        ]
    )
    return apply_matrix(matrix[:, :, None], axes.permute(1, 2, 0)).permute(2, 0, 1)


def scale_lengths(
    bones: LocalBones,
    tree: KinematicTree,
    scaled: Bool[Tensor, "n"],
    generator: torch.Generator,
    *,
    spread: float,
) -> LocalBones:
    """Scale bone lengths, left and right alike.

    Args:
        scaled: which bodies.
        spread: factors are uniform in 1 - spread to 1 + spread, drawn for each bone and its mirror image together.
    """
    rows = scaled.nonzero()[:, 0].to(bones.lengths.device)
    draws = torch.rand(len(rows), len(tree.names), generator=generator) * 2 - 1
    # A pair of bones takes the draw of whichever comes first.
    own = torch.arange(len(tree.names))
    draws = draws[:, torch.minimum(own, torch.tensor(tree.mirror))]
    lengths = bones.lengths.clone()
    lengths[rows] = lengths[rows] * (1 + spread * draws.to(lengths))
    return bones.with_values(lengths=lengths)


def mirror_bodies(bones: LocalBones, tree: KinematicTree, mirrored: Bool[Tensor, "n"]) -> LocalBones:
    r"""Swap left and right: the mirror image of bodies in the upright plane through their root, across their hip line.

    .. math:: J'_{k} = r + (I - 2 n n^\top) (J_{\bar k} - r), \qquad n = (x_1, x_2, 0) / |(x_1, x_2, 0)|

    with the root r, the hip line x in the world, and the other side's joint k-bar. The plane is upright, so heights and
    the direction of gravity stay as they were, and so does the heading. A hip line that stands upright itself leaves
    the plane open: the world's x axis is its normal then.

    Args:
        mirrored: which bodies; with their bone lengths, should the sides differ.
    """
    flip = torch.tensor([-1.0, 1.0, 1.0]).to(bones.lengths)
    other = numbers(tree.mirror, bones.lengths.device)
    across = bones.lower[:, :, 0].T * torch.tensor([[1.0], [1.0], [0.0]]).to(bones.lengths)
    normal, _ = unit(across, torch.tensor([[1.0], [0.0], [0.0]]).to(bones.lengths))
    # A reflected frame is left-handed; its x axis, which runs from left to right, changes its sign with the names.
    lower = reflect(bones.lower.permute(1, 2, 0), normal[:, None]).permute(2, 0, 1) * flip
    images = {
        "lower": lower,
        "upper": flip[:, None] * bones.upper * flip,
        "directions": bones.directions.permute(2, 1, 0).index_select(1, other).permute(2, 1, 0) * flip,
        "lengths": bones.lengths.T.index_select(0, other).T,
    }
    # All have images made, only some take them: cheaper than to take those out.
    values = {}
    for name, image in images.items():
        before = getattr(bones, name)
        values[name] = chosen(mirrored.reshape(-1, *[1] * (before.ndim - 1)), image, before)
    return bones.with_values(**values)
