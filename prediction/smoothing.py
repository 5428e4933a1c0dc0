"""Smoothing of predictions over time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from evolift.posedata.errors import InputError
from evolift.posedata.predictions.predictions import Predictions, places_in_time
from evolift.posedata.smoothing import smoothed


def smoothed_predictions(predictions: Predictions, frames_per_second: float) -> Predictions:
    """Predictions whose 3D joints and root are smoothed over the frames of each person.

    Args:
        predictions: of the tracked people of one video, or of images that are frames of one, in any order of frames.
        frames_per_second: of the video.

    Raises:
        InputError: the frame rate is not positive, or a person is twice in one frame.
    """
    if not frames_per_second > 0:
        raise InputError(f"the frame rate must be positive (got {frames_per_second})")
    joints, roots = predictions.joints_3d.copy(), predictions.root_3d.copy()
    for person, rows in predictions.tracks().items():
        frames = predictions.frame[rows]
        if (np.diff(frames) == 0).any():
            raise InputError(
                f"person {person!r} is twice in one frame, so poses cannot be smoothed over time"
            )
        times = places_in_time(predictions, rows, frames_per_second) / frames_per_second
        joints[rows] = smoothed(predictions.joints_3d[rows], times)
        roots[rows] = smoothed(predictions.root_3d[rows], times)
    return replace(predictions, joints_3d=joints, root_3d=roots)
