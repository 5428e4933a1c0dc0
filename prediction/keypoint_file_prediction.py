"""3D poses of a file of 2D keypoints, as `evolift predict` reads and lifts it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from evolift.lifter.lifter import Lifter
from evolift.posedata.frame_numbers import rate_of
from evolift.posedata.image_settings import ImageSettings
from evolift.posedata.keypoint_formats.keypoint_files import read_keypoints
from evolift.posedata.keypoint_formats.keypoints import Keypoints
from evolift.posedata.keypoint_formats.name_mapping import read_name_mapping
from evolift.prediction.cameras.camera_choice import RIG_LIFTER, CameraRule, unknown_camera
from evolift.prediction.clip import Clip, no_smoothing, no_temporal, no_track
from evolift.prediction.keypoint_lifting import lift_keypoints
from evolift.prediction.keypoint_overlays import draw_keypoints
from evolift.prediction.prediction_results import TRACK_FORMATS, PredictionResults
from evolift.prediction.reports import Report, nothing, report_nothing
from evolift.prediction.settings import KeypointSettings

_RATE_UNKNOWN = 10.0


def predict_keypoint_file(
    path: Path,
    label: str,
    lifter: Lifter,
    settings: KeypointSettings,
    cameras: CameraRule,
    results: PredictionResults,
    *,
    provenance: Mapping[str, Any],
    overlay: Path | None = None,
    images: ImageSettings = ImageSettings(),
    formats: Sequence[str] = (),
    before_lifting: Callable[[], object] = nothing,
    report: Report = report_nothing,
) -> None:
    """Lift the people of a file into the results; those that cannot be lifted are among the failures.

    Args:
        path: of the file or folder.
        label: of the clip.
        lifter: to lift with.
        settings: how the file is read.
        cameras: which camera its images are taken to be of.
        results: to add to.
        provenance: of the predictions.
        overlay: video to draw the keypoints on, or where overlays of images go; where the settings name these.
        images: how large they may be.
        formats: of the files that are to be written; what cannot be is refused before there is any work.
        before_lifting: called when the file was read.
        report: called with sentences on what was recognised.

    Raises:
        InputError: the file cannot be read, or does not fit what is asked.
    """
    keypoints = _read(path, settings, cameras)
    report(f"{path}: {keypoints.format} keypoints of {keypoints.how_many}, {keypoints.skeleton.name}")
    for note in keypoints.notes:
        report(f"{path}: {note}")
    rate = settings.frames_per_second or _rate(keypoints)
    problem = _no_tracks(path, keypoints, rate)
    if problem is not None:
        if results.temporal is not None:
            raise no_temporal(problem)
        _require_untracked(problem, keypoints.is_tracked, formats, is_smooth=bool(results.is_smooth))
    before_lifting()
    chosen = cameras.of_keypoints(keypoints.image_size, str(path))
    lifted = lift_keypoints(
        lifter,
        keypoints,
        label,
        cameras=chosen.cameras,
        camera=chosen.camera,
        camera_assumption=chosen.sentence,
        provenance=provenance,
        min_joint_confidence=settings.min_joint_confidence,
    )
    results.failed += lifted.skipped
    clip = Clip(
        label,
        lifted.predictions,
        rate or _RATE_UNKNOWN,
        min_joint_confidence=settings.min_joint_confidence,
    )
    if clip.is_over_time:
        clip = replace(clip, problem=problem, is_mendable=keypoints.is_tracked)
    if chosen.sentence == unknown_camera("screen") and len(lifted.predictions):
        results.note(RIG_LIFTER)
    results.add(clip)
    if settings.overlay_images is not None and overlay is not None and len(lifted.predictions):
        source = Path(settings.overlay_images)
        draw_keypoints(lifted.predictions, label, source, overlay.with_suffix(".mp4"), results, images)


def _no_tracks(path: Path, keypoints: Keypoints, rate: float | None) -> str | None:
    """Why the people of a file are no tracks over time, None if they are, or if there is but one frame."""
    if len(np.unique(keypoints.frame)) <= 1:
        return None
    if not keypoints.is_tracked:
        return f"{path} does not tell who is who over frames"
    return None if rate else f"{path} does not tell the time between frames (give `frames_per_second`)"


def _require_untracked(problem: str, is_mendable: bool, formats: Sequence[str], *, is_smooth: bool) -> None:
    """Refuse what needs tracks; formats that others are written beside only if the user can mend the problem."""
    if is_smooth:
        raise no_smoothing(problem)
    of_tracks = [format for format in formats if format in TRACK_FORMATS]
    if of_tracks and (is_mendable or len(of_tracks) == len(formats)):
        raise no_track(problem, of_tracks[0])


def _rate(keypoints: Keypoints) -> float | None:
    """Frames per second as the times of a file tell it."""
    if keypoints.time is None or not np.isfinite(keypoints.time).all() or not np.ptp(keypoints.time):
        return None
    return rate_of(keypoints.time)


def _read(path: Path, settings: KeypointSettings, cameras: CameraRule) -> Keypoints:
    """Keypoints of a file, their images of the size that is asked for or that belongs to the intrinsics."""
    size = settings.image_size
    if size is None and cameras.intrinsics is not None:
        size = cameras.intrinsics.size
    return read_keypoints(
        path,
        format=settings.format,
        skeleton=settings.skeleton,
        mapping=None if settings.mapping is None else read_name_mapping(Path(settings.mapping)),
        image_size=size,
    )
