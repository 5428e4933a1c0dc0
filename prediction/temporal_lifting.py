"""3D poses of tracks from a temporal lifter, in place of those that were lifted frame by frame.

The 2D joints of a track are brought to the lifter's frame rate, on straight lines between the frames that there are, lifted, and
the poses brought back to the times of these frames. A track is cut where more than `MAX_MISSING` frames are missing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int64, UInt8

from evolift.lifter.lifter import Lifter
from evolift.lifter.temporal.frame_rate import MAX_MISSING, places_between
from evolift.lifter.temporal.settings import TemporalSettings
from evolift.posedata.errors import InputError
from evolift.posedata.joint_mapping import UNLABELLED, VISIBLE
from evolift.posedata.poses import NO_CAMERA
from evolift.posedata.predictions.predictions import Predictions, places_in_time
from evolift.prediction.cameras.camera_lifting import lift_in_camera
from evolift.prediction.keypoint_lifting import MIN_SURE

_ALIKE = 0.02
"""Part by which frame rates may differ and count as the same in what is said."""


class LiftedOverTime(NamedTuple):
    """Predictions with the poses of a temporal lifter, and sentences on how they were lifted."""

    predictions: Predictions
    notes: tuple[str, ...]


class TemporalLifting:
    """A temporal lifter, ready to be given predictions.

    Args:
        lifter: a `TemporalLifter`, or one with a refiner on its output; a folded copy of it is used.
        name: that it is told by.

    Raises:
        InputError: it is a lifter of one frame.
    """

    def __init__(self, lifter: Lifter, name: str) -> None:
        if not isinstance(lifter.settings, TemporalSettings):
            raise InputError(f"{name} is a lifter of one frame: give a temporal one, or give it as `lifter`")
        self.settings, self.name = lifter.settings, name
        self.lifter = lifter.eval().folded()

    def __call__(
        self, predictions: Predictions, frames_per_second: float, min_confidence: float = 0.0
    ) -> LiftedOverTime:
        """Lift tracks.

        Args:
            predictions: of the tracked people of one video, or of images that are frames of one, in any order of frames.
            frames_per_second: of the video.
            min_confidence: 2D joints of a lower confidence are lifted from the others, if that leaves half of those of a person.

        Returns:
            The same rows with other 3D joints, and where cameras are known other places of the root. A pose whose joints span more
            than its camera can see is kept.

        Raises:
            InputError: the skeleton is another one, the lifter needs a camera that is not known, a person is twice in one frame, or a frame is not
                later than the one before.
        """
        settings = self.settings
        if predictions.skeleton != settings.skeleton:
            raise InputError(
                f"the temporal lifter is for {settings.skeleton.name}, and the poses are {predictions.skeleton.name}: give lifters of one skeleton"
            )
        if settings.normalisation == "screen" and (predictions.camera == NO_CAMERA).any():
            raise InputError(
                "this temporal lifter was trained for a known rig (normalisation `screen`), and the camera is unknown: give `intrinsics`, or train one by `evolift lifter train --for photos`"
            )
        visibility = _visibility(predictions, min_confidence)
        joints, roots = predictions.joints_3d.copy(), predictions.root_3d.copy()
        tracks = predictions.tracks()
        pieces = [
            piece
            for person, rows in tracks.items()
            for piece in _pieces(predictions, person, rows, frames_per_second)
        ]
        for rows, seconds in pieces:
            lifted, places = self._lifted(predictions, visibility, rows, seconds)
            is_known = np.isfinite(lifted).all((1, 2))
            joints[rows[is_known]] = lifted[is_known]
            if places is not None:
                roots[rows[is_known]] = places[is_known]
        spans = [float(seconds[-1]) for _, seconds in pieces]
        short = sum(span * settings.frames_per_second < settings.frames - 1 for span in spans)
        notes = self._notes(frames_per_second, len(pieces), len(pieces) - len(tracks), short)
        return LiftedOverTime(replace(predictions, joints_3d=joints, root_3d=roots), notes)

    def _notes(self, rate: float, pieces: int, cuts: int, short: int) -> tuple[str, ...]:
        settings = self.settings
        place = "the last" if settings.causal else "the middle one"
        notes = [
            f"3D poses are lifted over time by {self.name}, each from {settings.frames} frames of which it is {place}."
        ]
        if abs(rate / settings.frames_per_second - 1) > _ALIKE:
            notes.append(
                f"for the temporal lifter {rate:.4g} frames a second were made {settings.frames_per_second:.4g}, by interpolation."
            )
        if cuts:
            notes.append(
                f"tracks were cut in {cuts} place{'' if cuts == 1 else 's'}, where more than {MAX_MISSING} frames of a person are missing."
            )
        if short:
            notes.append(
                f"{short} of {pieces} tracks are shorter than {settings.frames} frames: their first and last frames were repeated for the temporal lifter."
            )
        return tuple(notes)

    @torch.no_grad()
    def _lifted(
        self,
        predictions: Predictions,
        visibility: UInt8[np.ndarray, "all joints"],
        rows: Int64[np.ndarray, "rows"],
        seconds: Float[np.ndarray, "rows"],
    ) -> tuple[Float32[np.ndarray, "rows joints 3"], Float32[np.ndarray, "rows 3"] | None]:
        """Joints and, where the camera is known, roots of the rows of a piece; they lie at these times."""
        at, share = places_between(seconds, self.settings.frames_per_second)
        device = next(self.lifter.parameters()).device
        after = np.where(share > 0, np.minimum(at + 1, len(rows) - 1), at)
        part = share[:, None, None]
        known = np.nan_to_num(predictions.joints_2d[rows])
        pixels = torch.from_numpy(known[at] * (1 - part) + known[after] * part).to(device)
        seen = torch.from_numpy(np.minimum(visibility[rows][at], visibility[rows][after])).to(device)
        place = seconds * self.settings.frames_per_second
        number = predictions.camera[rows[0]]
        if number == NO_CAMERA:
            return _at(self.lifter.lift(pixels, seen).cpu().numpy(), place), None
        camera = predictions.cameras[number]
        K, distortion, size = (
            torch.as_tensor(np.asarray(values), dtype=kind, device=device).expand(len(at), *np.shape(values))
            for values, kind in (
                (camera.K, torch.float64),
                (camera.distortion, torch.float64),
                ((camera.width, camera.height), torch.float32),
            )
        )
        placed = lift_in_camera(self.lifter, pixels, seen, K, distortion, size)
        return _at(placed.joints_3d.float().cpu().numpy(), place), _at(
            placed.root_3d.float().cpu().numpy(), place
        )


def _visibility(predictions: Predictions, min_confidence: float) -> UInt8[np.ndarray, "rows joints"]:
    """Which 2D joints are lifted: those that there are, without those of little confidence if enough are left."""
    is_there: Bool[np.ndarray, "rows joints"] = np.isfinite(predictions.joints_2d).all(-1)
    sure = is_there & (predictions.confidence >= min_confidence)
    is_enough = sure.sum(1, keepdims=True) >= MIN_SURE * is_there.sum(1, keepdims=True)
    return np.where(np.where(is_enough, sure, is_there), VISIBLE, UNLABELLED).astype(np.uint8)


def _pieces(
    predictions: Predictions, person: str, rows: Int64[np.ndarray, "frames"], frames_per_second: float
) -> list[tuple[Int64[np.ndarray, "rows"], Float[np.ndarray, "rows"]]]:
    """Rows of a track without large gaps and under one camera, each with its times in seconds, from 0."""
    if (np.diff(predictions.frame[rows]) == 0).any():
        raise InputError(
            f"person {person!r} is twice in one frame, so poses cannot be lifted over time: give people of a frame different names"
        )
    place = places_in_time(predictions, rows, frames_per_second).astype(np.float64)
    step = np.diff(place)
    if not len(step):
        return [(rows, np.zeros(1))]
    is_cut = np.round(step / np.median(step)) - 1 > MAX_MISSING
    is_cut |= np.diff(predictions.camera[rows]) != 0
    edges = np.flatnonzero(is_cut) + 1
    return [
        (part, (its - its[0]) / frames_per_second)
        for part, its in zip(np.split(rows, edges), np.split(place, edges), strict=True)
    ]


def _at(
    values: Float32[np.ndarray, "frames *shape"], place: Float[np.ndarray, "rows"]
) -> Float32[np.ndarray, "rows *shape"]:
    """Values of frames 0, 1, 2, ... at places between them; behind the last one those of the last."""
    place = np.minimum(place, len(values) - 1)
    before = np.floor(place + 1e-6).astype(np.int64)
    after = np.minimum(before + 1, len(values) - 1)
    share = np.clip(place - before, 0, 1).astype(np.float32).reshape(-1, *(1 for _ in values.shape[1:]))
    share = np.where(share < 1e-4, np.float32(0), share)
    return np.where(share == 0, values[before], values[before] * (1 - share) + values[after] * share)
