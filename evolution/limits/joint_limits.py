"""What all joint-angle limits have in common: poses in, one verdict per bone out.

A bone is named by the joint at which it ends. Limits never change a pose; selection refuses a child as soon as
one bone breaks its limit (fitness minus infinity in Algorithm 1).
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.kinematics.local_bones import LocalBones, to_local
from evolift.posedata.errors import InputError
from evolift.posedata.skeleton import Skeleton


class JointLimits(ABC):
    """Limits of the directions of the bones of one skeleton.

    Args:
        tree: of the skeleton whose poses are checked.
    """

    name: str
    """What the command line and provenance call these limits."""

    def __init__(self, tree: KinematicTree) -> None:
        self.tree = tree

    @property
    def bones(self) -> tuple[str, ...]:
        """Names of the bones in the order of the verdicts."""
        return self.tree.names

    @property
    @abstractmethod
    def limited(self) -> tuple[bool, ...]:
        """Which bones have a limit; the others always pass."""

    @abstractmethod
    def check_local(self, local: LocalBones) -> Bool[Tensor, "*batch bones"]:
        """Verdict on local bones as `local_bones.to_local` makes them (torso frames measured, not made up)."""

    def check(self, joints: Float[Tensor, "*batch joints 3"]) -> Bool[Tensor, "*batch bones"]:
        """Which bones keep their limits.

        Args:
            joints: mm, any frame with the skeleton's joints.

        Returns:
            True where a bone is within its limit, in the order of `bones`. A bone without length passes only if
            it has no limit: its direction is unknown. One of an unlabelled joint (NaN) passes: nothing is known of it.
        """
        return self.check_measured(to_local(self.tree, joints))

    def check_measured(self, local: LocalBones) -> Bool[Tensor, "*batch bones"]:
        """`check` for poses that `local_bones.to_local` has measured already."""
        unlimited = ~torch.tensor(self.limited).to(local.lengths.device)
        verdict = unlimited | self.check_local(local)
        if local.lengths.numel() and local.lengths.amin().item() > 0:  # none is NaN
            return verdict
        return verdict & (unlimited | (local.lengths > 0)) | local.lengths.isnan()

    def accepts(self, joints: Float[Tensor, "*batch joints 3"]) -> Bool[Tensor, "*batch"]:
        """For each pose whether all of its bones keep their limits."""
        return self.check(joints).all(-1)

    def require(self, skeleton: Skeleton, what: str) -> None:
        """Refuse another skeleton.

        Args:
            skeleton: of the poses that shall be checked.
            what: the file they are from, for the message.

        Raises:
            InputError: it is not the skeleton of these limits.
        """
        if skeleton != self.tree.skeleton:
            raise InputError(
                f"{what} has skeleton {skeleton.name}, the limits {self.name!r} are for {self.tree.skeleton.name}: convert the store or choose other limits"
            )
