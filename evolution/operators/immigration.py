r"""Immigrants: bodies whose limbs point where no parent's did, drawn from all that the joint limits allow.

Crossover and mutation stay near the population: of walks alone they breed few waving arms. An immigrant keeps its parent's trunk,
head, heading and bone lengths; the directions of one or more whole limbs are drawn anew, each bone's from a density

.. math:: p(u) = (1 - w)\, \frac{[u \in A]}{|A|} + w\, \frac{[u \in A]\, f(u)}{\int_A f}, \qquad
    f(u) = \frac{1}{n} \sum_{i=1}^{n} K(u \mid u_i)

with the directions A that the limits allow given where the bone above points, the directions :math:`u_i` of that bone in n poses of the
population, and a gaussian step on the sphere K. The bones are drawn apart from each other: where crossover takes a whole limb of
one pose, an immigrant whose weight w is 1 has the upper arm of one and the forearm of another.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from evolift.evolution.kinematics.direction import dot
from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.kinematics.local_bones import LocalBones
from evolift.evolution.operators.mutation import step_on_sphere

KERNEL = math.radians(5)
"""Standard deviation of the step K about each axis: it fills the gaps between poses and keeps the shape of their density."""
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
    *,
    seen: Float[Tensor, "poses bones 3"] | None = None,
    weight: float = 0.0,
) -> LocalBones:
    """Directions from the density above, by rejection: a bone after the one that it hangs on, given where that points.

    Args:
        redrawn: which bones of which body.
        keeps_limits: verdict on each bone, such as `evolift.evolution.limits.joint_limits.JointLimits.check_local`.
        seen: local directions of poses of the population; needed for a weight.
        weight: w, the share of bones that follow the population's density; the others are uniform over what the limits allow.
    """
    rows = redrawn.any(-1).nonzero()[:, 0]
    changed = bones[rows]
    directions, open_bones = changed.directions.clone(), redrawn[rows]
    parents = torch.tensor(tree.parents).to(redrawn.device)
    # Drawn once, not at each try: the limits let more of the population's directions pass than of uniform ones.
    like_seen = torch.zeros_like(open_bones)
    if seen is not None and weight:
        like_seen = (torch.rand(open_bones.shape, generator=generator) < weight).to(open_bones.device)
    for _ in range(ROUNDS):
        left = open_bones.any(-1).nonzero()[:, 0]
        if not len(left):
            break
        waits = open_bones[left][:, parents.clamp_min(0)] & (parents >= 0)
        ready = open_bones[left] & ~waits
        tried = directions[left]
        tried[ready] = _uniform(int(ready.sum()), generator).to(tried)
        follows = ready & like_seen[left]
        if seen is not None and follows.any():
            tried[follows] = _near(seen, follows.nonzero()[:, 1], generator).to(tried)
        kept = keeps_limits(changed[left].with_values(directions=tried)) & ready
        directions[left] = tried
        open_bones[left] &= ~kept
    every = bones.directions.clone()
    every[rows] = directions
    return bones.with_values(directions=every)


def _uniform(n: int, generator: torch.Generator) -> Float[Tensor, "n 3"]:
    normal = torch.randn(3, n, generator=generator)
    return (normal * torch.rsqrt(dot(normal, normal))).T


def _near(
    seen: Float[Tensor, "poses bones 3"], bone: Int64[Tensor, "n"], generator: torch.Generator
) -> Float[Tensor, "n 3"]:
    """Draws of the kernel density of each bone's directions: that of a random pose, and a step from it."""
    pose = torch.randint(len(seen), (len(bone),), generator=generator)
    steps = torch.randn(3, len(bone), generator=generator).to(seen) * KERNEL
    return step_on_sphere(seen[pose, bone].T, steps).T
