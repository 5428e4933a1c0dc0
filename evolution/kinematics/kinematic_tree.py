"""The plan by which a skeleton's joints become bones in local frames (`evolift.evolution.kinematics.local_bones` has the frames).

Bones are named and counted by the joints at which they end, parents first. Nothing here depends on a pose.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from evolift.evolution.kinematics.direction import reflect, swing
from evolift.posedata.errors import InputError
from evolift.posedata.skeleton import ROOT, Skeleton

_UP, _DOWN, _RIGHT = (0.0, 0.0, 1.0), (0.0, 0.0, -1.0), (1.0, 0.0, 0.0)
# Middles of the ranges of motion of the right limbs, in torso frames; the left ones are their mirror images. Chosen
# on CMU motion capture so that the plane of elbow and knee varies least: 0.94 and 0.985 mean resultant length.
_UPPER_ARM_REST = (0.4, 0.9, -0.25)
_THIGH_REST = (0.15, 0.6, -0.78)


@dataclass(frozen=True)
class KinematicTree:
    """The plan by which a skeleton's joints become local bones.

    Args:
        skeleton: a kinematic one, with its root at the pelvis.
        hips, shoulders: (left, right) joints that span the torso frames.

    Raises:
        InputError: the skeleton is only a drawing tree, lacks these joints, or its hips do not branch off at the root.
    """

    skeleton: Skeleton
    hips: tuple[str, str] = ("left_hip", "right_hip")
    shoulders: tuple[str, str] = ("left_shoulder", "right_shoulder")

    def __post_init__(self) -> None:
        name = self.skeleton.name
        if not self.skeleton.is_kinematic:
            raise InputError(
                f"skeleton {name} is a drawing tree without a pelvis, its bones cannot be rotated: convert the poses to H36M17 first"
            )
        for joint in (*self.hips, *self.shoulders):
            self.skeleton.index(joint)
        if self.branch(self.hips) != self.skeleton.root:
            raise InputError(f"skeleton {name}: its hips must branch off at the root joint")
        if set(self.trunk) & set(self.pelvic):
            raise InputError(f"skeleton {name}: its shoulders must not hang on a hip")
        if not self.trunk:
            raise InputError(f"skeleton {name}: needs a trunk bone between the hips and the shoulders")

    @cached_property
    def joints_of_bones(self) -> tuple[int, ...]:
        """The joint at which each bone ends: all but the root, parents first."""
        return tuple(joint for joint in self.skeleton.topological_order if joint != self.skeleton.root)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Name of each bone: that of the joint at which it ends."""
        return tuple(self.skeleton.joints[joint] for joint in self.joints_of_bones)

    def bone(self, joint: str) -> int:
        """Number of the bone that ends at `joint`.

        Raises:
            InputError: there is none.
        """
        self.skeleton.index(joint)
        if joint not in self.names:
            raise InputError(f"no bone of {self.skeleton.name} ends at its root {joint!r}")
        return self.names.index(joint)

    @cached_property
    def parents(self) -> tuple[int, ...]:
        """Bone that each bone hangs on, -1 at the root joint."""
        position = {joint: bone for bone, joint in enumerate(self.joints_of_bones)}
        return tuple(
            position.get(self.skeleton.parent_indices[joint], ROOT) for joint in self.joints_of_bones
        )

    @cached_property
    def mirror(self) -> tuple[int, ...]:
        """For each bone the number of its mirror image, the same bone of the other side."""
        position = {joint: bone for bone, joint in enumerate(self.joints_of_bones)}
        return tuple(position[self.skeleton.mirror[joint]] for joint in self.joints_of_bones)

    @cached_property
    def trunk(self) -> tuple[int, ...]:
        """Bones from the root to the joint where the shoulders branch off, in order."""
        anchor = self.branch(self.shoulders)
        path = self._path(self.skeleton.joints[anchor])
        return tuple(self.joints_of_bones.index(joint) for joint in path if joint != self.skeleton.root)

    @cached_property
    def pelvic(self) -> tuple[int, ...]:
        """Bones from the root to the hips: they span the lower frame and are part of a rigid pelvis."""
        ends = {joint for hip in self.hips for joint in self._path(hip)} - {self.skeleton.root}
        return tuple(bone for bone, joint in enumerate(self.joints_of_bones) if joint in ends)

    @cached_property
    def movable(self) -> tuple[int, ...]:
        """Bones that may be rotated or exchanged: all but the pelvic ones."""
        return tuple(bone for bone in range(len(self.parents)) if bone not in self.pelvic)

    @cached_property
    def subtree(self) -> Bool[Tensor, "bones bones"]:
        """Boolean matrix: row r marks bone r and all that hang on it."""
        member = torch.eye(len(self.parents), dtype=torch.bool)
        for bone in reversed(range(len(self.parents))):
            if self.parents[bone] != ROOT:
                member[self.parents[bone]] |= member[bone]
        return member

    def _path(self, joint: str) -> list[int]:
        """Joints from the root to `joint`, both included."""
        path = [self.skeleton.index(joint)]
        while self.skeleton.parent_indices[path[0]] != ROOT:
            path.insert(0, self.skeleton.parent_indices[path[0]])
        return path

    def branch(self, pair: tuple[str, str]) -> int:
        """The last joint that the paths to both of a pair have in common."""
        common = [
            a for a, b in zip(self._path(pair[0])[:-1], self._path(pair[1])[:-1], strict=False) if a == b
        ]
        return common[-1] if common else ROOT

    @cached_property
    def in_upper(self) -> tuple[bool, ...]:
        """Whether a bone's chain of frames starts at the upper torso."""
        above = torch.zeros(len(self.parents), dtype=torch.bool)
        above |= self.subtree[self.trunk[-1]]
        above[self.trunk[-1]] = False
        return tuple(above.tolist())

    @cached_property
    def carriers(self) -> tuple[tuple[int, ...], ...]:
        """For each bone, the bones whose carried frames lie between its torso frame and it, outermost first."""
        torso_joints = {self.branch(self.shoulders)}
        for joint in (*self.hips, *self.shoulders):
            torso_joints |= set(self._path(joint))
        torso_joints -= {self.joints_of_bones[bone] for bone in self.trunk[:-1]}
        chains: list[tuple[int, ...]] = []
        for bone in range(len(self.parents)):
            parent = self.parents[bone]
            starts_at_torso = parent == ROOT or self.joints_of_bones[parent] in torso_joints
            chains.append(() if starts_at_torso else (*chains[parent], parent))
        return tuple(chains)

    @cached_property
    def is_limb(self) -> tuple[bool, ...]:
        """Whether a bone belongs to an arm or a leg (hangs on a shoulder or a hip)."""
        limb = torch.zeros(len(self.parents), dtype=torch.bool)
        for joint in (*self.hips, *self.shoulders):
            bone = self.bone(joint)
            limb |= self.subtree[bone]
            limb[bone] = False
        return tuple(limb.tolist())

    @cached_property
    def rest_directions(self) -> Float[Tensor, "bones 3"]:
        """For each bone the local direction from which its frame is carried; the antipode is singular."""
        roots = {self.bone(joint): _UPPER_ARM_REST for joint in self.shoulders}
        roots |= {self.bone(joint): _THIGH_REST for joint in self.hips}
        spans = {
            self.joints_of_bones.index(j)
            for joint in (*self.hips, *self.shoulders)
            for j in self._path(joint)[1:]
        }
        spans -= set(self.trunk)
        rests = []
        for bone in range(len(self.names)):
            if self.parents[bone] in roots:
                rest = roots[self.parents[bone]]
            elif bone in spans:
                rest = _RIGHT
            else:
                rest = _DOWN if self.is_limb[bone] else _UP
            on_left = self.is_left(bone)
            rests.append((-rest[0] if on_left else rest[0], *rest[1:]))
        directions = torch.tensor(rests, dtype=torch.float64)
        return torch.nn.functional.normalize(directions, dim=-1)

    def is_left(self, bone: int) -> bool:
        """Whether a bone belongs to the left side: by its name, or by hanging on the left hip or shoulder."""
        joint = self.names[bone]
        lefts = (self.hips[0], self.shoulders[0])
        path = [self.skeleton.joints[index] for index in self._path(joint)]
        return joint.startswith("left_") or any(left in path for left in lefts)

    @cached_property
    def hangs(self) -> Float[Tensor, "bones 3"]:
        """Axis of each bone's carried frame that lies along the bone: -z for limbs, the rest direction otherwise."""
        limb = torch.tensor(self.is_limb)[:, None]
        return torch.where(limb, torch.tensor(_DOWN, dtype=torch.float64), self.rest_directions)

    @cached_property
    def carried_constants(self) -> Float[Tensor, "bones 3 3"]:
        """The part of each bone's carried frame that does not depend on the pose.

        It rotates the frame's axis along the bone to the rest direction, then makes the first reflection of
        `direction.swing`; the second reflection depends on the pose.
        """
        rest, hangs = self.rest_directions.T, self.hangs.T
        axes = torch.eye(3, dtype=torch.float64)[:, :, None].expand(3, 3, rest.shape[1])
        rotated = swing(axes, hangs[:, None], rest[:, None])
        return reflect(rotated, rest[:, None]).permute(2, 0, 1)

    @cached_property
    def chains(self) -> Float[Tensor, "joints bones"]:
        """1 where a bone lies between the root and a joint."""
        chains = torch.zeros(len(self.skeleton), len(self.parents))
        chains[list(self.joints_of_bones)] = self.subtree.T.float()
        return chains
