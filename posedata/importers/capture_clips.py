"""Clips of motion capture whose files do not say unit, axes and sides: settled from the clips, then written one by one.

The first clip that tells clearly settles a question for all; a later one that tells otherwise is refused, one that tells
nothing follows. Only clips before all is settled wait in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, Int64

from evolift.posedata.errors import InputError, within
from evolift.posedata.importers.capture_frame import (
    MILLIMETRES,
    Axis,
    detect_mirrored,
    detect_unit,
    detect_up,
    sensible,
    to_world,
)
from evolift.posedata.importers.head_axes import HeadAxes
from evolift.posedata.importers.root_offset import is_offset_added
from evolift.posedata.nose import nose_of_head
from evolift.posedata.poses import Poses, repeated_label
from evolift.posedata.progress import Progress
from evolift.posedata.skeleton import H36M16, H36M17
from evolift.posedata.store import PoseStoreWriter

_MIN_BONE = 1e-3
_MAX = 1e30
"""Of a coordinate, in any unit: larger ones are infinite as float32 in mm."""
NOSE = H36M17.index("nose")


@dataclass(frozen=True, eq=False)
class CaptureClip:
    """One file.

    Args:
        name: action label of its rows.
        subject: their subject label.
        label: the file, for messages.
        frames: frame numbers.
        joints: H36M17 in the file's unit and axes; the nose may be NaN.
        native_frames: in the file.
        left_out: frames left out as glitches.
        head: places a nose that is NaN; without it that joint stays unlabelled.
        root_offset: of a BVH root that has position channels too, in the file's axes and unit; `joints` and `head` have it added.
            Whether it belongs there is told by where people stand (`root_offset`).
    """

    name: str
    subject: str
    label: str
    frames: Int64[np.ndarray, "frames"]
    joints: Float[np.ndarray, "frames 17 3"]
    native_frames: int
    left_out: int = 0
    head: HeadAxes | None = None
    root_offset: Float[np.ndarray, "3"] | None = None

    @property
    def unlabelled(self) -> tuple[str, ...]:
        """Joints that the clip does not tell."""
        is_known = self.head is not None or np.isfinite(self.joints[:, NOSE]).all()
        return () if is_known else ("nose",)


_QUESTIONS: dict[str, tuple[str, Callable[[np.ndarray], Any]]] = {
    "unit": ("unit of length", detect_unit),
    "up": ("upward axis", detect_up),
    "mirrored": ("left and right", detect_mirrored),
}


@dataclass
class CaptureFrame:
    """What is known of unit, axes and sides; None is to be told by the clips.

    Args:
        millimetres: length of the files' unit.
        up: upward axis.
        mirrored: whether left and right are swapped.
        doubts: of clips in which people clearly stand along another axis than the one given.
    """

    millimetres: float | None = None
    up: Axis | None = None
    mirrored: bool | None = None
    _answers: dict[str, tuple[str, Any]] = field(default_factory=dict)
    doubts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        given = {"unit": self.millimetres, "up": self.up, "mirrored": self.mirrored}
        self._unknown = [name for name, value in given.items() if value is None]

    @property
    def detected(self) -> tuple[str, ...]:
        """Those of "unit", "up" and "mirrored" that the clips tell."""
        return tuple(self._unknown)

    @property
    def is_settled(self) -> bool:
        """Whether unit, upward axis and handedness are all known."""
        return len(self._answers) == len(self._unknown)

    def ask(self, clip: CaptureClip) -> None:
        """Let a clip tell what it can.

        Raises:
            InputError: it tells otherwise than one before.
        """
        joints = sensible(clip.joints)
        for name in self._unknown if len(joints) else ():
            what, detect = _QUESTIONS[name]
            answer = detect(joints)
            if answer is None:
                continue
            label, known = self._answers.setdefault(name, (clip.label, answer))
            if answer != known:
                raise InputError(
                    f"{clip.label}: its {what} looks other than in {label}: import it apart, or give `{name}`"
                )
        if "up" not in self._unknown and len(joints):
            seen = detect_up(joints)
            if seen not in (None, self.up):
                self.doubts.append(
                    f"{clip.label}: people in it stand along {seen}, not along {self.up}, which was given for up"
                )
        if self.is_settled:
            for name, (_, answer) in self._answers.items():
                if name == "unit":
                    self.millimetres = MILLIMETRES[answer]
                else:
                    setattr(self, name, answer)

    def settled(self, label: str) -> tuple[float, Axis, bool]:
        """Millimetres, upward axis and whether mirrored.

        Args:
            label: of the first clip, for the message.

        Raises:
            InputError: no clip told one of them.
        """
        for name in self._unknown:
            if name not in self._answers:
                what, _ = _QUESTIONS[name]
                raise InputError(f"{label}: the {what} cannot be told from its poses: give `{name}`")
        assert self.millimetres is not None  # given, or told
        assert self.up is not None
        assert self.mirrored is not None
        return self.millimetres, self.up, self.mirrored


@dataclass
class CaptureTotals:
    """What was written.

    Args:
        files, poses: written.
        native_frames: in the files.
        left_out: frames left out as glitches.
        roots: files whose root has an offset besides position channels, by how that was taken.
    """

    files: int = 0
    poses: int = 0
    native_frames: int = 0
    left_out: int = 0
    roots: dict[str, list[str]] = field(default_factory=dict)


ADDED = "added to the root's positions"
REPLACED = "left out, as the root's positions are absolute"
UNTOLD = "left out, though where people stand does not tell whether the root's positions are absolute"


def sound_clips(
    names: Sequence[str],
    read: Callable[[str], CaptureClip],
    label: Callable[[str], str],
    left_out: dict[str, str],
    progress: Progress,
) -> Iterator[CaptureClip]:
    """The clips of files, without those that cannot be read.

    Args:
        names: of the files, at least one.
        read: one of them.
        label: what messages call it.
        left_out: filled with label and reason of those that cannot be read.
        progress: counts files.

    Raises:
        InputError: the only file, or every one, cannot be read.
    """
    for name in names:
        try:
            clip = read(name)
            check_bones(clip)
        except InputError as error:
            if len(names) == 1:
                raise
            left_out[label(name)] = str(error)
        else:
            yield clip
        progress(1, len(names))
    if len(left_out) == len(names):
        raise InputError(f"none of the {len(names)} files can be read: {next(iter(left_out.values()))}")


def write_clips(
    clips: Iterator[CaptureClip],
    frame: CaptureFrame,
    open_writer: Callable[[tuple[str, ...]], PoseStoreWriter],
) -> CaptureTotals:
    """Write clips as poses in the world.

    Args:
        clips: in order, at least one.
        frame: what is known of their unit and axes; filled in.
        open_writer: called with the unlabelled joints when all is settled.

    Raises:
        InputError: clips disagree, or none tells.
    """
    totals = CaptureTotals()
    waiting: list[CaptureClip] = []
    writer: PoseStoreWriter | None = None
    try:
        for clip in clips:
            frame.ask(clip)
            totals.files += 1
            totals.native_frames += clip.native_frames
            totals.left_out += clip.left_out
            waiting.append(clip)
            if frame.is_settled:
                writer = open_writer(waiting[0].unlabelled) if writer is None else writer
                for ready in waiting:
                    if ready.unlabelled != writer.unlabelled:
                        raise InputError(
                            f"{ready.label}: it {'does not tell' if ready.unlabelled else 'tells'} where the nose is, other than the files before: import it apart"
                        )
                    with within(ready.label):
                        writer.append(_rows(ready, *frame.settled(ready.label), totals.roots))
                waiting = []
        if writer is None:
            frame.settled(waiting[0].label)  # says what is missing
            raise AssertionError("a frame that is settled has a writer")
        totals.poses = len(writer)
        writer.close()
    except BaseException:
        if writer is not None:
            writer.abandon()
        raise
    return totals


def check_bones(clip: CaptureClip) -> None:
    """Refuse clips in which two joints lie in one place, or in none.

    Raises:
        InputError: naming them and the mend.
    """
    if not len(clip.joints):
        return
    known = np.delete(clip.joints, NOSE, axis=1)  # a nose may be unknown
    wrong = ~(np.abs(known) < _MAX).all((1, 2))
    if wrong.any():
        raise InputError(
            f"{clip.label}: the joints of {int(wrong.sum())} of its {len(wrong)} frames are not finite, or of no sense, first those of frame {clip.frames[int(wrong.argmax())]}: make the file again"
        )
    places = dict(zip(H36M17.joints, clip.joints[0], strict=True))
    skeleton = H36M17 if np.isfinite(places["nose"]).all() else H36M16
    bones = [(skeleton.joints[child], skeleton.joints[parent]) for parent, child in skeleton.bones]
    if clip.head is not None:
        places["skull"] = clip.head.skull[0]
        bones += [("head", "skull"), ("skull", "thorax")]
    lengths = np.array([np.linalg.norm(places[child] - places[parent]) for child, parent in bones])
    short = lengths < _MIN_BONE * lengths.max()
    if short.any():
        child, parent = bones[int(short.argmax())]
        raise InputError(
            f"{clip.label}: {child} lies on {parent} by these names of joints: give a table in which they are two places"
        )


def _rows(
    clip: CaptureClip, millimetres: float, up: Axis, mirrored: bool, roots: dict[str, list[str]]
) -> Poses:
    count = len(clip.frames)
    joints = to_world(clip.joints, millimetres, up, mirrored)
    shift = np.zeros(3)
    if clip.root_offset is not None and clip.root_offset.any() and count:
        offset = to_world(clip.root_offset, millimetres, up, mirrored)
        how = _how_offset(joints, offset, roots)
        roots.setdefault(how, []).append(clip.label)
        shift = np.zeros(3) if how == ADDED else offset
    joints = joints - shift
    if clip.head is not None:
        skull = to_world(clip.head.skull, millimetres, up, mirrored) - shift
        left, upward = (to_world(axis, 1.0, up, mirrored) for axis in (clip.head.left, clip.head.up))
        thorax, top = (joints[:, H36M17.index(joint)] for joint in ("thorax", "head"))
        joints[:, NOSE] = nose_of_head(thorax, skull, top, left, upward)
    return Poses(
        repeated_label(clip.subject, count),
        repeated_label(clip.name, count),
        clip.frames,
        joints.astype(np.float32),
    )


def _how_offset(joints: np.ndarray, offset: np.ndarray, roots: dict[str, list[str]]) -> str:
    """A clip that does not tell follows those before, if they agree: files of one program are alike."""
    is_added = is_offset_added(joints, offset)
    before = [how for how in (ADDED, REPLACED) if how in roots]
    if is_added is None:
        return before[0] if len(before) == 1 else UNTOLD
    return ADDED if is_added else REPLACED
