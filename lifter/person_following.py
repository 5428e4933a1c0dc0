"""People followed through a video.

One person is looked for where they were in the frame before, in the whole picture if lost; several are looked for by a
person detector in every frame, and told apart by how their boxes overlap.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float, UInt8

from lifter.pipeline import Pipeline, PosePrediction
from posedata.camera import Camera
from posedata.predicting.box_tracker import BoxTracker

LEAST_CONFIDENCE = 0.1
"""Mean confidence of the joints below which nobody is taken to be there. A heatmap that says nothing has 0.016, one of
a person seen clearly by a well-trained detector 0.3 and more (see `detector2d.soft_argmax.CLOSE`)."""
_LEAST_SIDE = 8.0  # px; a smaller person cannot be told from a spot


class PersonFollower:
    """Finds a person in one frame after the other.

    Args:
        pipeline: of detector and lifter.
        camera: of the video, None if it is unknown.
        box: (left, top, width, height) of the person in the first frame, pixels; None to look for them.
    """

    def __init__(
        self, pipeline: Pipeline, camera: Camera | None = None, box: Sequence[float] | None = None
    ) -> None:
        self.pipeline, self.camera, self._box = pipeline, camera, box
        self._tracker = BoxTracker()

    def __call__(self, image: UInt8[np.ndarray, "height width 3"]) -> tuple[PosePrediction, str] | None:
        """Pose and track of the person in the next frame, None if nobody is found.

        A person found far from where the last one was begins a new track.
        """
        pose = None
        if self._box is not None:
            pose = self.pipeline.predict(image, self._box, self.camera)
        if pose is None or not _is_there(pose):
            pose = self.pipeline.predict(image, None, self.camera)
        if not _is_there(pose):
            self._box = None
            self._tracker.update(np.zeros((0, 4)))
            return None
        self._box = pose.bounds
        return pose, self._tracker.update(np.array([self._box]))[0]


class PeopleFollower:
    """Finds all people in one frame after the other.

    Args:
        pipeline: of detector and lifter.
        find: boxes (left, top, width, height) of the people in a frame, pixels.
        camera: of the video, None if it is unknown.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        find: Callable[[UInt8[np.ndarray, "height width 3"]], Float[np.ndarray, "people 4"]],
        camera: Camera | None = None,
    ) -> None:
        self.pipeline, self.find, self.camera = pipeline, find, camera
        self._tracker = BoxTracker()

    def __call__(self, image: UInt8[np.ndarray, "height width 3"]) -> list[tuple[PosePrediction, str]]:
        """Pose and track of everybody in the next frame; empty if there is nobody."""
        boxes = self.find(image)
        tracks = self._tracker.update(boxes)
        return [
            (self.pipeline.predict(image, box.tolist(), self.camera), track)
            for box, track in zip(boxes, tracks, strict=True)
        ]


def _is_there(pose: PosePrediction) -> bool:
    left, top, width, height = pose.bounds
    in_picture = (
        left < pose.image_size[0] and top < pose.image_size[1] and left + width > 0 and top + height > 0
    )
    is_large = max(width, height) >= _LEAST_SIDE
    return in_picture and is_large and float(pose.confidence.mean()) >= LEAST_CONFIDENCE
