"""Keypoints as a bare array of numpy, NAME.npy: the frames of one person.

    (frames, joints, 2 or 3)   x, y, and if there is a third, scores; (joints, 2 or 3) is one frame

An axis of one person before or behind the frames, (1, frames, joints, 2) or (frames, 1, joints, 2), is taken away.
An array tells no names, so the number of joints tells the skeleton, unless several have it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from evolift.posedata.errors import InputError, reason_of
from evolift.posedata.input_file import reading as reading_file
from evolift.posedata.keypoint_formats.joint_columns import joint_columns
from evolift.posedata.keypoint_formats.keypoints import Keypoints, keypoints_of
from evolift.posedata.keypoint_formats.reading import Reading

MAGIC = b"\x93NUMPY"


def read_npy_keypoints(path: Path, reading: Reading) -> Keypoints:
    """One person in frames 0, 1, 2, ...

    Args:
        path: of the file.
        reading: of the file.

    Raises:
        InputError: it is no such array, holds objects, it cannot be told which joints these are, or nobody is in it.
    """
    points = _one_person(path, _array(path))
    frames, joints = points.shape[:2]
    return keypoints_of(
        joint_columns(reading, str(path), joints),
        points[..., :2],
        format="npy",
        confidence=points[..., 2] if points.shape[2] == 3 else None,
        frame=list(range(frames)),
        person=["1"] * frames,
        notes=[f"its {frames} rows are taken for frames of one person"] if frames > 1 else [],
    )


def _array(path: Path) -> np.ndarray:
    with reading_file(path):
        file = path.open("rb")
    with file:
        try:
            values: np.ndarray = np.lib.format.read_array(file, allow_pickle=False)
        except Exception as error:  # numpy raises many kinds for damaged bytes
            if "Object arrays" in str(error):
                raise InputError(
                    f"{path} holds pickled objects, which are refused: save a plain array of numbers"
                ) from None
            raise InputError(
                f"{path} is not a sound .npy file ({reason_of(error)}): write it again"
            ) from None
    if values.dtype.kind not in "fiu":
        raise InputError(f"{path} must hold numbers, holds {values.dtype}")
    return values.astype(np.float64)


def _one_person(path: Path, values: np.ndarray) -> np.ndarray:
    """(frames, joints, 2 or 3)."""
    points = values[None] if values.ndim == 2 else values
    if points.ndim == 4 and 1 in points.shape[:2]:
        points = points[0] if points.shape[0] == 1 else points[:, 0]
    if points.ndim == 4:
        raise InputError(
            f"{path} has shape {values.shape}, of which the people are not told from the frames: save an array (frames, joints, 2) for each person"
        )
    if points.ndim != 3 or points.shape[2] not in (2, 3):
        raise InputError(f"{path} must have shape (frames, joints, 2 or 3), has {values.shape}")
    if not len(points):
        raise InputError(f"{path} holds nobody: it has no frames")
    return points
