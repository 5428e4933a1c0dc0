"""MediaPipe's pose landmarker: BlazePose, 33 landmarks.

https://ai.google.dev/edge/mediapipe/solutions/vision/pose_landmarker (Apache-2.0). Since version 0.10.30 the package has no models
inside: the user gives a `.task` file (`pose_landmarker_lite.task`, `_full`, `_heavy`). It takes RGB images; landmarks are parts of
width and height, 0 and 1 the edges of the image: pixel = part times width - 1/2. The confidence is the landmark's `visibility`, as
in files of landmarks (`evolift.posedata.keypoint_formats.mediapipe_keypoints`).

Each image is looked at by itself (running mode IMAGE): people are followed through videos in the same way for all detectors.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from evolift.posedata.errors import InputError, reason_of
from evolift.posedata.extras import require_extra
from evolift.posedata.skeleton import MEDIAPIPE33
from evolift.prediction.detectors.people_detector import Box, DetectedPeople, Image, people_in_boxes
from evolift.prediction.settings import MEDIAPIPE

MODELS = "https://ai.google.dev/edge/mediapipe/solutions/vision/pose_landmarker"
"""Page with the `.task` files."""


class MediapipeDetector:
    """Finds people and their landmarks by MediaPipe.

    Args:
        weights: one `.task` file.
        min_score: people of a lower score are left out.
        max_people: that MediaPipe looks for; one if None, which is its own default.

    Raises:
        InputError: MediaPipe is not installed, or the file is not given or cannot be used.
    """

    name = MEDIAPIPE
    skeleton = MEDIAPIPE33
    finds_people = True

    def __init__(
        self, weights: Sequence[str | Path], *, min_score: float = 0.5, max_people: int | None = None
    ) -> None:
        if len(weights) != 1 or not Path(weights[0]).is_file():
            given = f", {weights[0]} is none" if len(weights) == 1 else ""
            raise InputError(
                f"{MEDIAPIPE} needs the file of a pose landmarker{given}: download pose_landmarker_full.task from {MODELS} and give it with `detector_weights`"
            )
        require_extra("mediapipe", "mediapipe")
        import mediapipe  # noqa: PLC0415  # of the extra `mediapipe`

        self._package, tasks = mediapipe, mediapipe.tasks
        try:
            # Its bytes, because MediaPipe looks for some paths among its own resources.
            content = Path(weights[0]).read_bytes()
            options = tasks.vision.PoseLandmarkerOptions(
                base_options=tasks.BaseOptions(model_asset_buffer=content),
                num_poses=max_people or 1,
                min_pose_detection_confidence=min_score,
            )
            self._landmarker = tasks.vision.PoseLandmarker.create_from_options(options)
        except Exception as error:  # MediaPipe's errors share no base
            raise InputError(
                f"{weights[0]} is no pose landmarker that MediaPipe can load ({reason_of(error)}): download it again from {MODELS}"
            ) from None
        # Its own __del__ comes too late where the program ends, and says so.
        weakref.finalize(self, self._landmarker.close)

    def __call__(self, image: Image, boxes: Sequence[Box] | None = None) -> DetectedPeople:
        """The people of an image, see `evolift.prediction.detectors.people_detector.PeopleDetector`."""
        if boxes is not None:
            return people_in_boxes(self._detect, image, boxes, len(MEDIAPIPE33))
        return self._detect(image)

    def _detect(self, image: Image) -> DetectedPeople:
        array = np.ascontiguousarray(image)
        shown = self._package.Image(image_format=self._package.ImageFormat.SRGB, data=array)
        people = self._landmarker.detect(shown).pose_landmarks
        table = np.array(
            [[(point.x, point.y, point.visibility or 0.0) for point in person] for person in people],
            np.float64,
        ).reshape(-1, len(MEDIAPIPE33), 3)
        pixels = table[..., :2] * np.array([image.shape[1], image.shape[0]]) - 0.5
        return DetectedPeople(pixels, np.clip(table[..., 2], 0, 1))
