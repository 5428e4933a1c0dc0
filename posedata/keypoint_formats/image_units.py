"""Whether 2D joints are pixels or parts of the image's width and height, and whether they lie in the image.

Parts have 0 at the left and upper edge of the image and 1 at the others; pixels have the centre of the first one at 0.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Bool

from evolift.posedata.errors import InputError
from evolift.posedata.joint_mapping import UNLABELLED
from evolift.posedata.keypoint_formats.keypoints import Keypoints
from evolift.posedata.plausibility import MAX_PIXELS

_MOST = 0.9
"""Parts of an image: so many coordinates lie within 0 and 1. Others may be joints that are guessed beyond the image."""


def pixels_of_parts(people: Keypoints, rows: Bool[np.ndarray, "rows"] | None = None) -> Keypoints:
    """Joints that are parts of the image as pixels, and boxes with them.

    Args:
        people: whose `image_size` is known.
        rows: which are parts; all if None.
    """
    chosen = np.ones(len(people), bool) if rows is None else rows
    sizes = people.image_size.astype(np.float64)
    pixels = (people.joints_2d * sizes[:, None] - 0.5).astype(np.float32)
    pixels = np.where(chosen[:, None, None], pixels, people.joints_2d)
    labelled = (people.visibility != UNLABELLED) & (np.abs(pixels) <= MAX_PIXELS).all(-1)
    boxes = people.box * np.tile(sizes, 2).astype(np.float32)
    boxes[:, :2] -= 0.5
    boxes[(np.abs(boxes) > MAX_PIXELS).any(1)] = np.nan
    is_part = chosen & (np.abs(people.box) <= 1).all(1)
    return replace(
        people,
        joints_2d=np.where(labelled[..., None], pixels, np.float32(0)),
        visibility=np.where(labelled, people.visibility, UNLABELLED).astype(np.uint8),
        confidence=np.where(labelled, people.confidence, np.float32(0)),
        box=np.where(is_part[:, None], boxes, people.box),
    )


def in_pixels(people: Keypoints, where: str, *, by_row: bool = False) -> Keypoints:
    """The people with joints in pixels, whatever their file has.

    Args:
        people: of pixels, or of parts of the image.
        where: the file, for messages.
        by_row: tell each person apart, for streams, instead of all of a file together.

    Raises:
        InputError: joints are parts of images of unknown size, or lie within -1 and 1, which may be of any size.
    """
    parts = _mostly_within(people, 0, by_row)
    centred = _mostly_within(people, -1, by_row) & ~parts
    if centred.any():
        raise InputError(
            f"{where}: its 2D joints lie within -1 and 1, so they are neither pixels nor parts of the image (0 to 1): give pixels"
        )
    if not parts.any():
        return people
    if not (people.image_size[parts] > 0).all():
        raise InputError(
            f"{where}: its 2D joints lie within 0 and 1, so they are parts of the image: give its size by `image_size` WIDTH HEIGHT"
        )
    note = "2D joints lie within 0 and 1, so they are taken to be parts of the image"
    return replace(pixels_of_parts(people, parts), notes=(*people.notes, note))


def _mostly_within(people: Keypoints, low: float, by_row: bool) -> Bool[np.ndarray, "rows"]:
    """For each row whether nearly all of its labelled coordinates, or of those of all rows, lie within `low` and 1."""
    labelled = people.visibility != UNLABELLED
    within = ((people.joints_2d >= low) & (people.joints_2d <= 1)).all(-1) & labelled
    inside, of = within.sum(1), labelled.sum(1)
    if not by_row:
        inside, of = (np.full(len(people), total.sum()) for total in (inside, of))
    enough: np.ndarray = (of > 0) & (inside >= _MOST * of)
    return enough


def beyond_image(people: Keypoints) -> list[str]:
    """A sentence on labelled joints that lie beyond their image, if there are any.

    Of images of unknown size only the left and upper edges are known.
    """
    labelled = people.visibility != UNLABELLED
    is_known: np.ndarray = np.all(people.image_size > 0, axis=1)
    right = np.where(is_known[:, None], people.image_size, np.inf) - 0.5
    over = np.maximum(-0.5 - people.joints_2d, people.joints_2d - right[:, None]).max(-1)
    over = np.where(labelled, over, np.float32(0))
    if not (over > 0).any():
        return []
    rows = np.flatnonzero(np.any(over > 0, axis=1) & is_known)
    sizes = {tuple(size) for size in people.image_size[rows].tolist()}
    size = f" of {' x '.join(map(str, sizes.pop()))} pixels" if len(sizes) == 1 else ""
    return [
        f"{int((over > 0).sum())} of {int(labelled.sum())} joints lie beyond the image{size}, up to {max(float(over.max()), 1):.0f} pixels"
    ]
