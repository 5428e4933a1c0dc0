"""Poses as bones in local frames, and back.

A pose is: the place of its root, the orientation of its lower torso, the orientation of its upper torso relative
to that, and for every bone a length and a unit direction in a local frame. Rotating or exchanging a bone's local
direction carries everything below it along, which is what crossover, mutation and joint-angle limits need.

Frames (all right-handed, x to the person's right, y forward, z up; columns are the axes):

* **lower torso**: x along the hip line (left hip to right hip), z the first trunk bone (from the root) made
  perpendicular to it. Holds the hips, the thighs and the first trunk bone.
* **upper torso**: x along the shoulder line, z the last trunk bone (the one that ends where the shoulders
  branch off) made perpendicular to it. Holds the shoulders, the upper arms, and the neck or the nose.
* **carried**: every other bone lives in the frame of its parent bone, carried along the parent by the minimal
  rotation (parallel transport on the great circle) from the parent's *rest direction* to its direction. The frame of
  a limb's bone is named as if the limb hung down: whatever the pose, a straight elbow or knee is -z.

Where frames are singular: a torso frame when its two lines are parallel or have no length; a carried frame when the
parent points exactly against its rest direction. Rest directions are chosen so that this lies outside the body's range
of motion: for the upper arm backward and inward behind the back, for the thigh backward, upward and inward, for
forearm and shin folded flat onto the limb above, for trunk, neck and head straight down. The direction of a
*straight* limb is no singularity: the frame there is continuous, and so is the local direction. At a singular
pose a fixed fallback axis is used, results stay finite, and torso frames still round-trip.

Reference: parallel transport frames, Hanson & Ma 1995; torso frames as in Akhter & Black 2015, section 3, whose
fore-limb frame jumps by 180 degrees when the upper limb passes the torso axis - this one does not.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cache

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from evolift.evolution.kinematics.direction import apply_matrix, apply_transpose, cross, dot, reflect, unit
from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.posedata.errors import InputError

_UP, _RIGHT = (0.0, 0.0, 1.0), (1.0, 0.0, 0.0)


@dataclass(frozen=True, eq=False)
class LocalBones:
    """Poses in local frames; `bones` counts and orders bones as `KinematicTree.names` does.

    Args:
        root: place of the root joint, mm.
        lower: axes of the lower torso in the world (or camera), as columns.
        upper: axes of the upper torso in the frame carried up the trunk, as columns.
        directions: unit vectors, each in its bone's local frame.
        lengths: mm.
    """

    root: Float[Tensor, "*batch 3"]
    lower: Float[Tensor, "*batch 3 3"]
    upper: Float[Tensor, "*batch 3 3"]
    directions: Float[Tensor, "*batch bones 3"]
    lengths: Float[Tensor, "*batch bones"]

    def __len__(self) -> int:
        return len(self.root)

    def __getitem__(self, rows: Tensor | slice) -> LocalBones:
        """The local bones of the chosen poses."""
        return LocalBones(
            self.root[rows], self.lower[rows], self.upper[rows], self.directions[rows], self.lengths[rows]
        )

    def to(self, device: torch.device | str) -> LocalBones:
        """The local bones on a device."""
        return LocalBones(*(getattr(self, name.name).to(device) for name in fields(self)))

    def with_values(self, **values: Tensor) -> LocalBones:
        """A copy of the local bones with the named tensors replaced."""
        return replace(self, **values)


def to_local(tree: KinematicTree, joints: Float[Tensor, "*batch joints 3"]) -> LocalBones:
    """Joints as local bones; `to_joints` is the inverse.

    Args:
        joints: mm, in the order of the skeleton, world or camera.

    Raises:
        InputError: the number of joints is not the skeleton's.
    """
    if joints.ndim < 2 or joints.shape[-2:] != (len(tree.skeleton), 3):
        raise InputError(
            f"joints of {tree.skeleton.name} must have shape (..., {len(tree.skeleton)}, 3), not {tuple(joints.shape)}"
        )
    batch = joints.shape[:-2]
    planes = joints.reshape(-1, *joints.shape[-2:]).permute(2, 1, 0).contiguous()
    starts = tuple(tree.skeleton.parent_indices[joint] for joint in tree.joints_of_bones)
    vectors = picked(planes, tree.joints_of_bones) - picked(planes, starts)
    fallback = tree.rest_directions.to(planes).T[:, :, None]
    world, lengths = unit(vectors, fallback)
    lower = _torso_frame(tree, planes, tree.hips, world[:, tree.trunk[0]])
    upper = _torso_frame(tree, planes, tree.shoulders, world[:, tree.trunk[-1]])
    local = _into_torso_frames(tree, world, lower, upper)
    directions = _carried_back(tree, local, tree.carriers)
    columns = apply_transpose(lower[:, :, None], upper)
    relative = _carry_columns(tree, columns, directions, back=True)
    return LocalBones(
        planes[:, tree.skeleton.root].T.reshape(*batch, 3),
        lower.permute(2, 0, 1).reshape(*batch, 3, 3),
        relative.permute(2, 0, 1).reshape(*batch, 3, 3),
        directions.permute(2, 1, 0).reshape(*batch, -1, 3),
        lengths.T.reshape(*batch, -1),
    )


def to_joints(tree: KinematicTree, local: LocalBones) -> Float[Tensor, "*batch joints 3"]:
    """Joints of local bones, mm; in memory pose by pose within each coordinate (`contiguous_joints` makes them one pose after the other)."""
    batch = local.root.shape[:-1]
    directions = local.directions.reshape(-1, *local.directions.shape[-2:]).permute(2, 1, 0)
    lower = local.lower.reshape(-1, 3, 3).permute(1, 2, 0)
    columns = _carry_columns(tree, local.upper.reshape(-1, 3, 3).permute(1, 2, 0), directions, back=False)
    upper = apply_matrix(lower[:, :, None], columns)
    world = _out_of_torso_frames(tree, _carried_out(tree, directions), lower, upper)
    offsets = world * local.lengths.reshape(-1, local.lengths.shape[-1]).T
    # One product with the 0/1 matrix of ancestors sums each joint's chain of bones relative to the root; adding
    # the root's place last keeps the rounding of large world coordinates out of the chain.
    planes = tree.chains.to(offsets) @ offsets + local.root.reshape(-1, 3).T[:, None]
    return planes.permute(2, 1, 0).reshape(*batch, len(tree.skeleton), 3)


def contiguous_joints(joints: Float[Tensor, "n joints 3"]) -> Float[Tensor, "n joints 3"]:
    """The same joints one pose after the other in memory, as files and arrays have them.

    For what `to_joints` gives this is several times as fast as `Tensor.contiguous`, which goes through three axes number by number:
    the coordinates are brought next to each other a row at a time, then one matrix is transposed in blocks.
    """
    rows = joints.permute(1, 2, 0).contiguous().flatten(0, 1)
    return rows.T.contiguous().reshape(joints.shape)


def head_in_torso_frame(
    tree: KinematicTree, local: LocalBones, nose: int, head: int
) -> tuple[Float[Tensor, "3 n"], Float[Tensor, "3 n"]]:
    """Directions of the nose bone and of the head bone that it carries, both in the frame of the upper torso.

    Args:
        nose, head: numbers of the bones.
    """
    directions = local.directions.reshape(-1, *local.directions.shape[-2:]).permute(2, 1, 0)
    along = directions[:, nose : nose + 1]
    return along[:, 0], _carry(tree, directions[:, head : head + 1], (nose,), along, back=False)[:, 0]


def _torso_frame(
    tree: KinematicTree, planes: Float[Tensor, "3 joints n"], pair: tuple[str, str], up: Float[Tensor, "3 n"]
) -> Float[Tensor, "3 3 n"]:
    left, right = (tree.skeleton.index(joint) for joint in pair)
    fallback = [torch.tensor(axis).to(planes)[:, None] for axis in (_RIGHT, (0.0, 1.0, 0.0), _UP)]
    across, _ = unit(planes[:, right] - planes[:, left], fallback[0])
    # When the lines are parallel, the world's vertical or else its forward axis stands in for the trunk.
    spare = torch.where(across[2].abs() > 0.9, fallback[1], fallback[2])
    upward, _ = unit(up - across * dot(up, across), spare - across * dot(spare, across))
    # A second pass makes the axes perpendicular to rounding error even when the lines are nearly parallel.
    upward, _ = unit(upward - across * dot(upward, across), upward)
    return torch.stack([across, cross(upward, across), upward], 1)


def _into_torso_frames(
    tree: KinematicTree,
    world: Float[Tensor, "3 bones n"],
    lower: Float[Tensor, "3 3 n"],
    upper: Float[Tensor, "3 3 n"],
) -> Float[Tensor, "3 bones n"]:
    local = torch.empty_like(world)
    for frame, bones in ((lower, _bones_of(tree, False)), (upper, _bones_of(tree, True))):
        put(local, bones, apply_transpose(frame[:, :, None], picked(world, bones)))
    return local


def _out_of_torso_frames(
    tree: KinematicTree,
    local: Float[Tensor, "3 bones n"],
    lower: Float[Tensor, "3 3 n"],
    upper: Float[Tensor, "3 3 n"],
) -> Float[Tensor, "3 bones n"]:
    world = torch.empty_like(local)
    for frame, bones in ((lower, _bones_of(tree, False)), (upper, _bones_of(tree, True))):
        put(world, bones, apply_matrix(frame[:, :, None], picked(local, bones)))
    return world


def _bones_of(tree: KinematicTree, upper: bool) -> tuple[int, ...]:
    return tuple(bone for bone, above in enumerate(tree.in_upper) if above == upper)


def picked(planes: Float[Tensor, "3 bones n"], bones: tuple[int, ...]) -> Float[Tensor, "3 k n"]:
    """Planes of some bones or joints, in their order, not to be changed: those that are evenly spaced are not copied."""
    span = _span(bones)
    return planes.index_select(1, numbers(bones, planes.device)) if span is None else planes[:, span]


def put(planes: Float[Tensor, "3 bones n"], bones: tuple[int, ...], values: Float[Tensor, "3 k n"]) -> None:
    """Set the planes of some bones, in place."""
    span = _span(bones)
    if span is None:
        planes.index_copy_(1, numbers(bones, planes.device), values)
    else:
        planes[:, span] = values


@cache
def _span(numbers: tuple[int, ...]) -> slice | None:
    """Evenly spaced, rising numbers as a slice."""
    if not numbers:
        return None
    step = numbers[1] - numbers[0] if len(numbers) > 1 else 1
    if step < 1 or numbers != tuple(range(numbers[0], numbers[-1] + 1, step)):
        return None
    return slice(numbers[0], numbers[-1] + 1, step)


@cache
def numbers(values: tuple[int, ...], device: torch.device) -> Int64[Tensor, "k"]:
    """Numbers of bones or joints as an index on a device, made once."""
    return torch.tensor(values, dtype=torch.int64).to(device)


def _carried_back(
    tree: KinematicTree, vectors: Float[Tensor, "3 bones n"], chains: tuple[tuple[int, ...], ...]
) -> Float[Tensor, "3 bones n"]:
    """Directions in their bones' own frames from directions in the torso frames, whose memory they take."""
    for level in range(max(map(len, chains))):
        bones = tuple(bone for bone, chain in enumerate(chains) if len(chain) > level)
        carriers = tuple(chains[bone][level] for bone in bones)
        # The carrier's own direction is final by now: its chain is shorter than that of what it carries.
        along = picked(vectors, carriers)
        put(vectors, bones, _carry(tree, picked(vectors, bones), carriers, along, back=True))
    return vectors


def _carried_out(tree: KinematicTree, directions: Float[Tensor, "3 bones n"]) -> Float[Tensor, "3 bones n"]:
    """Directions in the torso frame from directions in carried frames: the inverse of `_carried_back`."""
    vectors = directions.clone()
    for level in reversed(range(max(map(len, tree.carriers)))):
        bones = tuple(bone for bone, chain in enumerate(tree.carriers) if len(chain) > level)
        carriers = tuple(tree.carriers[bone][level] for bone in bones)
        along = picked(directions, carriers)
        put(vectors, bones, _carry(tree, picked(vectors, bones), carriers, along, back=False))
    return vectors


def _carry_columns(
    tree: KinematicTree,
    columns: Float[Tensor, "3 3 n"],
    directions: Float[Tensor, "3 bones n"],
    *,
    back: bool,
) -> Float[Tensor, "3 3 n"]:
    for carrier in tree.trunk if back else reversed(tree.trunk):
        columns = _carry(tree, columns, (carrier,), directions[:, carrier : carrier + 1], back=back)
    return columns


def _carry(
    tree: KinematicTree,
    vectors: Float[Tensor, "3 k n"],
    carriers: tuple[int, ...],
    along: Float[Tensor, "3 #k n"],
    *,
    back: bool,
) -> Float[Tensor, "3 k n"]:
    """Between the frame of a carrier bone and the frame that it carries."""
    rest, constant = _carrier_constants(tree, carriers, vectors.dtype, vectors.device)
    if back:
        return apply_transpose(constant, reflect(vectors, rest + along))
    return reflect(apply_matrix(constant, vectors), rest + along)


@cache
def _carrier_constants(
    tree: KinematicTree, carriers: tuple[int, ...], dtype: torch.dtype, device: torch.device
) -> tuple[Float[Tensor, "3 k 1"], Float[Tensor, "3 3 k 1"]]:
    """Rest directions and constant parts of the frames of carriers, made once: they are small, but asked for at every bone."""
    rest, constant = (
        values[list(carriers)].to(device, dtype) for values in (tree.rest_directions, tree.carried_constants)
    )
    return rest.T[:, :, None], constant.permute(1, 2, 0)[..., None]
