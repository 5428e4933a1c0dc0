"""The tempo of one clip brought to that of another: dynamic time warping, batched."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.kinematics.local_bones import LocalBones

MAX_STEP = 2
"""Frames of the second clip that may pass in one of the first: it is shown at most twice as fast."""
PENALTY = 0.02
"""Cost of a frame at another tempo than its own, in mean squared distance of unit directions: what 8 degrees cost."""
SLACK = 8
"""Both ends of an alignment may leave out one part in so many of the second clip."""


def aligned_frames(
    cost: Float[Tensor, "pairs frames others"], *, slack: int, penalty: float = PENALTY
) -> Int64[Tensor, "pairs frames"]:
    r"""For each frame of a clip the frame of another one that is shown with it, so that the sum of costs is least.

    .. math:: D_{ij} = c_{ij} + \min\{D_{i-1,j-1},\ D_{i-1,j} + p,\ D_{i-1,j-2} + p\}

    The recurrence of dynamic time warping with steps that give each frame i exactly one partner j, 0 to 2 frames after the
    last one's (the second clip waits, goes on, or goes twice as fast).

    Args:
        cost: c, of showing frame i with frame j.
        slack: frames that may be left out of the second clip at its beginning, and at its end.
        penalty: p.

    Reference: Sakoe and Chiba, Dynamic programming algorithm optimization for spoken word recognition, 1978.
    """
    pairs, frames, others = cost.shape
    best = torch.full((pairs, others), torch.inf, dtype=cost.dtype)
    best[:, : slack + 1] = cost[:, 0, : slack + 1]
    steps = torch.ones(pairs, frames, others, dtype=torch.int64)
    for frame in range(1, frames):
        came = _shifted(best, 1)
        for step in (0, MAX_STEP):
            other = _shifted(best, step) + penalty
            steps[:, frame].masked_fill_(other < came, step)
            came = torch.minimum(came, other)
        best = cost[:, frame] + came
    best[:, : others - 1 - slack] = torch.inf
    chosen = torch.empty(pairs, frames, dtype=torch.int64)
    chosen[:, -1] = best.argmin(-1)
    for frame in range(frames - 1, 0, -1):
        here = chosen[:, frame, None]
        chosen[:, frame - 1] = (here - steps[:, frame].gather(1, here))[:, 0]
    return chosen


def _shifted(best: Float[Tensor, "pairs others"], step: int) -> Float[Tensor, "pairs others"]:
    if step == 0:
        return best
    return torch.nn.functional.pad(best[:, :-step], (step, 0), value=torch.inf)


def aligned_times(
    first: LocalBones,
    second: LocalBones,
    taken: Bool[Tensor, "pairs bones"],
    tree: KinematicTree,
    frames: int,
    *,
    smoothing: int,
) -> Float[Tensor, "pairs frames"]:
    r"""When each frame of the first clip happens in the second one, in frames: what is not exchanged tells.

    .. math:: c_{ij} = \tfrac13 |g_i - g'_j|^2 + \tfrac13 |z_i - z'_j|^2 + \tfrac13 \operatorname{mean}_{b\ \mathrm{kept}} |u_{bi} - u'_{bj}|^2

    with the direction g of gravity in the lower torso, the axis z of the upper one, and the directions u of the bones that the child
    keeps from the first clip. An arm is exchanged at the tempo of trunk, head and legs, a leg at that of all but itself.

    Args:
        first, second: of as many clips.
        taken: bones that the child gets from the second clip.
        smoothing: frames of the mean that the step-wise alignment is smoothed by, odd.
    """
    pairs = len(taken)
    kept = ~taken
    weight = (kept / kept.sum(1, keepdim=True).clamp_min(1)).sqrt()[:, None, :, None].to(first.directions)

    def features(bones: LocalBones) -> Tensor:
        directions = bones.directions.reshape(pairs, frames, -1, 3) * weight
        trunk = torch.cat([bones.lower[:, 2], bones.upper[:, :, 2]], -1).reshape(pairs, frames, 6)
        return torch.cat([directions.flatten(2), trunk], -1) / 3**0.5

    cost = torch.cdist(features(first), features(second)).square()
    shift = aligned_frames(cost, slack=frames // SLACK) - torch.arange(frames)
    # A mean of neighbours keeps the order of the frames, and leaves an alignment that shifts nothing as it is.
    edges = [smoothing // 2] * 2
    padded = torch.nn.functional.pad(shift[:, None].to(cost), edges, mode="replicate")
    mean = torch.nn.functional.avg_pool1d(padded, smoothing, 1)[:, 0]
    return (mean + torch.arange(frames)).clamp(0, frames - 1)
