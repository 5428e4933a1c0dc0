"""Acclaim motion files (.amc): per frame the channels of every bone of an ASF skeleton, and where they put it.

A whole file is split into words once; words become numbers only for the frames and bones that are asked for.
Numpy only, so that worker processes start fast.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64

from posedata.asf_file import ROOT_BONE, AsfSkeleton, Bone
from posedata.errors import InputError
from posedata.euler_angles import rotation_from_euler

_LONGEST_WORD = 48


@dataclass(frozen=True, eq=False)
class AmcMotion:
    """Frames of an AMC file as words.

    Args:
        label: the file, for messages.
        numbers: frame numbers as the file has them.
        words: of every frame: its number, then per bone the name and the channels.
        columns: bone -> its channels' columns in `words`.
    """

    label: str
    numbers: Int64[np.ndarray, "frames"]
    words: np.ndarray
    columns: dict[str, slice]

    def __len__(self) -> int:
        return len(self.numbers)

    def values(
        self, frames: np.ndarray, bones: Sequence[str]
    ) -> dict[str, Float[np.ndarray, "frames channels"]]:
        """Channels of some bones in some frames (row numbers), in the units of the file.

        Raises:
            InputError: a word is not a finite number.
        """
        taken = np.concatenate([np.arange(len(self.words[0]))[self.columns[bone]] for bone in bones])
        words = self.words[np.ix_(frames, taken)]
        try:
            # Fixed-width words end in at least one zero byte: a separator for the fast text reader.
            numbers = np.fromstring(words.tobytes().replace(b"\0", b" "), sep=" ")
        except ValueError:
            numbers = np.empty(0)
        if numbers.size != words.size or not np.isfinite(numbers).all():
            raise InputError(self._bad_number(frames, words))
        numbers = numbers.reshape(words.shape)
        widths = [self.columns[bone].stop - self.columns[bone].start for bone in bones]
        return dict(zip(bones, np.split(numbers, np.cumsum(widths)[:-1], 1), strict=True))

    def _bad_number(self, frames: np.ndarray, words: np.ndarray) -> str:
        for row, line in zip(frames, words, strict=True):
            for word in line:
                if not _is_finite_number(word):
                    return f"{self.label}, frame {self.numbers[row]}: {word.decode('ascii', 'replace')!r} is not a number"
        raise AssertionError("every word is a number")


def parse_amc(data: bytes, label: str, skeleton: AsfSkeleton) -> AmcMotion:
    """Read an AMC file.

    Args:
        data: its bytes.
        label: what to call it in messages.
        skeleton: of the same subject.

    Raises:
        InputError: it is not an AMC file, is truncated, or its bones are not those of the skeleton.
    """
    body = _body(data, label)
    columns, width = _first_frame(body, label, skeleton)
    words = body.split()
    longest = max(map(len, words))
    if longest > _LONGEST_WORD:
        raise InputError(f"{label} is not a sound AMC file: it has words longer than {_LONGEST_WORD} letters")
    frames, rest = divmod(len(words), width)
    # One byte more than the longest word, see `AmcMotion.values`.
    table = np.array(words[: frames * width], f"S{longest + 1}").reshape(frames, width)
    for bone, channels in columns.items():
        strange = table[:, channels.start - 1] != bone.encode()
        if strange.any():
            raise InputError(
                f"{label}: the {int(strange.argmax()) + 1}th frame has not the bones of the first, or is damaged"
            )
    if rest:
        raise InputError(f"{label}: it ends inside its {frames + 1}th frame: download it again")
    return AmcMotion(label, _frame_numbers(table[:, 0], label), table, columns)


def _body(data: bytes, label: str) -> bytes:
    start = 0
    is_degrees = False
    while data[start : start + 1] in (b"#", b":", b"\r", b"\n"):
        end = data.find(b"\n", start)
        line = data[start:end].strip() if end >= 0 else b""
        is_degrees |= line.upper() == b":DEGREES"
        if line.upper() == b":RADIANS":
            raise InputError(f"{label}: its angles are in radians, only :DEGREES is known")
        if end < 0:
            break
        start = end + 1
    if not is_degrees or not data[start:].strip():
        raise InputError(f"{label} is not an AMC file: it has no :DEGREES line with frames after it")
    return data[start:]


def _first_frame(body: bytes, label: str, skeleton: AsfSkeleton) -> tuple[dict[str, slice], int]:
    """Columns of each bone's channels, and the number of words in a frame."""
    lines = [line.split() for line in body.split(b"\n", len(skeleton.bones) + 64) if line.strip()]
    if len(lines[0]) != 1 or not lines[0][0].isdigit():
        raise InputError(f"{label} is not an AMC file: its frames do not begin with a frame number")
    columns: dict[str, slice] = {}
    position = 1
    for words in lines[1:]:
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
        columns[name] = slice(position + 1, position + 1 + channels)
        position += 1 + channels
    missing = [name for name, bone in skeleton.bones.items() if bone.channels and name not in columns]
    if missing:
        raise InputError(
            f"{label} does not move {missing[0]!r} of {skeleton.label}: take the ASF of the same subject"
        )
    return columns, position


def _frame_numbers(words: np.ndarray, label: str) -> Int64[np.ndarray, "frames"]:
    try:
        numbers = words.astype(np.int64)
    except ValueError:
        raise InputError(f"{label}: a frame number is not a number") from None
    jumps = np.diff(numbers) != 1
    if jumps.any():
        raise InputError(f"{label}: frames are missing after frame {numbers[int(jumps.argmax())]}")
    return numbers


def _is_finite_number(word: bytes) -> bool:
    try:
        return bool(np.isfinite(float(word)))
    except ValueError:
        return False


def bone_ends(
    skeleton: AsfSkeleton, motion: AmcMotion, frames: np.ndarray, bones: Sequence[str]
) -> dict[str, Float[np.ndarray, "frames 3"]]:
    """Where the end points of bones are, by forward kinematics over all frames at once.

    Args:
        skeleton, motion: of one subject.
        frames: row numbers of the motion.
        bones: whose ends are wanted; their ancestors are computed too.

    Returns:
        Positions in the axes of the file (y up), millimetres.

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
            rotations[name] = rotations[bone.parent] @ local
            ends[name] = ends[bone.parent] + rotations[name] @ bone.offset
    return ends


def _with_ancestors(skeleton: AsfSkeleton, bones: Sequence[str]) -> list[str]:
    needed = {ROOT_BONE}
    for bone in bones:
        if bone not in skeleton.bones:
            raise InputError(
                f"{skeleton.label} has no bone {bone!r}: it is not a skeleton of the CMU data base"
            )
        name: str | None = bone
        while name is not None:
            needed.add(name)
            name = skeleton.bones[name].parent
    return [name for name in skeleton.bones if name in needed]


def _local_rotation(
    bone: Bone, values: Float[np.ndarray, "frames channels"] | None, frames: int
) -> Float[np.ndarray, "frames 3 3"]:
    """C M C^-1: the turns M about the bone's own axes C, in the frame of its parent."""
    if values is None:
        return np.broadcast_to(np.eye(3), (frames, 3, 3))
    turns = [
        (axis, values[:, bone.channels.index(f"r{axis}")])
        for axis in bone.turn_order
        if f"r{axis}" in bone.channels
    ]
    angles = np.radians(np.stack([angle for _, angle in turns], -1))
    turned = rotation_from_euler(angles, "".join(axis for axis, _ in turns))
    local: np.ndarray = bone.axis @ turned @ bone.axis.T
    return local


def _translation(bone: Bone, values: Float[np.ndarray, "frames channels"]) -> Float[np.ndarray, "frames 3"]:
    moved: np.ndarray = values[:, [bone.channels.index(f"t{axis}") for axis in "xyz"]]
    return moved
