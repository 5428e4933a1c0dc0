"""What a detector of joints is, whoever made it: from an image to the joints of its people.

Any object of this form can be given to `evolift.prediction.lifting_pipeline.LiftingPipeline`. Pixels are those of the house: (u, v) =
(column, row), (0, 0) the centre of the top-left one. Who measures from the corner of that pixel, or in parts of the image, is
half a pixel off and says so in its adapter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8

from evolift.posedata.skeleton import Skeleton
from evolift.prediction.persons.box_geometry import box_of_joints, box_overlaps

BOX_PADDING = 1.25
"""The crop of a person shows so many times the box, as MMPose, HRNet, ViTPose and MediaPipe have it."""

Image = UInt8[np.ndarray, "_height _width 3"]
Box = Sequence[float]


class DetectedPeople(NamedTuple):
    """The people of one image.

    Args:
        joints_2d: pixels; any value where the confidence is 0.
        confidence: 0 to 1; 0 for a joint that was not found.
    """

    joints_2d: Float[np.ndarray, "people joints 2"]
    confidence: Float[np.ndarray, "people joints"]


@runtime_checkable
class PeopleDetector(Protocol):
    """Finds the joints of people in images.

    Attributes:
        name: for messages.
        skeleton: of the joints; there must be a mapping from it to the lifter's (`evolift.posedata.joint_mapping`).
        finds_people: whether it finds everybody in an image without boxes. If not, it takes an image for one person.
    """

    @property
    def name(self) -> str:
        """For messages."""
        ...

    @property
    def skeleton(self) -> Skeleton:
        """Of the joints."""
        ...

    @property
    def finds_people(self) -> bool:
        """Whether it finds everybody in an image without boxes."""
        ...

    def __call__(self, image: Image, boxes: Sequence[Box] | None = None) -> DetectedPeople:
        """The people of an image.

        Args:
            image: RGB.
            boxes: (left, top, width, height) of people, pixels; then there is a row for each of them, in their order, of confidence
                0 where nobody is found. None for everybody, or for the one who fills the image.

        Raises:
            InputError: what it is made of cannot be run.
        """
        ...


def people_in_boxes(
    detect: Callable[[Image], DetectedPeople], image: Image, boxes: Sequence[Box], joints: int
) -> DetectedPeople:
    """Joints of the people in boxes, by a detector that takes no boxes: it is shown the piece of the image around each.

    Of several people in a piece the one is taken whose joints overlap the box most.

    Args:
        detect: piece of the image -> its people.
        image: RGB.
        boxes: (left, top, width, height), pixels.
        joints: of the detector's skeleton.
    """
    found = DetectedPeople(np.zeros((len(boxes), joints, 2)), np.zeros((len(boxes), joints)))
    for number, box in enumerate(boxes):
        left, top, right, bottom = _piece(box, image)
        people = detect(np.ascontiguousarray(image[top:bottom, left:right]))
        corner = np.array([left, top])
        best = nearest_person(people._replace(joints_2d=people.joints_2d + corner), box)
        if best is not None:
            found.joints_2d[number] = people.joints_2d[best] + corner
            found.confidence[number] = people.confidence[best]
    return found


def nearest_person(people: DetectedPeople, box: Box) -> int | None:
    """Which of some people overlaps a box (left, top, width, height) most; None if nobody does."""
    bounds = [
        box_of_joints(joints[sure]) if sure.any() else (0.0, 0.0, 0.0, 0.0)
        for joints, sure in zip(people.joints_2d, people.confidence > 0, strict=True)
    ]
    overlaps = box_overlaps(np.array(bounds).reshape(-1, 4), np.array([box], np.float64))[:, 0]
    return int(overlaps.argmax()) if overlaps.size and overlaps.max() > 0 else None


def _piece(box: Box, image: Image) -> tuple[int, int, int, int]:
    """Columns and rows (left, top, right, bottom; the last ones not in it) around a box, at least one of each."""
    height, width = image.shape[:2]
    (left, right), (top, bottom) = (
        (box[axis] - box[axis + 2] * (BOX_PADDING - 1) / 2, box[axis] + box[axis + 2] * (BOX_PADDING + 1) / 2)
        for axis in (0, 1)
    )
    first = (int(np.clip(np.round(left), 0, width - 1)), int(np.clip(np.round(top), 0, height - 1)))
    last = (int(np.clip(np.round(right), 0, width)), int(np.clip(np.round(bottom), 0, height)))
    return *first, max(last[0], first[0] + 1), max(last[1], first[1] + 1)
