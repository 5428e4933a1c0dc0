"""Joint angles of poses for the page of `evolift predict`: from where, which way, and how far healthy adults get that way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from evolift.drawing.pose_page import Reading
from evolift.evolution.kinematics.head_frame import HeadFrame, head_frame, nose_and_head
from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.kinematics.local_bones import LocalBones, to_local
from evolift.evolution.limits.anatomical_limits import BALL_TOLERANCE, HINGE_TOLERANCE, AnatomicalLimits
from evolift.evolution.limits.ranges_of_motion import HEAD_BEND, HEAD_ROTATION, TRUNK_TWIST
from evolift.evolution.limits.reach import Reach, reach
from evolift.posedata.errors import InputError
from evolift.posedata.skeleton import Skeleton

NOTE = (
    "Angles are measured in the body, not against the floor: each from the pose named below it, where it is 0°. The range tells how "
    "far healthy adults get that way (clinical literature, with its tolerances of 10 and 15°); what is beyond it may be the "
    "person, or an error of the prediction."
)
_MIN_PART = 0.38
"""A way is called by each of the directions that it goes to so far at least: within 68° of it."""
_MIN_ANGLE = 5.0
"""A bone that leaves its neutral pose by less, degrees, goes nowhere."""

Vector = tuple[float, float, float]
Ways = tuple[tuple[Vector, str, str], ...]
"""(direction of a right bone, what going along it is called, and against it)."""
_UP, _DOWN, _RIGHT = (0.0, 0.0, 1.0), (0.0, 0.0, -1.0), (1.0, 0.0, 0.0)
_FORWARD = ((0.0, 1.0, 0.0), "forward", "backward")
_SIDES: Ways = (_FORWARD, (_RIGHT, "to the right", "to the left"))
_OUTWARD: Ways = (_FORWARD, (_RIGHT, "outward", "inward"))


@dataclass(frozen=True)
class _Read:
    """How a bone is read: its name, what its neutral pose is called, that direction of a right bone, and the ways from it."""

    name: str
    zero: str
    neutral: Vector
    ways: Ways = ()


# End of the bone, without its side. Local frames are x right, y forward, z up (`evolift.evolution.kinematics.local_bones`).
_BONES = {
    "spine": _Read("lower trunk", "square to the hips", _UP, _SIDES),
    "thorax": _Read("upper trunk", "straight on the lower trunk", _UP, _SIDES),
    "neck": _Read("neck", "straight on the trunk", _UP, _SIDES),
    "head": _Read("head", "straight on the neck", _UP, _SIDES),
    "shoulder": _Read("collar bone", "square to the trunk", _RIGHT, (_FORWARD, (_UP, "up", "down"))),
    "elbow": _Read("upper arm", "hanging along the trunk", _DOWN, _OUTWARD),
    "wrist": _Read("elbow, bent", "straight", _DOWN),
    "knee": _Read("thigh", "straight down from the trunk", _DOWN, _OUTWARD),
    "ankle": _Read("knee, bent", "straight", _DOWN),
}
_HEAD = _Read("head, tilted", "straight on the trunk", _UP, _SIDES)
"""Of a head with a nose: the line from the thorax to its top."""


def joint_readings(skeleton: Skeleton) -> Callable[[np.ndarray], Sequence[Sequence[Reading]]] | None:
    """What reads the joint angles of poses of a skeleton.

    Returns:
        A function of root-relative joints (rows, joints, 3) in mm, or None for skeletons that are only drawing trees. An angle of
        an unlabelled joint is left out.
    """
    try:
        tree = KinematicTree(skeleton)
    except InputError:
        return None
    limits = AnatomicalLimits(tree)

    def read(joints: np.ndarray) -> list[list[Reading]]:
        local = to_local(tree, torch.from_numpy(joints))
        found = _balls(tree, limits, local) | _hinges(tree, limits, local)
        columns = [*_trunk_and_head(tree, local, found), *_limbs(tree, found)]
        return [[one for one in row if one is not None] for row in zip(*columns, strict=True)]

    return read


Column = list[Reading | None]
"""One angle in all poses; None where it is not known or not worth a line."""


def _trunk_and_head(tree: KinematicTree, local: LocalBones, found: dict[int, Column]) -> Iterator[Column]:
    yield from (found[bone] for bone in tree.trunk if bone in found)
    across = local.upper[:, :2, 0]  # the line of the shoulders; square to it the chest looks
    chest = torch.stack([-across[:, 1], across[:, 0]])
    yield _turned("shoulders, turned", "in line with the hips", chest, TRUNK_TWIST + BALL_TOLERANCE)
    with_nose = nose_and_head(tree)
    yield from (found[bone] for bone in found if _part(tree.names[bone]) in ("neck", "head"))
    if with_nose is not None:
        frame = head_frame(tree, local)
        face = frame.level_face
        yield _turned("head, turned", "facing ahead", face[:2], HEAD_ROTATION + BALL_TOLERANCE)
        yield _bend(frame)


def _limbs(tree: KinematicTree, found: dict[int, Column]) -> Iterator[Column]:
    order = list(_BONES)
    bones = [bone for bone in found if tree.names[bone] != _part(tree.names[bone])]  # those of a side
    for bone in sorted(bones, key=lambda bone: order.index(_part(tree.names[bone]))):
        yield found[bone]


def _balls(tree: KinematicTree, limits: AnatomicalLimits, local: LocalBones) -> dict[int, Column]:
    """Bone -> its angles. A nose is read as the rotation of the head."""
    with_nose = nose_and_head(tree)
    bones = limits.ball_bones
    directions = local.directions.permute(2, 1, 0)[:, bones]
    parts = [_part(tree.names[bone]) for bone in bones]
    reads = [_BONES.get(part) for part in parts]
    if with_nose is not None:
        directions[:, bones.index(with_nose[1])] = head_frame(tree, local).up
        reads[bones.index(with_nose[1])] = _HEAD
    neutral = _neutral(tree, bones, reads)
    found = reach(directions, neutral, limits.in_ball_ranges)
    return {
        bone: _column(tree, bone, read, found, place)
        for place, (bone, read) in enumerate(zip(bones, reads, strict=True))
        if read is not None
    }


def _hinges(tree: KinematicTree, limits: AnatomicalLimits, local: LocalBones) -> dict[int, Column]:
    bones = limits.hinge_bones
    planes = local.directions.permute(2, 1, 0)
    carriers = planes[:, [tree.parents[bone] for bone in bones]]

    def is_inside(directions: Float[Tensor, "3 hinges m"]) -> Tensor:
        each = directions.shape[-1] // carriers.shape[-1]
        return limits.in_hinge_ranges(directions, carriers.repeat_interleave(each, -1))

    reads = [_BONES.get(_part(tree.names[bone])) for bone in bones]
    found = reach(planes[:, bones], _neutral(tree, bones, reads), is_inside)
    return {
        bone: _column(tree, bone, read, found, place)
        for place, (bone, read) in enumerate(zip(bones, reads, strict=True))
        if read is not None
    }


def _neutral(
    tree: KinematicTree, bones: Sequence[int], reads: Sequence[_Read | None]
) -> Float[Tensor, "3 bones"]:
    rows = [
        np.multiply((_side(tree, bone), 1, 1), _DOWN if read is None else read.neutral)
        for bone, read in zip(bones, reads, strict=True)
    ]
    return torch.tensor(np.array(rows), dtype=torch.float32).T


def _column(tree: KinematicTree, bone: int, read: _Read, found: Reach, place: int) -> Column:
    """The readings of a bone; a hinge that cannot be bent far that way is bent out of its plane."""
    name = tree.names[bone]
    side = name[: -len(_part(name))].replace("_", " ")
    column: Column = []
    values = (found.angle[place].tolist(), found.high[place].tolist(), found.way[:, place].T.tolist())
    for angle, high, way in zip(*values, strict=True):
        if read.ways:
            words = _words(np.multiply((_side(tree, bone), 1, 1), way), read.ways)
        else:
            words = "" if high >= 90 else "out of its plane"
        told = words if angle >= _MIN_ANGLE else ""
        reading = Reading(f"{side}{read.name}", angle, 0.0, high, zero=read.zero, way=told)
        column.append(reading if np.isfinite(angle) else None)
    return column


def _words(way: np.ndarray, ways: Ways) -> str:
    parts = [(float(way @ axis), along, against) for axis, along, against in ways]
    return " and ".join(
        along if part > 0 else against for part, along, against in parts if abs(part) >= _MIN_PART
    )


def _turned(name: str, zero: str, face: Float[Tensor, "2 n"], high: float) -> Column:
    """The readings of what turns about the trunk; `face` is where it looks, (right, forward) of the trunk."""
    angles = torch.rad2deg(torch.atan2(face[0], face[1])).tolist()
    return [
        Reading(
            name,
            abs(angle),
            0.0,
            high,
            zero=zero,
            way="" if abs(angle) < _MIN_ANGLE else "to the right" if angle > 0 else "to the left",
        )
        if np.isfinite(angle)
        else None
        for angle in angles
    ]


def _bend(frame: HeadFrame) -> Column:
    """The angle at the nose, which is no joint: told where no head has it."""
    low, high = HEAD_BEND[0] - HINGE_TOLERANCE, HEAD_BEND[1] + HINGE_TOLERANCE
    angles = torch.rad2deg(torch.arccos(frame.bend.clamp(-1, 1))).tolist()
    return [
        Reading("head, bent at the nose", angle, low, high, zero="nose in line with neck and head")
        if angle < low or angle > high
        else None
        for angle in angles
    ]


def _side(tree: KinematicTree, bone: int) -> int:
    return -1 if tree.is_left(bone) else 1


def _part(name: str) -> str:
    """A joint's name without `left_` or `right_`."""
    return name.removeprefix("left_").removeprefix("right_")
