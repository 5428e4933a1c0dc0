"""3D poses of a file of 2D keypoints, as `evolift predict` reads and lifts it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evolift.lifter.model import Lifter
from evolift.posedata.keypoint_formats.keypoint_files import read_keypoints
from evolift.posedata.keypoint_formats.keypoints import Keypoints
from evolift.posedata.keypoint_formats.name_mapping import NameMapping
from evolift.posedata.skeleton import Skeleton
from evolift.prediction.cameras.camera_choice import CameraRule
from evolift.prediction.clip import Clip
from evolift.prediction.input_kinds import PredictionInput
from evolift.prediction.keypoint_lifting import lift_keypoints
from evolift.prediction.prediction_results import PredictionResults

_RATE_UNKNOWN = 10.0


@dataclass(frozen=True)
class KeypointReading:
    """How files of keypoints are read; see `evolift.posedata.keypoint_formats.keypoint_files.read_keypoints`.

    Args:
        format, skeleton, mapping: where the files do not tell them.
        image_size: (width, height) of the pictures, pixels; wins over what the files tell.
        frames_per_second: of all files; without it those of several frames are not taken for tracks.
    """

    format: str | None = None
    skeleton: Skeleton | None = None
    mapping: NameMapping | None = None
    image_size: tuple[int, int] | None = None
    frames_per_second: float | None = None

    def read(self, path: Path, cameras: CameraRule) -> Keypoints:
        """Keypoints of a file, their pictures of the size that is asked for or that belongs to the intrinsics."""
        keypoints = read_keypoints(
            path,
            format=self.format,
            skeleton=self.skeleton,
            mapping=self.mapping,
            image_size=self.image_size,
        )
        if self.image_size:
            keypoints = keypoints.with_image_size(self.image_size)
        if cameras.intrinsics is not None and cameras.intrinsics.size is not None:
            keypoints = keypoints.with_image_size(cameras.intrinsics.size)
        return keypoints


def predict_keypoint_file(
    one: PredictionInput,
    lifter: Lifter,
    reading: KeypointReading,
    cameras: CameraRule,
    results: PredictionResults,
    *,
    provenance: Mapping[str, Any],
    tell: Callable[[str], object],
) -> None:
    """Lift the people of a file into the results; those that cannot be lifted are among the failures.

    Args:
        one: the file or folder.
        lifter, reading, cameras: what with, and how.
        results: to add to.
        provenance: of the predictions.
        tell: called with sentences on what was recognised.

    Raises:
        InputError: the file cannot be read, or does not fit what is asked.
    """
    keypoints = reading.read(one.path, cameras)
    tell(
        f"{one.path}: {keypoints.format} keypoints of {len(keypoints)} people, {keypoints.skeleton.name}",
    )
    for note in keypoints.notes:
        tell(f"{one.path}: {note}")
    chosen = cameras.of_keypoints(keypoints.image_size, str(one.path))
    lifted = lift_keypoints(
        lifter,
        keypoints,
        one.label,
        cameras=chosen.cameras,
        camera=chosen.camera,
        camera_assumption=chosen.sentence,
        provenance=provenance,
    )
    results.failed += lifted.skipped
    rate = reading.frames_per_second
    clip = Clip(one.label, lifted.predictions, rate or _RATE_UNKNOWN)
    if clip.is_over_time:
        fault = None
        if not keypoints.is_tracked:
            fault = f"{one.path} does not tell who is who over frames"
        elif not rate:
            fault = f"{one.path} does not tell the time between frames (give --fps)"
        clip = Clip(one.label, lifted.predictions, clip.frames_per_second, fault)
    results.add(clip)
