"""Smoothing of predictions over time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from evolift.posedata.errors import InputError
from evolift.posedata.predictions.predictions import Predictions, places_in_time
from evolift.posedata.smoothing import CUTOFF, FEWEST, smoothed


def smoothed_predictions(predictions: Predictions, frames_per_second: float) -> Predictions:
    """Predictions whose 3D joints and root are smoothed over the frames of each person.

    Args:
        predictions: of the tracked people of one video, or of images that are frames of one, in any order of frames.
        frames_per_second: of the video.

    Raises:
        InputError: the frame rate is not positive, a person is twice in one frame, a frame is not later than the one before, or frames are so far
            apart that their times cannot be told from each other.
    """
    if not frames_per_second > 0:
        raise InputError(f"the frame rate must be positive (got {frames_per_second})")
    joints, roots = predictions.joints_3d.copy(), predictions.root_3d.copy()
    for person, rows in predictions.tracks().items():
        frames = predictions.frame[rows]
        if (np.diff(frames) == 0).any():
            raise InputError(
                f"person {person!r} is twice in one frame, so poses cannot be smoothed over time: give people of a frame different names"
            )
        places = places_in_time(predictions, rows, frames_per_second)
        times = (
            places - places[0]
        ) / frames_per_second  # from 0, as large numbers of frames lose their last digits
        if not (np.diff(times) > 0).all():
            raise InputError(
                f"person {person!r}: frames {frames[0]} and {frames[-1]} are too far apart to be smoothed over time: number the frames without such gaps"
            )
        joints[rows] = smoothed(predictions.joints_3d[rows], times)
        roots[rows] = smoothed(predictions.root_3d[rows], times)
    return replace(predictions, joints_3d=joints, root_3d=roots)


def smoothing_notes(
    predictions: Predictions, frames_per_second: float, *, is_asked: bool = True
) -> list[str]:
    """What smoothing does to these predictions, in sentences: also that it can do little, or nothing for some people; none if it does nothing and was not asked for."""
    tracks = predictions.tracks().values()
    short = sum(len(rows) < FEWEST for rows in tracks)
    if not is_asked and short == len(tracks):
        return []
    notes = ["3D poses are smoothed over time."]
    if not is_asked:
        notes = [
            "3D poses are smoothed over time, as those of videos are if nothing else is said (`smooth`)."
        ]
    if short:
        notes.append(f"{short} of {len(tracks)} tracks have fewer than {FEWEST} frames and stay as they are.")
    if frames_per_second < 2.5 * CUTOFF:
        notes.append(
            f"at {frames_per_second:g} frames a second smoothing changes little: movement up to {CUTOFF:g} Hz stays."
        )
    return notes
