"""Immigrants: bodies whose limbs point where no parent's did, drawn from all that the joint limits allow.

Crossover and mutation stay near the population: of walks alone they breed few waving arms. An immigrant keeps its parent's trunk,
head, heading and bone lengths; the directions of one or more whole limbs are drawn anew. The population's own density needs
no draw of its own, for crossover takes whole limbs from it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from evolift.evolution.kinematics.direction import dot
from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.kinematics.local_bones import LocalBones

ROUNDS = 64
"""Directions tried for each bone; selection refuses the few bodies for which none was found."""


def draw_limbs(
    tree: KinematicTree, immigrants: Bool[Tensor, "n"], limited: tuple[bool, ...], generator: torch.Generator
) -> Bool[Tensor, "n bones"]:
    """Which bones of immigrants to draw anew: each arm and leg with a chance of one half, all four if none is drawn.

    Args:
        immigrants: which bodies are.
        limited: which bones have joint limits; hands and feet without any stay as they are.
    """
    limbs = torch.stack([tree.subtree[tree.bone(joint)] for joint in (*tree.hips, *tree.shoulders)])
    limbs &= torch.tensor(tree.is_limb) & torch.tensor(limited)
    drawn = torch.rand(len(immigrants), len(limbs), generator=generator) < 0.5
    drawn |= ~drawn.any(-1, keepdim=True)
    return (drawn[:, :, None] & limbs).any(1) & immigrants[:, None]


def redraw_directions(
    bones: LocalBones,
    redrawn: Bool[Tensor, "n bones"],
    tree: KinematicTree,
    keeps_limits: Callable[[LocalBones], Bool[Tensor, "n bones"]],
    generator: torch.Generator,
) -> LocalBones:
    """Directions uniform over what the limits allow, by rejection: a bone after the one that it hangs on, given where that points.

    Args:
        redrawn: which bones of which body.
        keeps_limits: verdict on each bone, such as `evolift.evolution.limits.joint_limits.JointLimits.check_local`.
    """
    rows = redrawn.any(-1).nonzero()[:, 0]
    changed = bones[rows]
    directions, open_bones = changed.directions.clone(), redrawn[rows]
    parents = torch.tensor(tree.parents).to(redrawn.device)
    for _ in range(ROUNDS):
        left = open_bones.any(-1).nonzero()[:, 0]
        if not len(left):
            break
        waits = open_bones[left][:, parents.clamp_min(0)] & (parents >= 0)
        ready = open_bones[left] & ~waits
        tried = directions[left]
        tried[ready] = _uniform(int(ready.sum()), generator).to(tried)
        kept = keeps_limits(changed[left].with_values(directions=tried)) & ready
        directions[left] = tried
        open_bones[left] &= ~kept
    every = bones.directions.clone()
    every[rows] = directions
    return bones.with_values(directions=every)


def _uniform(n: int, generator: torch.Generator) -> Float[Tensor, "n 3"]:
    normal = torch.randn(3, n, generator=generator)
    return (normal * torch.rsqrt(dot(normal, normal))).T
