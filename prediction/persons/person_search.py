"""Where the people of an image are, told by the pose detector itself: a search over windows of the image.

A detector of the joints in a crop is at a loss where the person fills little of it. So it looks at the whole image
and at windows of it, and then again into the boxes of the joints that it found there, in the end only into those of
the highest confidence so far. That is the mean confidence of the joints, summed over the rounds.

Windows of 0.65 of the longer side, five of them, told the right one as well as any on LSPET photographs (see docs/results.md,
where quarter turns and upright crops are, too: a detector that learnt from rotated people gains nothing by them). Everybody is
looked for in smaller windows as well.

Sums of floats depend on the number of threads in their last digits, and each look into a box that depends on the look before
makes more of such a difference: poses would be millimetres apart. So boxes lie on a grid, and confidences are counted in steps
and the earlier of two equal ones wins; a difference in the last digit is gone after each round, but where it straddles a step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Float, Int64, UInt8

from evolift.detector2d.crop import Box
from evolift.detector2d.detection import detect_joints
from evolift.detector2d.model import DetectorModel
from evolift.prediction.persons.box_geometry import box_of_joints, box_on_grid, box_overlaps, shares_inside

Overlaps = Callable[[Float[np.ndarray, "a 4"], Float[np.ndarray, "b 4"]], Float[np.ndarray, "a b"]]

WINDOW = 0.65
"""Side of the windows in which one person is looked for, in longer sides of the image."""
CROSS = ((0.5, 0.5), (0.0, 0.5), (1.0, 0.5), (0.5, 0.0), (0.5, 1.0))
"""Places of these windows: fractions of the way that a window can go to the right and down."""
SMALL_WINDOW = 0.4
"""Side of the further windows in which everybody is looked for."""
SQUARE = tuple((right, down) for down in (0.0, 0.5, 1.0) for right in (0.0, 0.5, 1.0))
"""Places of the further windows."""
LONG, LONGEST = 1.8, 8
"""Longer over shorter side of images, from which on everybody is looked for in squares of the shorter side as well, each half a side from the next;
in still longer images squares are an eighth of the longer side, so that there are no more of them."""
KEPT = (6, 3)
"""How many boxes of one person are kept after each round."""
KEPT_OF_ALL = (16, 12)
"""The same of everybody, at most."""
MAX_UNION = 0.5
"""Of two of everybody's boxes with a larger intersection over union only the better one is looked into again. One that lies in another is: what a
window with several people shows may be a box around parts of all of them."""
MIN_CONFIDENCE = 0.5
"""Mean confidence of the joints of further people: whoever is less is taken for a part of the background."""
MIN_CONFIDENCE_INSIDE = 0.5
"""What is asked for more, times the part of a further person's box that lies in that of a better one: who overlaps somebody may be parts of them."""
MAX_OVERLAP = 0.6
"""Of two people, of whom more than this part of the smaller one's box lies in the other's, the one of the higher confidence is kept.

So parts of people are not taken for people; who stands right in front of somebody larger is lost."""
STEPS = 1000
"""Of the mean confidence, from 0 to 1."""
_SHARPNESS = 8  # crops' sides that the longer side of an image has at most during the search


class FoundPerson(NamedTuple):
    """Somebody who was found in an image.

    Args:
        box: (left, top, width, height), bounds of the joints, pixels.
        confidence: mean over the joints, 0 to 1.
    """

    box: tuple[float, float, float, float]
    confidence: float


class _Candidates(NamedTuple):
    """What was seen in some boxes.

    Args:
        boxes: bounds of the joints that were seen there, on the grid.
        confidence: mean over the joints, of this round.
        counts: steps of confidence, summed over the rounds.
    """

    boxes: Float[np.ndarray, "boxes 4"]
    confidence: Float[np.ndarray, "boxes"]
    counts: Int64[np.ndarray, "boxes"]


def find_person(
    model: DetectorModel, image: UInt8[np.ndarray, "height width 3"]
) -> tuple[float, float, float, float]:
    """The box (left, top, width, height) in which the one person is best seen whom the detector is most confident of, pixels.

    Args:
        model: put into evaluation mode. One that cannot tell its confidence (a regression head) is asked about the
            whole image alone, and then about the boxes found in it.
        image: RGB.
    """
    return find_people(model, image, max_people=1)[0].box


def find_people(
    model: DetectorModel, image: UInt8[np.ndarray, "height width 3"], *, max_people: int | None = None
) -> list[FoundPerson]:
    """Everybody in an image, at least one, the largest first.

    Args:
        model: put into evaluation mode.
        image: RGB.
        max_people: those of the highest confidence; None for all.
    """
    small, zoom = _reduced(image, _SHARPNESS * max(model.settings.size))
    # Windows are cropped as they are, boxes of joints with what surrounds them.
    windows = search_windows(small.shape[1], small.shape[0], everybody=max_people != 1)
    seen = _seen(model, small, windows, np.zeros(len(windows), np.int64), padding=1.0)
    for kept in KEPT if max_people == 1 else KEPT_OF_ALL:
        best = _best(seen) if max_people == 1 else _best(seen, box_overlaps, MAX_UNION)
        best = best[:kept]
        seen = _seen(model, small, list(seen.boxes[best]), seen.counts[best])
    people = [
        FoundPerson(_enlarged(seen.boxes[index], zoom), float(seen.confidence[index]))
        for index in _sure(seen, _best(seen, shares_inside, MAX_OVERLAP))[:max_people]
    ]
    return sorted(people, key=lambda person: -person.box[2] * person.box[3])


def search_windows(width: int, height: int, *, everybody: bool = False) -> list[Box]:
    """The whole image, and windows of it (left, top, width, height), pixels; windows may reach over a narrow one."""
    boxes: list[Box] = [(-0.5, -0.5, width, height)]
    for part, places in ((WINDOW, CROSS), (SMALL_WINDOW, SQUARE))[: 2 if everybody else 1]:
        boxes += _squares(part * max(width, height), width, height, places)
    longer, shorter = max(width, height), min(width, height)
    if everybody and longer > LONG * shorter:
        side = max(shorter, longer / LONGEST)
        steps = math.ceil(2 * longer / side) - 2
        places = tuple((n / steps, n / steps) for n in range(steps + 1))
        boxes += _squares(side, width, height, places)
    return boxes


def _squares(side: float, width: int, height: int, places: Sequence[tuple[float, float]]) -> list[Box]:
    return [
        ((width - side) * right - 0.5, (height - side) * down - 0.5, side, side) for right, down in places
    ]


def _seen(
    model: DetectorModel,
    image: UInt8[np.ndarray, "height width 3"],
    boxes: Sequence[Box],
    counts: Int64[np.ndarray, "boxes"],
    *,
    padding: float | None = None,
) -> _Candidates:
    """What is seen in boxes of whose people so much confidence was counted before."""
    found = detect_joints(model, image, boxes, padding=padding)
    confidence = found.confidence.mean(-1)
    around = np.array([box_on_grid(box_of_joints(joints)) for joints in found.joints])
    return _Candidates(around, confidence, counts + np.rint(STEPS * confidence).astype(np.int64))


def _best(seen: _Candidates, measure: Overlaps | None = None, max_overlap: float = 0.0) -> list[int]:
    """Indices of candidates by confidence; with a measure of boxes, without those that overlap a better one by more."""
    order: list[int] = np.argsort(-seen.counts, kind="stable").tolist()
    if measure is None:
        return order
    overlaps = measure(seen.boxes, seen.boxes)
    kept: list[int] = []
    for index in order:
        if not kept or overlaps[index, kept].max() <= max_overlap:
            kept.append(index)
    return kept


def _sure(seen: _Candidates, best: list[int]) -> list[int]:
    """The first of these candidates, and those of the others who are sure enough."""
    overlaps = shares_inside(seen.boxes, seen.boxes)
    sure = best[:1]
    for index in best[1:]:
        if seen.confidence[index] >= MIN_CONFIDENCE + MIN_CONFIDENCE_INSIDE * overlaps[index, sure].max():
            sure.append(index)
    return sure


def _enlarged(box: Float[np.ndarray, "4"], zoom: float) -> tuple[float, float, float, float]:
    """A box in the pixels of the whole image."""
    left, top, width, height = box / zoom
    # Boxes begin at the edges of pixels, which are half a pixel before their centres.
    shift = 0.5 / zoom - 0.5
    return float(left + shift), float(top + shift), float(width), float(height)


def _reduced(image: np.ndarray, longest: int) -> tuple[np.ndarray, float]:
    """An image of at most this side, so that a large one is averaged down once and not for each round, and its zoom."""
    zoom = longest / max(image.shape[:2])
    if zoom >= 1:
        return image, 1.0
    size = (max(1, round(image.shape[1] * zoom)), max(1, round(image.shape[0] * zoom)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA), zoom
