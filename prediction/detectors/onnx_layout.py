"""What an adapter of ONNX files tells of one family of networks: how a crop becomes its input, and its outputs joints."""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float32, UInt8

from evolift.prediction.detectors.people_detector import DetectedPeople
from evolift.prediction.persons.box_geometry import box_overlaps

IMAGENET_MEAN, IMAGENET_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
"""Of red, green and blue from 0 to 255, by which MMPose, HRNet and ViTPose scale their input."""

Crop = UInt8[np.ndarray, "height width 3"]


class InputForm(NamedTuple):
    """The image that a network takes.

    Args:
        width, height: pixels.
        is_channels_last: (1, height, width, 3), as of TensorFlow; else (1, 3, height, width).
    """

    width: int
    height: int
    is_channels_last: bool = False


@runtime_checkable
class OnnxLayout(Protocol):
    """One family of networks.

    Attributes:
        family: for messages.
        joints: how many.
        finds_people: whether it finds everybody in a crop; else it takes the crop for one person.
        outside: grey level around the image, as in the training of the family.
    """

    @property
    def family(self) -> str:
        """For messages."""
        ...

    @property
    def joints(self) -> int:
        """How many."""
        ...

    @property
    def finds_people(self) -> bool:
        """Whether it finds everybody in a crop."""
        ...

    @property
    def outside(self) -> int:
        """Grey level around the image."""
        ...

    def scaled(self, crop: Crop) -> Float32[np.ndarray, "height width 3"]:
        """The colours of an RGB crop as the network takes them."""
        ...

    def people(self, outputs: list[np.ndarray]) -> DetectedPeople:
        """The people of a crop; joints in its pixels, (0, 0) the centre of the top-left one."""
        ...


def imagenet_scaled(crop: Crop) -> Float32[np.ndarray, "height width 3"]:
    """RGB minus the mean and divided by the standard deviation of ImageNet."""
    scaled: np.ndarray = (crop.astype(np.float32) - np.array(IMAGENET_MEAN, np.float32)) / np.array(
        IMAGENET_STD, np.float32
    )
    return scaled


def without_overlaps(
    people: DetectedPeople,
    boxes: Float[np.ndarray, "people 4"],
    scores: Float[np.ndarray, "people"],
    overlap: float,
) -> DetectedPeople:
    """The people of the highest scores, of those whose boxes (left, top, width, height) overlap by more only the first.

    Args:
        people: of a crop.
        boxes, scores: of each.
        overlap: intersection over union.
    """
    kept: list[int] = []
    for row in np.argsort(-scores, kind="stable").tolist():
        if not kept or box_overlaps(boxes[[row]], boxes[kept]).max() <= overlap:
            kept.append(row)
    return DetectedPeople(people.joints_2d[kept], people.confidence[kept])
