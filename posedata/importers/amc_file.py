"""Acclaim motion files (.amc): per frame the channels of every bone of an ASF skeleton, and where they put it.

Every frame has the lines of the first, so a file is cut into lines once, and text becomes numbers only for the
frames and bones that are asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64

from evolift.posedata.errors import InputError
from evolift.posedata.importers.ancestors import with_ancestors
from evolift.posedata.importers.asf_file import ROOT_BONE, AsfSkeleton, Bone
from evolift.posedata.importers.euler_angles import matrix_product, rotation_from_euler
from evolift.posedata.importers.number_table import first_problem, read_numbers


@dataclass(frozen=True, eq=False)
class AmcMotion:
    """Frames of an AMC file as text.

    Args:
        label: the file, for messages.
        numbers: frame numbers as the file has them.
        lines: of all frames; the first of each frame is its number.
        bones: bone -> how many channels it has, in the order of a frame's further lines.
    """

    label: str
    numbers: Int64[np.ndarray, "frames"]
    lines: list[bytes]
    bones: dict[str, int]

    def __len__(self) -> int:
        return len(self.numbers)

    def values(
        self, frames: np.ndarray, bones: Sequence[str]
    ) -> dict[str, Float[np.ndarray, "frames channels"]]:
        """Channels of some bones in some frames (row numbers), in the units of the file.

        Raises:
            InputError: a bone has too few channels, or a word is not a finite number.
        """
        period, order = len(self.bones) + 1, list(self.bones)
        starts = [period * frame for frame in frames.tolist()]
        parts = []
        for bone in bones:
            place, name = order.index(bone) + 1, len(bone)
            parts.append([self.lines[start + place][name:] for start in starts])
        rows = [b"".join(row) for row in zip(*parts, strict=True)]
        widths = [self.bones[bone] for bone in bones]
        numbers = read_numbers(rows, sum(widths))
        if numbers is None:
            row, problem = first_problem(rows, sum(widths))
            raise InputError(f"{self.label}, frame {self.numbers[frames[row]]}: {problem}")
        # A line too long and one too short may add up.
        for bone, width, lines in zip(bones, widths, parts, strict=True):
            if len(lines[0].split()) != width:
                raise InputError(f"{self.label}: bone {bone!r} has not {width} channels in every frame")
        return dict(zip(bones, np.split(numbers, np.cumsum(widths)[:-1], 1), strict=True))


def parse_amc(data: bytes, label: str, skeleton: AsfSkeleton) -> AmcMotion:
    """Read an AMC file.

    Args:
        data: its bytes.
        label: what to call it in messages.
        skeleton: of the same subject.

    Raises:
        InputError: it is not an AMC file, is truncated, or its bones are not those of the skeleton.
    """
    lines = _frame_lines(data, label)
    bones = _bones_of_first_frame(lines, label, skeleton)
    period = len(bones) + 1
    frames, rest = divmod(len(lines), period)
    whole = frames * period
    for place, bone in enumerate(bones, 1):
        begins = (f"{bone} ".encode(), f"{bone}\t".encode())
        is_bone = [line.startswith(begins) for line in lines[place:whole:period]]
        if not all(is_bone):
            raise InputError(
                f"{label}: its {is_bone.index(False) + 1}th frame has not the bones of the first, or is damaged"
            )
    if rest:
        raise InputError(f"{label}: it ends inside its {frames + 1}th frame: download it again")
    return AmcMotion(label, _frame_numbers(lines[:whole:period], label), lines, bones)


def _frame_lines(data: bytes, label: str) -> list[bytes]:
    lines = list(map(bytes.strip, data.split(b"\n")))
    is_degrees = False
    first = len(lines)
    for number, line in enumerate(lines):
        word = line.upper()
        is_degrees |= word == b":DEGREES"
        if word == b":RADIANS":
            raise InputError(f"{label}: its angles are in radians, only :DEGREES is known")
        if word and not word.startswith((b"#", b":")):
            first = number
            break
    frames = list(filter(None, lines[first:]))
    if not is_degrees or not frames:
        raise InputError(f"{label} is not an AMC file: it has no :DEGREES line with frames after it")
    return frames


def _bones_of_first_frame(lines: list[bytes], label: str, skeleton: AsfSkeleton) -> dict[str, int]:
    """The bones of a frame, each with its number of channels."""
    if not lines[0].isdigit():
        raise InputError(f"{label} is not an AMC file: its frames do not begin with a frame number")
    bones: dict[str, int] = {}
    for line in lines[1:]:
        words = line.split()
        if len(words) == 1 and words[0].isdigit():
            break
        name = words[0].decode("ascii", "replace")
        if name not in skeleton.bones:
            raise InputError(
                f"{label} moves the bone {name!r}, which is not in {skeleton.label}: take the ASF of the same subject"
            )
        channels = len(skeleton.bones[name].channels)
        if len(words) - 1 != channels:
            raise InputError(
                f"{label}: bone {name!r} has {len(words) - 1} channels, {channels} in {skeleton.label}"
            )
        bones[name] = channels
    missing = [name for name, bone in skeleton.bones.items() if bone.channels and name not in bones]
    if missing:
        raise InputError(
            f"{label} does not move {missing[0]!r} of {skeleton.label}: take the ASF of the same subject"
        )
    return bones


def _frame_numbers(lines: list[bytes], label: str) -> Int64[np.ndarray, "frames"]:
    try:
        numbers = np.array([int(line) for line in lines], np.int64)
    except (ValueError, OverflowError):
        raise InputError(f"{label}: a frame number is not a number") from None
    jumps = np.diff(numbers) != 1
    if jumps.any():
        raise InputError(f"{label}: frames are missing after frame {numbers[int(jumps.argmax())]}")
    return numbers


def moved_bones(
    skeleton: AsfSkeleton, motion: AmcMotion, frames: np.ndarray, bones: Sequence[str]
) -> tuple[dict[str, Float[np.ndarray, "frames 3"]], dict[str, Float[np.ndarray, "frames 3 3"]]]:
    """Where the end points of bones are and how the bones are rotated, by forward kinematics over all frames at once.

    Args:
        skeleton, motion: of one subject.
        frames: row numbers of the motion.
        bones: whose ends are wanted; their ancestors are computed too.

    Returns:
        Positions in the axes of the file (y up), millimetres, and rotations from the rest pose, whose axes are the file's.

    Raises:
        InputError: the skeleton lacks a bone, or a word is not a number.
    """
    needed = _with_ancestors(skeleton, bones)
    moved = [name for name in needed if skeleton.bones[name].channels]
    values = motion.values(frames, moved)
    rotations: dict[str, np.ndarray] = {}
    ends: dict[str, np.ndarray] = {}
    for name in needed:
        bone = skeleton.bones[name]
        local = _local_rotation(bone, values.get(name), len(frames))
        if bone.parent is None:
            rotations[name] = local
            ends[name] = skeleton.millimetres * _translation(bone, values[name]) + bone.offset
        else:
            rotations[name] = matrix_product(rotations[bone.parent], local)
            ends[name] = (
                ends[bone.parent] + matrix_product(rotations[name], bone.offset[None, :, None])[..., 0]
            )
    return ends, rotations


def _with_ancestors(skeleton: AsfSkeleton, bones: Sequence[str]) -> list[str]:
    for bone in bones:
        if bone not in skeleton.bones:
            raise InputError(
                f"{skeleton.label} has no bone {bone!r}: it is not a skeleton of the CMU data base"
            )
    return with_ancestors([ROOT_BONE, *bones], {name: bone.parent for name, bone in skeleton.bones.items()})


def _local_rotation(
    bone: Bone, values: Float[np.ndarray, "frames channels"] | None, frames: int
) -> Float[np.ndarray, "frames 3 3"]:
    """C M C^-1: the rotations M about the bone's own axes C, in the frame of its parent."""
    if values is None:
        return np.broadcast_to(np.eye(3), (frames, 3, 3))
    rotations = [
        (axis, values[:, bone.channels.index(f"r{axis}")])
        for axis in bone.rotation_order
        if f"r{axis}" in bone.channels
    ]
    angles = np.radians(np.stack([angle for _, angle in rotations], -1))
    rotated = rotation_from_euler(angles, "".join(axis for axis, _ in rotations))
    return matrix_product(matrix_product(bone.axis[None], rotated), bone.axis.T[None])


def _translation(bone: Bone, values: Float[np.ndarray, "frames channels"]) -> Float[np.ndarray, "frames 3"]:
    moved: np.ndarray = values[:, [bone.channels.index(f"t{axis}") for axis in "xyz"]]
    return moved
