"""People followed through a video.

One person is looked for where they were in the frame before, and searched for if lost; several are looked for by a
person detector in every frame, and told apart by how their boxes overlap.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8

from evolift.posedata.camera import Camera
from evolift.prediction.persons.person_search import box_on_grid
from evolift.prediction.pose_prediction import OutOfSightError, PosePrediction
from evolift.prediction.tracking.box_tracker import BoxTracker

MIN_CONFIDENCE = 0.1
"""Mean confidence of the joints below which nobody is taken to be there. A heatmap that says nothing has 0.016, one of
a person seen clearly by a well-trained detector 0.3 and more (see `evolift.detector2d.soft_argmax.CLOSE`)."""
_MIN_SIDE = 8.0  # px; a smaller person cannot be told from a spot


@runtime_checkable
class PersonPipeline(Protocol):
    """What a `Pipeline` does for one person in one image."""

    def predict(
        self,
        image: UInt8[np.ndarray, "height width 3"],
        box: Sequence[float] | None = None,
        camera: Camera | None = None,
    ) -> PosePrediction:
        """The pose of the person in a box, or of one who is searched for."""
        ...


class PersonFollower:
    """Finds a person in one frame after the other.

    Args:
        pipeline: of detector and lifter.
        camera: of the video, None if it is unknown.
        box: (left, top, width, height) of the person in the first frame, pixels; None to look for them.
        min_confidence: mean of the joints, if it shall be more than `MIN_CONFIDENCE`.

    Attributes:
        out_of_sight: how often somebody was found whose joints span more than the camera can see.
    """

    def __init__(
        self,
        pipeline: PersonPipeline,
        camera: Camera | None = None,
        box: Sequence[float] | None = None,
        min_confidence: float = 0.0,
    ) -> None:
        self.pipeline, self.camera, self._box = pipeline, camera, box
        self.min_confidence = max(min_confidence, MIN_CONFIDENCE)
        self.out_of_sight = 0
        self._tracker = BoxTracker()

    def __call__(self, image: UInt8[np.ndarray, "height width 3"]) -> list[tuple[PosePrediction, str]]:
        """Pose and track of the person in the next frame, empty if nobody is found.

        A person found far from where the last one was begins a new track.
        """
        try:
            pose = None
            if self._box is not None:
                pose = self.pipeline.predict(image, self._box, self.camera)
            if pose is None or not self._is_there(pose):
                pose = self.pipeline.predict(image, None, self.camera)
        except OutOfSightError:
            self.out_of_sight += 1
            pose = None
        if pose is None or not self._is_there(pose):
            self._box = None
            self._tracker.update(np.zeros((0, 4)))
            return []
        self._box = box_on_grid(pose.bounds)
        return [(pose, self._tracker.update(np.array([self._box]))[0])]

    def _is_there(self, pose: PosePrediction) -> bool:
        left, top, width, height = pose.bounds
        in_image = (
            left < pose.image_size[0] and top < pose.image_size[1] and left + width > 0 and top + height > 0
        )
        is_large = max(width, height) >= _MIN_SIDE
        return in_image and is_large and float(pose.confidence.mean()) >= self.min_confidence


class PeopleFollower:
    """Finds all people in one frame after the other.

    Args:
        pipeline: of detector and lifter.
        find: boxes (left, top, width, height) of the people in a frame, pixels.
        camera: of the video, None if it is unknown.

    Attributes:
        out_of_sight: how often somebody was found whose joints span more than the camera can see.
    """

    def __init__(
        self,
        pipeline: PersonPipeline,
        find: Callable[[UInt8[np.ndarray, "height width 3"]], Float[np.ndarray, "people 4"]],
        camera: Camera | None = None,
    ) -> None:
        self.pipeline, self.find, self.camera = pipeline, find, camera
        self.out_of_sight = 0
        self._tracker = BoxTracker()

    def __call__(self, image: UInt8[np.ndarray, "height width 3"]) -> list[tuple[PosePrediction, str]]:
        """Pose and track of everybody in the next frame; empty if there is nobody."""
        boxes = self.find(image)
        answers = []
        for box, track in zip(boxes, self._tracker.update(boxes), strict=True):
            try:
                answers.append((self.pipeline.predict(image, box.tolist(), self.camera), track))
            except OutOfSightError:
                self.out_of_sight += 1
        return answers
