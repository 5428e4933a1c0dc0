"""How much of the space of poses a store covers."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from evolution.direction_cells import cell_of
from evolution.kinematic_tree import KinematicTree
from evolution.local_bones import LocalBones, to_local
from evolution.parent_sampling import in_torso_frame

CHUNK = 4096
SIDE = 6
"""Cells along the edge of each limb's sphere for `posture_cells`: about 34 degrees each."""


def distance_to_nearest(
    probes: Float[Tensor, "probes joints 3"],
    batches: Iterable[Float[Tensor, "_n joints 3"]],
    tree: KinematicTree,
) -> Float[Tensor, "probes"]:
    """Distance of each probe to the nearest pose, mm: root mean square over joints, in the torso frame.

    Args:
        probes: poses that ought to be covered, for example of a held-out person.
        batches: joints of the poses that cover them; one batch in memory at a time.
    """
    wanted = in_torso_frame(to_local(tree, probes), tree).flatten(1)
    nearest = torch.full((len(probes),), torch.inf)
    for joints in batches:
        for part in torch.split(joints, CHUNK):
            poses = in_torso_frame(to_local(tree, part), tree).flatten(1)
            nearest = torch.minimum(nearest, torch.cdist(wanted, poses).min(-1).values)
    scale: float = len(tree.skeleton) ** -0.5
    return nearest * scale


def posture_cells(local: LocalBones, tree: KinematicTree) -> Int64[Tensor, "n"]:
    """A number for each pose: which coarse cells its upper arms and thighs point to, all four together.

    The number of different ones among poses tells how much of the space of postures they cover.
    """
    number = torch.zeros(len(local), dtype=torch.long)
    for bone, parent in enumerate(tree.parents):
        if parent >= 0 and tree.names[parent] in (*tree.hips, *tree.shoulders):
            number = number * SIDE**2 + cell_of(local.directions[:, bone].T, SIDE)
    return number
