"""Biovision motion files (.bvh): a hierarchy of joints and their channels frame by frame.

Each joint rotates its children about axes that move with it; a joint without children ends in an "End Site", called
`<joint>_End` here. Joints other than the root that have position channels are put there instead of at their offset.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from evolift.posedata.errors import InputError
from evolift.posedata.importers.ancestors import with_ancestors
from evolift.posedata.importers.euler_angles import matrix_product, rotation_from_euler
from evolift.posedata.importers.number_table import first_problem, read_numbers

_CHANNELS = {f"{axis}{kind}" for axis in "XYZ" for kind in ("position", "rotation")}
_MOTION = re.compile(rb"\bMOTION\s+Frames\s*:\s*(\d+)\s+Frame\s+Time\s*:\s*(\S+)", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class BvhJoint:
    """A joint of the hierarchy.

    Args:
        name: unique in the file.
        parent: name, None for the root.
        offset: from the parent, in the parent's axes and the file's unit.
        channels: for example ("Zrotation", "Yrotation", "Xrotation").
        first_channel: column of its first channel.
    """

    name: str
    parent: str | None
    offset: Float[np.ndarray, "3"]
    channels: tuple[str, ...]
    first_channel: int


@dataclass(frozen=True, eq=False)
class BvhMotion:
    """A BVH file.

    Args:
        label: the file, for messages.
        joints: by name, parents before children.
        channels: number of columns of the motion.
        frame_time: seconds.
        lines: text of each frame.
    """

    label: str
    joints: dict[str, BvhJoint]
    channels: int
    frame_time: float
    lines: list[bytes]

    def __len__(self) -> int:
        return len(self.lines)

    def with_offsets(self, offsets: dict[str, Float[np.ndarray, "3"]]) -> BvhMotion:
        """The same motion of a hierarchy with some other offsets."""
        joints = {
            name: replace(joint, offset=offsets.get(name, joint.offset))
            for name, joint in self.joints.items()
        }
        return replace(self, joints=joints)

    def renamed(self, name_of: Callable[[str], str]) -> BvhMotion:
        """The same motion with other names of joints.

        Raises:
            InputError: two joints get the same name.
        """
        joints = {
            name_of(name): replace(
                joint, name=name_of(name), parent=None if joint.parent is None else name_of(joint.parent)
            )
            for name, joint in self.joints.items()
        }
        if len(joints) < len(self.joints):
            raise InputError(
                f"{self.label} has joints whose names differ in nothing but their prefix: choose other names"
            )
        return replace(self, joints=joints)

    def values(self, rows: np.ndarray) -> Float[np.ndarray, "frames channels"]:
        """Numbers of some frames.

        Raises:
            InputError: a frame has not as many finite numbers as there are channels.
        """
        lines = [self.lines[row] for row in rows]
        numbers = read_numbers(lines, self.channels)
        if numbers is None:
            row, problem = first_problem(lines, self.channels)
            raise InputError(f"{self.label}, frame {rows[row] + 1}: {problem}")
        return numbers


def parse_bvh(data: bytes, label: str) -> BvhMotion:
    """Read a BVH file.

    Args:
        data: its bytes.
        label: what to call it in messages.

    Raises:
        InputError: it is not a whole and consistent BVH file.
    """
    header = _MOTION.search(data)
    if header is None:
        raise InputError(f"{label} is not a BVH file: it has no MOTION with Frames and Frame Time")
    joints: dict[str, BvhJoint] = {}
    channels = 0
    try:
        words = iter(data[: header.start()].decode("utf-8").split())
        for joint in _hierarchy(words):
            if joint.name in joints:
                raise InputError(f"two joints are called {joint.name!r}")
            joints[joint.name] = replace(joint, first_channel=channels)
            channels += len(joint.channels)
    except InputError as error:
        raise InputError(f"{label} is not a sound BVH file: {error}") from None
    except (StopIteration, RuntimeError, ValueError):
        raise InputError(
            f"{label} is not a sound BVH file: its hierarchy is damaged: download it again"
        ) from None
    frames, frame_time = int(header[1]), _positive(header[2], label)
    lines = [line for line in data[header.end() :].splitlines() if line.strip()]
    if len(lines) != frames or frames == 0:
        raise InputError(f"{label} declares {frames} frames but holds {len(lines)}: download it again")
    return BvhMotion(label, joints, channels, frame_time, lines)


def _positive(word: bytes, label: str) -> float:
    try:
        value = float(word)
    except ValueError:
        value = np.nan
    if not (np.isfinite(value) and value > 0):
        raise InputError(
            f"{label}: its frame time {word.decode('ascii', 'replace')!r} is not a positive number"
        )
    return value


def _hierarchy(words: Iterator[str]) -> Iterator[BvhJoint]:
    """Joints in the order of the file; a small stack machine, so that deep files need no deep recursion."""
    _expect(words, "HIERARCHY")
    stack: list[str] = []
    for word in words:
        if word == "}":
            if not stack:
                raise InputError("it closes a bracket that was not opened")
            stack.pop()
            continue
        if word not in ("ROOT", "JOINT", "End"):
            raise InputError(f"{word!r} stands where a joint should")
        if (word == "ROOT") != (not stack):
            raise InputError(f"{word!r} stands at the wrong depth")
        name = next(words)
        if word == "End":
            name = f"{stack[-1]}_End"
        parent = stack[-1] if stack else None
        _expect(words, "{")
        _expect(words, "OFFSET")
        offset = np.array([float(next(words)) for _ in range(3)])
        if not np.isfinite(offset).all():
            raise InputError(f"the offset of {name!r} is not finite")
        channels: tuple[str, ...] = ()
        if word != "End":
            _expect(words, "CHANNELS")
            channels = tuple(next(words) for _ in range(int(next(words))))
            if not set(channels) <= _CHANNELS or len(set(channels)) != len(channels):
                raise InputError(f"the channels of {name!r} are {' '.join(channels)!r}")
        stack.append(name)
        yield BvhJoint(name, parent, offset, channels, 0)
    if stack:
        raise InputError(f"the bracket of {stack[-1]!r} is not closed")


def _expect(words: Iterator[str], wanted: str) -> None:
    word = next(words)
    if word != wanted:
        raise InputError(f"{word!r} stands where {wanted!r} should")


def moved_joints(
    motion: BvhMotion, rows: np.ndarray, names: Sequence[str]
) -> tuple[dict[str, Float[np.ndarray, "frames 3"]], dict[str, Float[np.ndarray, "frames 3 3"]]]:
    """Where joints are and how they are rotated, by forward kinematics over all frames at once.

    Args:
        motion: the file.
        rows: of its frames.
        names: wanted joints; their ancestors are computed too.

    Returns:
        Positions in the axes and the unit of the file, and rotations from the rest pose, whose axes are the file's.

    Raises:
        InputError: the file lacks a joint, or a number is damaged.
    """
    needed = _with_ancestors(motion, names)
    rotating = {motion.joints[name].parent for name in needed} | set(names)
    values = motion.values(rows)
    rotations: dict[str, np.ndarray] = {}
    positions: dict[str, np.ndarray] = {}
    for name in needed:
        joint = motion.joints[name]
        columns = values[:, joint.first_channel : joint.first_channel + len(joint.channels)]
        shift = _shift(joint, columns)
        if joint.parent is None:
            positions[name] = np.broadcast_to(shift, (len(rows), 3))
        else:
            positions[name] = (
                positions[joint.parent]
                + matrix_product(rotations[joint.parent], np.atleast_2d(shift)[..., None])[..., 0]
            )
        if name in rotating:
            local = _rotation(joint, columns)
            rotations[name] = (
                local if joint.parent is None else matrix_product(rotations[joint.parent], local)
            )
    return {name: positions[name] for name in names}, {name: rotations[name] for name in names}


def rest_positions(motion: BvhMotion) -> dict[str, Float[np.ndarray, "3"]]:
    """Where joints are when nothing is rotated, from the root, in the file's axes and unit."""
    places: dict[str, np.ndarray] = {}
    for name, joint in motion.joints.items():
        places[name] = np.zeros(3) if joint.parent is None else places[joint.parent] + joint.offset
    return places


def _with_ancestors(motion: BvhMotion, names: Sequence[str]) -> list[str]:
    for wanted in names:
        if wanted not in motion.joints:
            raise InputError(
                f"{motion.label} has no joint {wanted!r}: choose another table of names (it has {', '.join(motion.joints)})"
            )
    return with_ancestors(names, {name: joint.parent for name, joint in motion.joints.items()})


def _shift(joint: BvhJoint, columns: Float[np.ndarray, "frames channels"]) -> Float[np.ndarray, "*frames 3"]:
    """Position in the parent's axes: the offset; position channels replace it, those of the root add to it."""
    placed = [axis for axis in "XYZ" if f"{axis}position" in joint.channels]
    if not placed:
        return joint.offset
    shift = np.repeat(joint.offset[None], len(columns), 0)
    for axis in placed:
        place, values = "XYZ".index(axis), columns[:, joint.channels.index(f"{axis}position")]
        shift[:, place] = shift[:, place] + values if joint.parent is None else values
    return shift


def _rotation(
    joint: BvhJoint, columns: Float[np.ndarray, "frames channels"]
) -> Float[np.ndarray, "frames 3 3"]:
    rotations = [channel for channel in joint.channels if channel.endswith("rotation")]
    angles = np.radians(columns[:, [joint.channels.index(channel) for channel in rotations]])
    # About moving axes in the order of the file, so about fixed axes in the opposite order.
    return rotation_from_euler(
        angles[:, ::-1], "".join(channel[0].lower() for channel in reversed(rotations))
    )
