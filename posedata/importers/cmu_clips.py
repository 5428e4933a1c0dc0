"""What is known about the CMU Graphics Lab Motion Capture files (mocap.cs.cmu.edu): joints, axes, bad frames.

No torch here, so that worker processes start fast.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
from jaxtyping import Float, Float32, Int64

from evolift.posedata.errors import InputError
from evolift.posedata.importers.amc_file import moved_bones, parse_amc
from evolift.posedata.importers.asf_file import parse_asf
from evolift.posedata.importers.frame_rate import kept_frames
from evolift.posedata.importers.source_files import SourceFiles
from evolift.posedata.nose import nose_of_head
from evolift.posedata.skeleton import H36M17

CMU_FPS = 120.0

BONES_OF_JOINTS: dict[str, tuple[str, ...]] = {
    "pelvis": ("lhipjoint", "rhipjoint"),
    "right_hip": ("rhipjoint",),
    "right_knee": ("rfemur",),
    "right_ankle": ("rtibia",),
    "left_hip": ("lhipjoint",),
    "left_knee": ("lfemur",),
    "left_ankle": ("ltibia",),
    "spine": ("lowerback",),
    "thorax": ("thorax", "lowerneck"),
    "head": ("head",),
    "left_shoulder": ("lclavicle",),
    "left_elbow": ("lhumerus",),
    "left_wrist": ("lwrist",),
    "right_shoulder": ("rclavicle",),
    "right_elbow": ("rhumerus",),
    "right_wrist": ("rwrist",),
}
"""Joint of H36M17 -> bones whose end points' middle it is. The forearm is the `radius` and the `wrist` bone; the nose is placed in
the frame of the `head` bone, see `evolift.posedata.nose`."""
SKULL_BONE = "upperneck"
"""Its end is the base of the skull."""

GLITCHES: dict[str, tuple[int, int]] = {
    "01_03": (3100, 3122),
    "01_06": (4750, 4765),
    "01_07": (3355, 3372),
    "01_12": (1714, 1726),
    "03_02": (0, 55),
    "16_15": (0, 3),
}
"""Clip -> first and last row (counted from 0 at 120 fps) where the capture jumps: a joint moves at over 12 m/s."""


@dataclass(frozen=True)
class CmuClip:
    """One motion of the data base: where its two files are.

    Args:
        subject, name: for example "02" and "02_01".
        asf, amc: names in the source.
    """

    subject: str
    name: str
    asf: str
    amc: str


@dataclass(frozen=True, eq=False)
class ClipPoses:
    """Poses of one clip.

    Args:
        frames: frame numbers as the AMC file has them (from 1).
        joints: H36M17, mm, world frame (z up).
        native_frames: in the file.
        left_out: frames at the wanted rate that were left out as glitches.
    """

    frames: Int64[np.ndarray, "frames"]
    joints: Float32[np.ndarray, "frames 17 3"]
    native_frames: int
    left_out: int


def find_clips(files: SourceFiles) -> list[CmuClip]:
    """All clips of a source, in the order of their names.

    Raises:
        InputError: there are none, one is there twice, or an AMC has no ASF of its subject beside it.
    """
    skeletons = {str(PurePosixPath(name).with_suffix("")).lower(): name for name in files.with_ending(".asf")}
    clips: dict[str, CmuClip] = {}
    for name in files.with_ending(".amc"):
        path = PurePosixPath(name)
        subject = path.stem.rsplit("_", 1)[0]
        asf = skeletons.get(str(path.parent / subject).lower())
        if asf is None:
            raise InputError(
                f"{files.label(name)} has no {subject}.asf beside it: keep the layout subjects/NN/NN.asf"
            )
        if path.stem in clips:
            raise InputError(
                f"{files.path} holds the clip {path.stem} twice: {clips[path.stem].amc} and {name}"
            )
        clips[path.stem] = CmuClip(subject, path.stem, asf, name)
    if not clips:
        raise InputError(
            f"{files.path} holds no .amc files: give the folder or zip of the CMU ASF/AMC data base"
        )
    return [clips[name] for name in sorted(clips)]


def read_clip(files: SourceFiles, clip: CmuClip, fps: float | None = None) -> ClipPoses:
    """Joints of one clip, glitches left out.

    Args:
        files: that hold it.
        clip: which.
        fps: frames per second to keep, all 120 if None.

    Raises:
        InputError: a file is damaged, or the two do not belong together.
    """
    skeleton = parse_asf(files.read(clip.asf), files.label(clip.asf))
    motion = parse_amc(files.read(clip.amc), files.label(clip.amc), skeleton)
    kept = kept_frames(len(motion), CMU_FPS, fps)
    is_good = np.ones(len(kept), bool)
    if clip.name in GLITCHES:
        first, last = GLITCHES[clip.name]
        is_good = (kept < first) | (kept > last)
    rows = kept[is_good]
    bones = sorted({bone for bones in BONES_OF_JOINTS.values() for bone in bones} | {SKULL_BONE})
    ends, rotations = moved_bones(skeleton, motion, rows, bones)
    joints = np.zeros((len(rows), len(H36M17), 3))
    for joint, parts in BONES_OF_JOINTS.items():
        joints[:, H36M17.index(joint)] = _middle([ends[bone] for bone in parts])
    # At rest the person stands upright and looks along z: x is its left, y up.
    left, up, _ = np.moveaxis(rotations["head"], -1, 0)
    thorax, top = (joints[:, H36M17.index(joint)] for joint in ("thorax", "head"))
    joints[:, H36M17.index("nose")] = nose_of_head(thorax, ends[SKULL_BONE], top, left, up)
    return ClipPoses(
        motion.numbers[rows], y_up_to_z_up(joints).astype(np.float32), len(motion), int((~is_good).sum())
    )


def y_up_to_z_up(points: Float[np.ndarray, "*batch 3"]) -> Float[np.ndarray, "*batch 3"]:
    """(x, y, z) of a y-up file in a z-up world: (x, -z, y)."""
    return np.stack([points[..., 0], -points[..., 2], points[..., 1]], -1)


def _middle(points: list[np.ndarray]) -> np.ndarray:
    middle: np.ndarray = sum(points[1:], points[0]) / len(points)
    return middle
