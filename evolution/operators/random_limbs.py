"""Bodies with nonsense for limbs: what limits and criteria are for is to refuse them."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.kinematics.local_bones import to_joints, to_local


def with_random_limbs(
    joints: Float[Tensor, "n joints 3"], tree: KinematicTree, generator: torch.Generator
) -> Float[Tensor, "n joints 3"]:
    """The same trunks, heads and bone lengths, but all bones of arms and legs point anywhere, uniformly on the sphere."""
    local = to_local(tree, joints)
    limbs = [bone for bone, limb in enumerate(tree.is_limb) if limb]
    directions = local.directions.clone()
    random = torch.randn(len(joints), len(limbs), 3, generator=generator)
    directions[:, limbs] = torch.nn.functional.normalize(random, dim=-1)
    return to_joints(tree, local.with_values(directions=directions)).contiguous()
