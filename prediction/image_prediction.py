"""3D poses of the people in image and video files, with overlays, as `evolift predict` and `evolift app` make them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64, UInt8

from evolift.drawing.overlay import draw_box, draw_joints
from evolift.drawing.pose_page import embedded_image
from evolift.posedata.camera import Camera
from evolift.posedata.errors import InputError
from evolift.posedata.frame_numbers import is_even, rate_of
from evolift.posedata.image_file import is_incomplete, read_image, write_image
from evolift.posedata.image_header import is_animated
from evolift.posedata.image_settings import ImageSettings
from evolift.posedata.predictions.predictions import Predictions
from evolift.posedata.progress import Progress, no_progress
from evolift.posedata.video_file import VideoReader, VideoWriter
from evolift.prediction.cameras.camera_choice import RIG_LIFTER, CameraRule, ChosenCamera
from evolift.prediction.clip import Clip
from evolift.prediction.everybody import Everybody
from evolift.prediction.frame_choice import FrameChoice
from evolift.prediction.pipeline import ImagePipeline
from evolift.prediction.pose_prediction import NobodyError, OutOfSightError, PosePrediction, predictions_of
from evolift.prediction.prediction_results import PredictionResults
from evolift.prediction.reports import nothing
from evolift.prediction.tracking.person_following import PeopleFollower, PersonFollower

MIN_SIDE = 16
"""Pixels of the longer side below which an image is refused."""
LOW_CONFIDENCE = 0.4
"""Mean confidence of a found person's joints below which is said that there may be nobody: of the shipped chain's, one in
fifty of LSPET photographs 3601 to 3700 lies below, and nine in ten of 95 pieces of their backgrounds."""
GATHERED = 256
"""Poses of a video after which they are put into one table."""
_IMAGES_PER_SECOND = 10.0
_TOO_FEW = "left out, because too few of their joints were found"

Image = UInt8[np.ndarray, "_height _width 3"]


@dataclass(eq=False)
class ImagePrediction:
    """Predicts images and videos into results.

    Args:
        pipeline: of detector and lifter.
        cameras: which camera each image is taken to be of.
        results: to add to.
        provenance: of the predictions.
        people: finds everybody; None for the pose detector's own search.
        box: (left, top, width, height) of the one person, pixels; None to search.
        max_people: who are searched for without `people`; None for all.
        gathered: poses of a video that are put into arrays together.
        images: how large images and frames may be.
        min_confidence: mean of the joints of one person who is searched for, below which nobody is there.
        before_prediction: called when an image or video was opened.
    """

    pipeline: ImagePipeline
    cameras: CameraRule
    results: PredictionResults
    provenance: Mapping[str, Any] = field(default_factory=dict)
    people: Everybody | None = None
    box: Sequence[float] | None = None
    max_people: int | None = None
    gathered: int = GATHERED
    images: ImageSettings = ImageSettings()
    min_confidence: float = 0.0
    before_prediction: Callable[[], object] = nothing

    def image(self, path: Path, label: str, overlay: Path) -> None:
        """Predict an image, and write it with the joints on it.

        Args:
            path: of the file.
            label: of the clip.
            overlay: image to write.

        Raises:
            InputError: it cannot be read, or nobody in it can be found and lifted.
            OutputError: the overlay cannot be written.
        """
        image = read_image(path, self.images)
        if max(image.shape[:2]) < MIN_SIDE:
            raise InputError(
                f"{path} has {image.shape[1]} x {image.shape[0]} pixels, too few to tell a person: give an image of {MIN_SIDE} pixels or more"
            )
        if is_animated(path):
            self.results.note_all("animated: the first frame was taken", label)
        camera = self._told(self.cameras.of_image((image.shape[1], image.shape[0]), str(path), path))
        names, poses = self._poses(image, str(path), label, camera.camera)
        if len(poses) == 1 and self.people is None:
            write_image(overlay, draw_box(with_people(image, poses), np.array(poses[0].box)), overwrite=True)
        else:
            write_image(overlay, with_people(image, poses, names), overwrite=True)
        predictions = predictions_of(
            poses,
            image=label,
            frames=[0] * len(poses),
            people=names,
            camera_assumption=camera.sentence,
            provenance=self.provenance,
        )
        self.results.add(Clip(label, predictions, _IMAGES_PER_SECOND))
        if is_incomplete(path, image):
            self.results.incomplete.append(label)
            self.results.note_image((label, 0), "A part of this image is missing and was predicted as grey.")
        self.results.images.offer((label, 0), lambda: embedded_image(image))

    def video(
        self,
        source: Path | int,
        label: str,
        overlay: Path,
        *,
        frames: FrameChoice = FrameChoice(),
        progress: Progress = no_progress,
    ) -> None:
        """Follow people through a video, and write it with the joints on it.

        Ctrl-C ends a webcam and keeps what was seen.

        Args:
            source: path of a file, or number of a webcam.
            label: of the clip.
            overlay: video to write.
            frames: which are looked at.
            progress: counts frames.

        Raises:
            InputError: it cannot be read, or nobody was found in it.
            OutputError: the overlay cannot be written.
        """
        with (
            VideoReader(source, self.images) as video,
            VideoWriter(overlay, video.size, video.frames_per_second / frames.stride) as written,
        ):
            camera = self._told(self.cameras.of_image(video.size, video.label))
            follow = self._follower(camera.camera, video.frames_per_second / frames.stride)
            parts: list[Predictions] = []
            waiting: list[tuple[int, float, PosePrediction, str]] = []
            numbers: list[int] = []
            times: list[float] = []
            provenance = {**self.provenance, "frames_per_second": {label: video.frames_per_second}}

            def gather() -> None:
                # Arrays of single poses that stay would break up the memory that the networks use over and over.
                if waiting:
                    seen_in, seconds, poses, tracks = zip(*waiting, strict=True)
                    table = predictions_of(
                        poses,
                        image=label,
                        frames=seen_in,
                        people=tracks,
                        camera_assumption=camera.sentence,
                        provenance=provenance,
                        times=seconds,
                    )
                    parts.append(table)
                    waiting.clear()

            try:
                for number, image in frames.of(zip(count(), video)):
                    numbers.append(number)
                    times.append(video.time)
                    drawn = image
                    if answers := follow(image):
                        poses, names = [pose for pose, _ in answers], [track for _, track in answers]
                        drawn = with_people(
                            image, poses, names if len(names) > 1 or self.people is not None else ()
                        )
                        self.results.images.offer(
                            (label, number),
                            lambda image=image: embedded_image(image),  # type: ignore[misc]  # bound now, not later
                        )
                        waiting += [(number, video.time, pose, track) for pose, track in answers]
                        if len(waiting) >= self.gathered:
                            gather()
                    written.write(drawn)
                    progress(1, frames.count(video.count) or None)
            except KeyboardInterrupt:
                if isinstance(source, Path):
                    raise
            if not numbers:
                raise InputError(f"{label} ends after {video.read} frames: give a smaller `start`")
            if frames.max_frames is None and video.is_cut_off:
                self.results.failed.append(
                    f"{label} ends after {video.read} of {video.count} frames: it is damaged or cut off"
                )
            if follow.out_of_sight:
                self.results.failed.append(
                    f"{label}: {follow.out_of_sight} times a person spans more than this camera can see and was left out of that frame: give other intrinsics"
                )
            if follow.left_out:
                self.results.note(
                    f"{label}: {follow.left_out} times too few joints of a person were found, who was left out of that frame."
                )
            gather()
            if not parts:
                raise InputError(f"{label}: nobody was found in its {len(numbers)} frames")
        predictions = Predictions.concatenate(parts)
        unseen = len(numbers) - len(np.unique(predictions.frame))
        if unseen:
            self.results.note(f"{label}: in {unseen} of {len(numbers)} frames nobody was found.")
        rate = video.frames_per_second
        self.results.add(
            self._clip(label, predictions, np.array(numbers), np.array(times), rate, frames.stride)
        )

    def _clip(
        self,
        label: str,
        predictions: Predictions,
        numbers: Int64[np.ndarray, "frames"],
        times: Float64[np.ndarray, "frames"],
        rate: float,
        stride: int,
    ) -> Clip:
        """The clip of a video, whose rate is that of its shortest steps if they vary.

        Args:
            label: of the clip.
            predictions: of its people.
            numbers: of the frames that were looked at.
            times: of these, seconds; NaN where the container has none.
            rate: frames per second that the file tells.
            stride: frames from one that was looked at to the next.
        """
        lowest = self.pipeline.min_joint_confidence
        clip = partial(Clip, label, min_joint_confidence=lowest, is_video=True)
        if len(times) < 2 or not np.isfinite(times).all() or not (np.diff(times) > 0).all():
            known = predictions.frame / rate if stride > 1 else np.full(len(predictions), np.nan)
            return clip(replace(predictions, time=known), rate / stride)
        if is_even(times, numbers, rate):
            return clip(predictions, rate / stride)
        shortest = rate_of(times)
        steps = np.diff(times)
        self.results.note(
            f"{label}: its frame rate varies, frames last {1e3 * steps.min():.0f} to {1e3 * steps.max():.0f} ms: poses are at the times of its container, and bvh files have {shortest:.4g} frames per second; the overlay shows each frame for the same time, at {rate / stride:.4g} frames per second."
        )
        return clip(predictions, shortest)

    def _poses(
        self, image: Image, path: str, label: str, camera: Camera | None
    ) -> tuple[list[str], list[PosePrediction]]:
        """Names and poses of the people in an image, at least one; who cannot be lifted is among the failures."""
        self._say_how()
        if self.people is None and self.box is not None:
            try:
                return ["person 1"], [self.pipeline.predict(image, self.box, camera)]
            except NobodyError as error:
                raise InputError(f"{path}: {error}") from None
        if self.people is None:
            try:
                poses = self.pipeline.predict_people(image, camera, max_people=self.max_people)
            except NobodyError as error:
                raise InputError(f"{path}: {error}") from None
            best = max(float(pose.confidence.mean()) for pose in poses)
            poses = [pose for pose in poses if float(pose.confidence.mean()) >= self.min_confidence]
            if not poses:
                raise InputError(
                    f"{path}: nobody was found with a confidence of {self.min_confidence:g} (mean {best:.2f}): lower `min_confidence`, or give `box`"
                )
            if best < LOW_CONFIDENCE:
                self.results.note_all(
                    "unsure: the detector's confidence in the person is low, there may be nobody in the image",
                    f"{path} (mean {best:.2f})",
                    of_image=(label, 0),
                )
            return [f"person {number}" for number in range(1, len(poses) + 1)], poses
        names, poses = [], []
        found = self.people.people(image, camera)
        if not found:
            raise InputError(f"{path}: {self.people.nobody}")
        for number, person in enumerate(found, 1):
            if person.pose is not None:
                poses.append(person.pose)
                names.append(f"person {number}")
            elif isinstance(person.problem, OutOfSightError):
                self.results.failed.append(f"{path}: person {number}: {person.problem}")
            else:
                self.results.note_all(_TOO_FEW, f"{label} (person {number})")
        if not poses:
            raise InputError(f"{path}: none of its people could be lifted")
        return names, poses

    def _follower(self, camera: Camera | None, rate: float) -> PersonFollower | PeopleFollower:
        self._say_how()
        if self.people is None:
            return PersonFollower(
                self.pipeline,
                camera,
                self.box,
                self.min_confidence,
                max_people=self.max_people,
                frames_per_second=rate,
            )
        return PeopleFollower(self.people.people, camera, frames_per_second=rate)

    def _told(self, camera: ChosenCamera) -> ChosenCamera:
        """A camera; where it is unknown and the lifter is one for a known rig, that is noted."""
        if camera.camera is None and self.pipeline.lifter.settings.normalisation == "screen":
            self.pipeline.is_warned = True  # here, and so not once more by itself
            self.results.note(RIG_LIFTER)
        return camera

    def _say_how(self) -> None:
        self.before_prediction()
        if self.people is not None:
            self.results.note(self.people.note)
        elif self.box is None:
            self.results.note(self.pipeline.search_note(self.max_people))


def with_people(image: Image, poses: Sequence[PosePrediction], names: Sequence[str] = ()) -> Image:
    """An image with the 2D joints of its people on it, and if their names are given, these in their boxes."""
    joints, confidence = (
        np.stack([getattr(pose, name) for pose in poses]) for name in ("joints_2d", "confidence")
    )
    sigmas = [pose.sigma_px for pose in poses if pose.sigma_px is not None]
    drawn = draw_joints(
        image,
        joints,
        poses[0].skeleton,
        confidence=confidence,
        sigma_px=np.stack(sigmas) if sigmas else None,
    )
    for pose, name in zip(poses, names, strict=False):
        drawn = draw_box(drawn, np.array(pose.box), label=name)
    return drawn
