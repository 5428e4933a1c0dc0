"""Biovision motion files (.bvh): a hierarchy of joints and their channels frame by frame.

Each joint rotates its children about axes that move with it; a joint without children ends in an "End Site", called
`<joint>_End` here. Joints other than the root that have position channels are put there instead of at their offset.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from evolift.posedata.errors import InputError
from evolift.posedata.importers.ancestors import with_ancestors
from evolift.posedata.importers.bvh_hierarchy import BvhJoint, hierarchy_joints, plain_bytes
from evolift.posedata.importers.euler_angles import matrix_product, rotation_from_euler
from evolift.posedata.importers.number_table import first_problem, read_numbers

_MOTION = re.compile(rb"\bMOTION\s+Frames\s*:?\s*(\d+)\s+Frame\s+Time\s*:?\s*(\S+)", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class BvhMotion:
    """A BVH file.

    Args:
        label: the file, for messages.
        joints: by name, parents before children.
        channels: number of columns of the motion.
        frame_time: seconds.
        lines: text of each frame.
        note: what is odd in the file and how it was taken.
    """

    label: str
    joints: dict[str, BvhJoint]
    channels: int
    frame_time: float
    lines: list[bytes]
    note: str | None = None

    def __len__(self) -> int:
        return len(self.lines)

    @property
    def root_offset(self) -> Float[np.ndarray, "3"]:
        """The part of the root's offset that its position channels add to, or replace: files do not say which."""
        root = next(joint for joint in self.joints.values() if joint.parent is None)
        return np.where([f"{axis}position" in root.channels for axis in "XYZ"], root.offset, 0.0)

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

    def values(self, rows: np.ndarray, needed: Sequence[int]) -> Float[np.ndarray, "frames channels"]:
        """Numbers of some frames.

        Args:
            rows: the frames.
            needed: channels that must be finite; others, of fingers for example, may be nan.

        Raises:
            InputError: a frame has not as many numbers as there are channels, or a needed one is not finite.
        """
        lines = [self.lines[row] for row in rows]
        numbers = read_numbers(lines, self.channels, allow_nan=True)
        if numbers is None:
            row, problem = first_problem(lines, self.channels, allow_nan=True)
            raise InputError(f"{self.label}, frame {rows[row] + 1}: {problem}")
        columns = np.array(needed, int)
        strange = np.argwhere(~np.isfinite(numbers[:, columns]))
        if len(strange):
            row, column = int(strange[0][0]), int(columns[strange[0][1]])
            word = lines[row].split()[column].decode("ascii", "replace")
            joint, channel = self._channel(column)
            raise InputError(
                f"{self.label}, frame {rows[row] + 1}: {word!r} is not a finite number ({channel} of {joint}): export it again without that frame"
            )
        return numbers

    def _channel(self, column: int) -> tuple[str, str]:
        return next(
            (joint.name, joint.channels[column - joint.first_channel])
            for joint in self.joints.values()
            if 0 <= column - joint.first_channel < len(joint.channels)
        )


def parse_bvh(data: bytes, label: str) -> BvhMotion:
    """Read a BVH file.

    Args:
        data: its bytes.
        label: what to call it in messages.

    Raises:
        InputError: it is not a whole and consistent BVH file.
    """
    try:
        data = plain_bytes(data)
    except UnicodeDecodeError:
        raise InputError(f"{label} is cut off within a character: download it again") from None
    header = _MOTION.search(data)
    if header is None:
        raise InputError(f"{label} is not a BVH file: it has no MOTION with Frames and Frame Time")
    joints: dict[str, BvhJoint] = {}
    channels = 0
    try:
        for joint in hierarchy_joints(_text(data[: header.start()])):
            if joint.name in joints:
                raise InputError(f"two joints are called {joint.name!r}")
            joints[joint.name] = replace(joint, first_channel=channels)
            channels += len(joint.channels)
        if not joints:
            raise InputError("it has no joints")
    except InputError as error:
        raise InputError(f"{label} is not a sound BVH file: {error}") from None
    except (StopIteration, RuntimeError, ValueError):
        raise InputError(
            f"{label} is not a sound BVH file: its hierarchy is damaged: download it again"
        ) from None
    frame_time = _positive(header[2], label)
    lines = [line for line in data[header.end() :].splitlines() if line.strip()]
    whole = _without_cut_frame(lines, channels)
    if not whole:
        raise InputError(f"{label} holds no frames: download it again")
    return BvhMotion(
        label, joints, channels, frame_time, whole, _note(int(header[1]), len(lines), len(whole))
    )


def _text(data: bytes) -> str:
    """Names are UTF-8, or in an older code page, of which every byte is taken for a letter."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _without_cut_frame(lines: list[bytes], channels: int) -> list[bytes]:
    """Without a last line that has fewer numbers than there are channels: the file is cut off there."""
    return lines[:-1] if len(lines) > 1 and len(lines[-1].split()) < channels else lines


def _note(declared: int, held: int, whole: int) -> str | None:
    if declared == held == whole:
        return None
    cut = ", the last of them cut off" if whole < held else ""
    doubt = ": it may be cut off" if whole < declared else ""
    return f"it declares {declared} frames and holds {held}{cut}, of which {whole} are taken{doubt}"


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


def moved_joints(
    motion: BvhMotion, rows: np.ndarray, names: Sequence[str], oriented: Sequence[str] | None = None
) -> tuple[dict[str, Float[np.ndarray, "frames 3"]], dict[str, Float[np.ndarray, "frames 3 3"]]]:
    """Where joints are and how they are rotated, by forward kinematics over all frames at once.

    Args:
        motion: the file.
        rows: of its frames.
        names: wanted joints; their ancestors are computed too.
        oriented: those of them whose rotation is wanted as well; None are all.

    Returns:
        Positions in the axes and the unit of the file, and rotations from the rest pose, whose axes are the file's.

    Raises:
        InputError: the file lacks a joint, or a number is damaged.
    """
    oriented = names if oriented is None else oriented
    needed = _with_ancestors(motion, names)
    rotating = {motion.joints[name].parent for name in needed} | set(oriented)
    values = motion.values(rows, _channels_of(motion, needed, rotating))
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
    return {name: positions[name] for name in names}, {name: rotations[name] for name in oriented}


def rest_positions(motion: BvhMotion) -> dict[str, Float[np.ndarray, "3"]]:
    """Where joints are when nothing is rotated, from the root, in the file's axes and unit."""
    places: dict[str, np.ndarray] = {}
    for name, joint in motion.joints.items():
        places[name] = np.zeros(3) if joint.parent is None else places[joint.parent] + joint.offset
    return places


def weighted(
    places: Mapping[str, Float[np.ndarray, "*frames 3"]], weights: Mapping[str, float]
) -> Float[np.ndarray, "*frames 3"]:
    """The mean of some places by their weights."""
    parts = [weight * places[name] for name, weight in weights.items()]
    total: np.ndarray = sum(parts[1:], parts[0])
    return total


def _with_ancestors(motion: BvhMotion, names: Sequence[str]) -> list[str]:
    for wanted in names:
        if wanted not in motion.joints:
            raise InputError(
                f"{motion.label} has no joint {wanted!r}: choose another table of names (it has {', '.join(motion.joints)})"
            )
    return with_ancestors(names, {name: joint.parent for name, joint in motion.joints.items()})


def _channels_of(motion: BvhMotion, needed: Sequence[str], rotating: set[str | None]) -> list[int]:
    """Columns of the positions of all needed joints and of the rotations of those that turn others."""
    return [
        joint.first_channel + place
        for joint in (motion.joints[name] for name in needed)
        for place, channel in enumerate(joint.channels)
        if channel.endswith("position") or joint.name in rotating
    ]


def _shift(joint: BvhJoint, columns: Float[np.ndarray, "frames channels"]) -> Float[np.ndarray, "*frames 3"]:
    """Position in the parent's axes: the offset; position channels replace it, those of the root add to it.

    Channels of a joint within the body that are 0 in all frames were not written: its bone has a length all the same.
    """
    placed = [axis for axis in "XYZ" if f"{axis}position" in joint.channels]
    places = [joint.channels.index(f"{axis}position") for axis in placed]
    if not placed or (joint.parent is not None and not columns[:, places].any()):
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
