"""Where the one person of an image is, told by the pose detector itself: a search over windows of the image.

A detector of the joints in a crop is at a loss where the person fills little of it. So it looks at the whole image
and at windows of half its size, and then again into the boxes of the joints that it found there, each time only into
those of the highest confidence so far. That is the mean confidence of the joints, summed over the rounds.

With windows of half the size, five of them, the sums told the right one best on LSPET photographs 1 to 600 (see
`WINDOWS` and `KEPT`; more windows and rounds gave little for their time).

Sums of floats depend on the number of threads in their last digits, and each look into a box that depends on the look before
makes more of such a difference: poses would be millimetres apart. So boxes lie on a grid, and confidences are counted in steps
and the earlier of two equal ones wins; a difference in the last digit is gone after each round, but where it straddles a step.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from evolift.detector2d.crop import Box
from evolift.detector2d.detection import detect_joints
from evolift.detector2d.model import DetectorModel

WINDOWS = ((0.5, 0.5), (0.0, 0.5), (1.0, 0.5), (0.5, 0.0), (0.5, 1.0))
"""Places of the windows after the whole image: fractions of the way that a window can go to the right and down."""
WINDOW = 0.5
"""Side of the windows, in longer sides of the image."""
KEPT = (3, 2, 1)
"""How many windows or boxes are kept after each round."""
STEPS = 1000
"""Of the mean confidence, from 0 to 1."""
GRID = 256
"""Steps of the grid that boxes lie on in the longer side of a box, rounded up to a power of two pixels.

A coarser one costs: with 64 the confidence on 103 LSPET photographs was 0.011 lower in the mean, and PCK 0.013."""
_SHARPNESS = 8  # crops' sides that the longer side of an image has at most during the search


def find_person(
    model: DetectorModel, image: UInt8[np.ndarray, "height width 3"]
) -> tuple[float, float, float, float]:
    """The box (left, top, width, height) in which the person is best seen, pixels.

    Args:
        model: put into evaluation mode. One that cannot tell its confidence (a regression head) is asked about the
            whole image alone, and then about the boxes found in it.
        image: RGB.
    """
    small, zoom = _reduced(image, _SHARPNESS * max(model.settings.size))
    boxes: list[Box] = search_windows(small.shape[1], small.shape[0])
    padding = 1.0  # windows are cropped as they are, boxes of joints with what surrounds them
    confidence = np.zeros(len(boxes), np.int64)
    for kept in KEPT:
        seen = detect_joints(model, small, boxes, padding=padding)
        confidence += np.rint(STEPS * seen.confidence.mean(-1)).astype(np.int64)
        best = np.argsort(-confidence, kind="stable")[:kept]
        boxes = [box_on_grid(box_of_joints(seen.joints[index])) for index in best]
        confidence = confidence[best]
        padding = model.settings.padding
    left, top, width, height = np.array(boxes[0]) / zoom
    # Boxes begin at the edges of pixels, which are half a pixel before their centres.
    shift = 0.5 / zoom - 0.5
    return float(left + shift), float(top + shift), float(width), float(height)


def search_windows(width: int, height: int) -> list[Box]:
    """The whole image, and `WINDOWS` of it (left, top, width, height), pixels; windows may reach over a narrow one."""
    side = WINDOW * max(width, height)
    boxes: list[Box] = [(-0.5, -0.5, width, height)]
    boxes += [
        ((width - side) * right - 0.5, (height - side) * down - 0.5, side, side) for right, down in WINDOWS
    ]
    return boxes


def box_of_joints(joints: Float[np.ndarray, "joints 2"]) -> tuple[float, float, float, float]:
    """Bounds of joints as (left, top, width, height), at least 2 pixels wide and high."""
    lower, upper = joints.min(0), joints.max(0)
    size = np.maximum(upper - lower, 2)
    left, top = (lower + upper - size) / 2
    return float(left), float(top), float(size[0]), float(size[1])


def box_on_grid(box: Box) -> tuple[float, float, float, float]:
    """A box whose middle and sides are moved to a grid, which is as fine as the box is small.

    So boxes that differ by rounding alone become the same one; the middle and the sides move by a 256th of the longer side at most.

    Args:
        box: (left, top, width, height), pixels.
    """
    left, top, width, height = box
    step = 2.0 ** math.ceil(math.log2(max(width, height) / GRID))
    width, height = (max(1, round(side / step)) * step for side in (width, height))
    middle = (round((at + side / 2) / step) * step for at, side in ((left, box[2]), (top, box[3])))
    across, down = middle
    return across - width / 2, down - height / 2, width, height


def _reduced(image: np.ndarray, longest: int) -> tuple[np.ndarray, float]:
    """An image of at most this side, so that a large one is averaged down once and not for each round, and its zoom."""
    zoom = longest / max(image.shape[:2])
    if zoom >= 1:
        return image, 1.0
    size = (max(1, round(image.shape[1] * zoom)), max(1, round(image.shape[0] * zoom)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA), zoom
