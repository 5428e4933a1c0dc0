"""Predicted tracks as BVH files, for animators: one file for each person of a video (`evolift.posedata.bvh_clip`).

Camera coordinates (x, y, z) become (x, -y, -z): the camera counts as level. Frames in which the person was not seen are
interpolated between their neighbours; where frames are not evenly spaced in time, all are, at the rate of the shortest steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from evolift.posedata.bvh_clip import FROM_CAMERA, bvh_text, require_kinematic
from evolift.posedata.errors import InputError, OutputError
from evolift.posedata.output_file import free_path, write_text
from evolift.posedata.predictions.predictions import Predictions, places_in_time, require_near_frames


@dataclass(frozen=True)
class BvhTrack:
    """What `write_bvh_tracks` wrote.

    Args:
        path: of the file.
        frames: in it.
        interpolated: frames in which the person was not seen.
    """

    path: Path
    frames: int
    interpolated: int


def write_bvh_tracks(
    folder: Path, name: str, predictions: Predictions, frames_per_second: float
) -> list[BvhTrack]:
    """Write NAME_PERSON.bvh for each person of a video; a name that is taken gets a number.

    People stand on the floor. They go where their places in the camera's frame are known in all frames of a track, otherwise
    they stay at the origin.

    Args:
        folder: that exists.
        name: of the video, without ending.
        predictions: of its tracked people; each frame may be an image of its own name.
        frames_per_second: of the video.

    Raises:
        InputError: frames of a person are too far apart, or one is not later than the one before.
        OutputError: the skeleton's bones cannot be rotated, a person is twice in one frame, a 3D joint is not known, or a
            file cannot be written.
    """
    skeleton = predictions.skeleton
    require_kinematic(skeleton)
    written: list[BvhTrack] = []
    for person, order in predictions.tracks().items():
        frames = predictions.frame[order]
        joints = predictions.joints_3d[order].astype(np.float64)
        what = f"person {person!r} of {name}"
        if (np.diff(frames) == 0).any() or not np.isfinite(joints).all():
            raise OutputError(f"{what} is twice in one frame or lacks 3D joints, which BVH cannot hold")
        try:
            places = places_in_time(predictions, order, frames_per_second)
        except InputError as error:
            raise InputError(f"{name}: {error}") from error
        first, last = (int(np.round(places[end])) for end in (0, -1))
        require_near_frames(np.round(places).astype(np.int64), f"{what}, bvh")
        root = predictions.root_3d[order].astype(np.float64)
        is_placed = bool(np.isfinite(root).all())
        joints += root[:, None] if is_placed else 0.0
        every = np.arange(first, last + 1)
        path = free_path(folder, f"{name}_{person}", ".bvh")
        text = bvh_text(
            skeleton,
            at_frames(joints, places, every) @ FROM_CAMERA,
            frames_per_second,
            is_placed=is_placed,
        )
        write_text(path, text, overwrite=False)
        written.append(BvhTrack(path, len(every), len(every) - len(np.intersect1d(np.round(places), every))))
    return written


def at_frames(
    joints: Float[np.ndarray, "seen joints 3"],
    places: np.ndarray,
    every: np.ndarray,
) -> Float[np.ndarray, "frames joints 3"]:
    """Joints at other places in time, interpolated."""
    flat = joints.reshape(len(joints), -1)
    columns = [np.interp(every, places, column) for column in flat.T]
    return np.stack(columns, 1).reshape(len(every), *joints.shape[1:])
