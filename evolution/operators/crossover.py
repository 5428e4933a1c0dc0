"""Crossover: two bodies exchange sub-trees of bones in their local frames.

A sub-tree is named by its topmost bone; whatever hangs on that bone comes along with it. The receiving body keeps its
root place, its orientation, its pelvis and, unless told otherwise, its bone lengths. Pure functions: parents are never
changed, and all chance comes from the generator that is passed in.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from evolift.evolution.kinematics.direction import chosen
from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.kinematics.local_bones import LocalBones

LengthsOfChildren = Literal["kept", "swapped"]


def draw_subtrees(
    tree: KinematicTree, n: int, generator: torch.Generator, *, two_point_rate: float
) -> Bool[Tensor, "n bones"]:
    """Random sets of bones to exchange, never empty.

    One cut takes the sub-tree of a bone drawn uniformly from all movable ones. Two cuts at different bones take what
    is in exactly one of both sub-trees: both of them if they lie apart, the piece between the cuts if one holds the other.
    """
    roots = torch.tensor(tree.movable)
    one = torch.randint(len(roots), (n,), generator=generator)
    shift = torch.randint(1, max(len(roots), 2), (n,), generator=generator)
    two_points = torch.rand(n, generator=generator) < two_point_rate
    if len(roots) == 1:
        two_points[:] = False
    # Bones first in memory, as the directions have them that these will select. By numpy: torch takes four times as long.
    members = tree.subtree.T[:, roots].contiguous().numpy()
    taken, other = (members.take(cut.numpy(), 1) for cut in (one, (one + shift) % len(roots)))
    other &= two_points.numpy()
    taken ^= other
    return torch.from_numpy(taken).T


def exchange(
    first: LocalBones,
    second: LocalBones,
    taken: Bool[Tensor, "n bones"],
    tree: KinematicTree,
    *,
    lengths: LengthsOfChildren = "kept",
) -> LocalBones:
    """The bones of `first`, but the local directions of `second` where `taken`.

    Args:
        taken: which bones to take from `second`. The orientation of the upper torso comes with the last trunk bone.
        lengths: "kept" are those of `first`; "swapped" are those of `second` for the bones taken and for their mirror
            images, so that no body gets unequal sides.
    """
    with_upper = taken[:, tree.trunk[-1], None, None]
    child_lengths = first.lengths
    if lengths == "swapped":
        both_sides = taken | taken[:, list(tree.mirror)]
        child_lengths = chosen(both_sides, second.lengths, first.lengths)
    return first.with_values(
        directions=chosen(taken[..., None], second.directions, first.directions),
        upper=chosen(with_upper, second.upper, first.upper),
        lengths=child_lengths,
    )


def draw_pairs(
    n: int, population: int, generator: torch.Generator
) -> tuple[Int[Tensor, "n"], Int[Tensor, "n"]]:
    """Two different members of a population for each of n children, uniformly.

    Args:
        population: number of members, at least 2.
    """
    first = torch.randint(population, (n,), generator=generator)
    shift = torch.randint(1, population, (n,), generator=generator)
    return first, (first + shift) % population
