"""Where the people of an image are, told by the pose detector itself: a search over windows and rotations of the image.

A detector of the joints in a crop is at a loss where the person fills little of it, or is upside down. So it looks at the whole
image in its four quarter turns, and at windows of half its size, all in small crops; and then again at the people whose joints
it found there, each upright and filling the crop (`person_view`), always only at those of the highest confidence so far. That is
the mean confidence of the joints, summed over the rounds.

Sums of floats depend on the number of threads in their last digits, and each look at a person that depends on the look before
makes more of such a difference: poses would be millimetres apart. So boxes and angles lie on a grid, and confidences are counted
in steps and the earlier of two equal ones wins; a difference in the last digit is gone after each round, but where it straddles
a step.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from jaxtyping import Float, Int64, UInt8
from torch import nn

from evolift.detector2d.crop import Box
from evolift.detector2d.detection import detect_joints
from evolift.detector2d.model import DetectorModel
from evolift.prediction.persons.person_view import PersonView, box_overlaps, view_of_joints

WINDOWS = ((0.5, 0.5), (0.0, 0.5), (1.0, 0.5), (0.5, 0.0), (0.5, 1.0))
"""Places of the windows after the whole image: fractions of the way that a window can go to the right and down."""
WINDOW = 0.5
"""Side of the windows, in longer sides of the image."""
QUARTER_TURNS = tuple(math.radians(degrees) for degrees in (0, 90, 180, 270))
"""Angles of the crops of the whole image, clockwise; windows are not rotated."""
KEPT = (3, 2)
"""How many views are kept after the first round and the second, of one person."""
KEPT_OF_ALL = 6
"""The same for everybody, after each round."""
MIN_CONFIDENCE = 0.4
"""Mean confidence of the joints of further people: whoever is less is taken for a part of the background or of another person."""
MAX_OVERLAP = 0.4
"""Of two people whose boxes overlap by more (intersection over union) the one of the higher confidence is kept."""
STEPS = 1000
"""Of the mean confidence, from 0 to 1."""
_SHARPNESS = 8  # crops' sides that the longer side of an image has at most during the search
_STRIDE = 32  # px; sides of crops are multiples of a backbone's coarsest stride, which is at most this


def find_person(model: DetectorModel, image: UInt8[np.ndarray, "height width 3"]) -> PersonView:
    """The view in which the one person is best seen whom the detector is most confident of.

    Args:
        model: put into evaluation mode. One that cannot tell its confidence (a regression head) is asked about the
            whole image alone, and then about the person found in it.
        image: RGB.
    """
    small, zoom = _reduced(image, _SHARPNESS * max(model.settings.size))
    views, counts = _first_round(model, small)
    for kept in KEPT:
        best = np.argsort(-counts, kind="stable")[:kept]
        views, counts = _next_round(model, small, [views[index] for index in best], counts[best])
    return _enlarged(views[int(np.argmax(counts))], zoom)


def find_people(
    model: DetectorModel, image: UInt8[np.ndarray, "height width 3"], *, max_people: int | None = None
) -> list[PersonView]:
    """Views of everybody in an image, at least one, the largest first.

    Args:
        model: put into evaluation mode.
        image: RGB.
        max_people: those of the highest confidence; None for all.
    """
    if max_people == 1:
        return [find_person(model, image)]
    small, zoom = _reduced(image, _SHARPNESS * max(model.settings.size))
    views, counts = _first_round(model, small)
    for _ in KEPT:
        best = _apart(views, counts)[:KEPT_OF_ALL]
        views, counts = _next_round(model, small, [views[index] for index in best], counts[best])
    best = _apart(views, counts)
    people = [
        views[index]
        for rank, index in enumerate(best)
        if rank == 0 or views[index].confidence >= MIN_CONFIDENCE
    ]
    people = sorted(people[:max_people], key=lambda view: -view.box[2] * view.box[3])
    return [_enlarged(view, zoom) for view in people]


def view_in_box(
    model: DetectorModel,
    image: UInt8[np.ndarray, "height width 3"],
    box: Box,
) -> PersonView:
    """The view of the person in a box that shows them upright, found by looking at the four quarter turns of the box.

    Args:
        model: put into evaluation mode.
        image: RGB.
        box: (left, top, width, height) along the sides of the image, pixels.
    """
    left, top, width, height = (float(value) for value in box)
    views = _quarter_turns((left, top, width, height))
    found = detect_joints(model, image, [view.box for view in views], angles=[view.angle for view in views])
    seen, counts = _seen(model, found.joints, found.confidence)
    best = seen[int(np.argmax(counts))]
    wide, high = PersonView((0.0, 0.0, width, height), best.angle).bounds[2:]
    around = (left + (width - wide) / 2, top + (height - high) / 2, wide, high)
    return PersonView(around, best.angle, best.confidence)


def search_windows(width: int, height: int) -> list[Box]:
    """The whole image, and `WINDOWS` of it (left, top, width, height), pixels; windows may reach over a narrow one."""
    side = WINDOW * max(width, height)
    boxes: list[Box] = [(-0.5, -0.5, width, height)]
    boxes += [
        ((width - side) * right - 0.5, (height - side) * down - 0.5, side, side) for right, down in WINDOWS
    ]
    return boxes


def _first_round(
    model: DetectorModel, image: UInt8[np.ndarray, "height width 3"]
) -> tuple[list[PersonView], Int64[np.ndarray, "views"]]:
    """Views of the people in the windows, and the confidence in each, counted in steps."""
    whole, *windows = search_windows(image.shape[1], image.shape[0])
    turned = _quarter_turns(whole)
    found = detect_joints(
        model,
        image,
        [*(view.box for view in turned), *windows],
        padding=1.0,
        angles=[*(view.angle for view in turned), *[0.0] * len(windows)],
        size=_search_size(model),
    )
    return _seen(model, found.joints, found.confidence)


def _quarter_turns(box: Box) -> list[PersonView]:
    """A box along the sides of the image, seen in its four quarter turns."""
    left, top, width, height = box
    views = []
    for angle in QUARTER_TURNS:
        # Of an image on its side, the height is along the crop's width.
        wide, high = (height, width) if abs(math.sin(angle)) > 0.5 else (width, height)
        views.append(PersonView((left + (width - wide) / 2, top + (height - high) / 2, wide, high), angle))
    return views


def _next_round(
    model: DetectorModel,
    image: UInt8[np.ndarray, "height width 3"],
    views: list[PersonView],
    counts: Int64[np.ndarray, "views"],
) -> tuple[list[PersonView], Int64[np.ndarray, "views"]]:
    """The same people seen in their views, with the confidence of this round added to that of those before."""
    found = detect_joints(model, image, [view.box for view in views], angles=[view.angle for view in views])
    again, more = _seen(model, found.joints, found.confidence)
    return again, counts + more


def _seen(
    model: DetectorModel,
    joints: Float[np.ndarray, "views joints 2"],
    confidence: Float[np.ndarray, "views joints"],
) -> tuple[list[PersonView], Int64[np.ndarray, "views"]]:
    mean = confidence.mean(-1)
    views = [
        view_of_joints(its, model.settings.skeleton, float(sure))
        for its, sure in zip(joints, mean, strict=True)
    ]
    return views, np.rint(STEPS * mean).astype(np.int64)


def _apart(views: list[PersonView], counts: Int64[np.ndarray, "views"]) -> list[int]:
    """Indices of views that show different people, the most confident first."""
    bounds = np.array([view.bounds for view in views])
    overlaps = box_overlaps(bounds, bounds)
    kept: list[int] = []
    for index in np.argsort(-counts, kind="stable"):
        if not kept or overlaps[index, kept].max() <= MAX_OVERLAP:
            kept.append(int(index))
    return kept


def _search_size(model: DetectorModel) -> tuple[int, int]:
    """(width, height) of the crops of the first round: about 0.6 of the model's, if it consists of convolutions alone."""
    width, height = model.settings.size
    convolutions = (nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d)
    for module in model.modules():
        if next(module.parameters(recurse=False), None) is not None and not isinstance(module, convolutions):
            return width, height
    return tuple(max(_STRIDE, _STRIDE * round(0.6 * side / _STRIDE)) for side in (width, height))  # type: ignore[return-value]


def _enlarged(view: PersonView, zoom: float) -> PersonView:
    """A view in the pixels of the whole image."""
    left, top, width, height = np.array(view.box) / zoom
    # Boxes begin at the edges of pixels, which are half a pixel before their centres.
    shift = 0.5 / zoom - 0.5
    return view._replace(box=(float(left + shift), float(top + shift), float(width), float(height)))


def _reduced(image: np.ndarray, longest: int) -> tuple[np.ndarray, float]:
    """An image of at most this side, so that a large one is averaged down once and not for each round, and its zoom."""
    zoom = longest / max(image.shape[:2])
    if zoom >= 1:
        return image, 1.0
    size = (max(1, round(image.shape[1] * zoom)), max(1, round(image.shape[0] * zoom)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA), zoom
