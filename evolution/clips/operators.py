"""Operators on clips: exchange of trajectories, smooth mutation, tempo, mirror image and heading.

Pure functions of (clips, generator, rates); angles are radians. Bones of n clips of F frames have one batch axis of n F rows
(`evolift.evolution.clips.resampling`).
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from evolift.evolution.clips.resampling import smooth_curves
from evolift.evolution.kinematics.direction import reflect, unit
from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.kinematics.local_bones import LocalBones
from evolift.evolution.operators.mutation import rotate_about_vertical, step_on_sphere


def bend_bones(
    bones: LocalBones,
    bent: Bool[Tensor, "clips bones"],
    tree: KinematicTree,
    generator: torch.Generator,
    *,
    sigma: float,
    spacing: float,
) -> LocalBones:
    r"""Offset the directions of bones by gaussian rotations that change smoothly over the clip.

    .. math:: u'(t) = \cos|\tau|\, u(t) + \frac{\sin|\tau|}{|\tau|}\, \tau, \qquad \tau = w(t) - (w(t)^\top u(t))\,u(t)

    as `evolift.evolution.operators.mutation.rotate_bones` does for a pose, with curves w of standard deviation sigma
    (`smooth_curves`). The last trunk bone also twists the shoulders about itself.

    Args:
        bent: which bones of which clip.
        sigma: radians.
        spacing: frames in which an offset changes.
    """
    clips = len(bent)
    frames = len(bones) // clips
    rows, columns = bent.nonzero(as_tuple=True)
    curves = smooth_curves(len(rows), frames, spacing, generator, width=3).to(bones.lengths) * sigma
    directions = bones.directions.reshape(clips, frames, -1, 3).clone()
    moved = directions[rows, :, columns].permute(2, 0, 1).flatten(1)
    moved = step_on_sphere(moved, curves.flatten(1))
    directions[rows, :, columns] = moved.reshape(3, len(rows), frames).permute(1, 2, 0)
    trunk = bent[:, tree.trunk[-1]].nonzero()[:, 0]
    twist = bones.lengths.new_zeros(clips, frames)
    twist[trunk] = smooth_curves(len(trunk), frames, spacing, generator)[0].to(twist) * sigma
    upper = torch.where(
        bent[:, tree.trunk[-1]].repeat_interleave(frames)[:, None, None],
        rotate_about_vertical(bones.upper, twist.flatten()),
        bones.upper,
    )
    return bones.with_values(directions=directions.flatten(0, 1), upper=upper)


def warped_times(
    warped: Bool[Tensor, "clips"], frames: int, generator: torch.Generator, *, sigma: float, spacing: float
) -> Float[Tensor, "clips frames"]:
    r"""When each frame of a child happens in its parent: as in the parent, or faster here and slower there.

    .. math:: s_i = (F - 1) \sum_{k < i} v_k \Big/ \sum_{k < F - 1} v_k, \qquad v = e^{c}, \quad c \text{ a smooth curve of deviation } \sigma

    Both begin and end together, so that no clip needs frames that it does not have.

    Args:
        warped: which clips.
        sigma: standard deviation of the logarithm of the tempo.
        spacing: frames in which the tempo changes.
    """
    times = torch.arange(frames).float().repeat(len(warped), 1)
    rows = warped.nonzero()[:, 0]
    tempo = (smooth_curves(len(rows), frames, spacing, generator)[0] * sigma).exp()[:, :-1]
    passed = torch.nn.functional.pad(tempo.cumsum(1), (1, 0))
    times[rows] = passed / passed[:, -1:] * (frames - 1)
    return times


def mirror_clips(
    joints: Float[Tensor, "clips frames joints 3"], tree: KinematicTree, mirrored: Bool[Tensor, "clips"]
) -> Float[Tensor, "clips frames joints 3"]:
    r"""Swap left and right of whole clips: mirrored in the upright plane through the first root, across the first hip line.

    .. math:: J'_{tk} = r_0 + (I - 2 n n^\top)(J_{t \bar k} - r_0)

    with the other side's joint k-bar. As of single bodies (`evolift.evolution.operators.mutation.mirror_bodies`), but with one plane for all frames, so that
    ways are mirrored with the bodies that go them. Its own inverse.
    """
    start = joints[:, :1, [tree.skeleton.root]]
    left, right = (tree.skeleton.index(hip) for hip in tree.hips)
    across = (joints[:, 0, right] - joints[:, 0, left]).T * torch.tensor([[1.0], [1.0], [0.0]]).to(joints)
    normal, _ = unit(across, torch.tensor([[1.0], [0.0], [0.0]]).to(joints))
    other = (joints[:, :, list(tree.skeleton.mirror)] - start).permute(3, 1, 2, 0)
    images = reflect(other, normal[:, None, None]).permute(3, 1, 2, 0) + start
    return torch.where(mirrored[:, None, None, None], images, joints)


def head_clips(
    joints: Float[Tensor, "clips frames joints 3"], tree: KinematicTree, angle: Float[Tensor, "clips"]
) -> Float[Tensor, "clips frames joints 3"]:
    """Rotate whole clips about the vertical through the first frame's root, radians; where the angle is 0 nothing changes."""
    start = joints[:, :1, [tree.skeleton.root]]
    columns = (joints - start).flatten(1, 2).transpose(1, 2)
    cosine, sine = torch.cos(angle)[:, None], torch.sin(angle)[:, None]
    x, y = columns[:, 0], columns[:, 1]
    rotated = torch.stack([cosine * x - sine * y, sine * x + cosine * y, columns[:, 2]], 2)
    return torch.where((angle == 0)[:, None, None, None], joints, rotated.reshape(joints.shape) + start)
