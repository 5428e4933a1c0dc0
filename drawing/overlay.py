"""Skeletons and person boxes drawn on images.

Images are RGB, uint8, (height, width, 3); pixels are (u, v) = (column, row) with (0, 0) the centre of the
top-left one, as everywhere in this package. Nothing is drawn in place: each function returns a new image.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt
from jaxtyping import Float, UInt8

from evolift.drawing.colours import HALO_COLOUR, INK_COLOUR, Colour, joint_colours
from evolift.posedata.joint_mapping import HIDDEN, UNLABELLED, VISIBLE, VISIBLE_CONFIDENCE
from evolift.posedata.skeleton import Skeleton

LINE_PER_SIDE = 1 / 160
"""Width of a bone as a part of the image's shorter side; at least one pixel."""
TEXT_PER_SIDE = 1 / 28
"""Height of capital letters as a part of the image's shorter side."""
_SIGMA_IN_WORDS = "disc: one sigma of the 3D joint"
_DISC_OPACITY = 0.4
_FARTHEST = 1e9  # pixels; differences of larger ones could overflow
_SHIFT = 4  # OpenCV takes coordinates as integers of 1/16 pixel


def draw_joints(
    image: UInt8[np.ndarray, "height width 3"],
    joints_2d: Float[np.ndarray, "*people joints 2"],
    skeleton: Skeleton,
    *,
    visibility: UInt8[np.ndarray, "*people joints"] | None = None,
    confidence: Float[np.ndarray, "*people joints"] | None = None,
    sigma_px: Float[np.ndarray, "*people joints"] | None = None,
) -> UInt8[np.ndarray, "height width 3"]:
    """A copy of an image with one or several skeletons on it, lines scaled to the image.

    Right side vermilion, left blue, the rest green (see `evolift.drawing.colours`). A hidden joint, or one of low confidence, is a ring
    and its bones are thin; an unlabelled joint, or one that is not finite, is left out with its bones.

    Args:
        image: RGB image.
        joints_2d: pixels; any number of leading dimensions for people.
        skeleton: of the joints.
        visibility: 0 unlabelled, 1 hidden, 2 visible; all visible if None.
        confidence: 0 to 1; joints below `VISIBLE_CONFIDENCE` are drawn as hidden ones.
        sigma_px: radii of translucent discs that show how sure the 3D joints are, see `sigma_in_pixels`; words in a corner tell what they
            are. NaN for none.

    Raises:
        ValueError: shapes do not fit each other or the skeleton, or the image is not RGB uint8.
    """
    joints, seen = _people(image, joints_2d, skeleton, visibility, confidence, sigma_px)
    canvas = np.ascontiguousarray(image).copy()
    width = max(1, round(min(image.shape[:2]) * LINE_PER_SIDE))
    if sigma_px is not None:
        canvas = _with_discs(
            canvas, joints, np.where(seen == UNLABELLED, np.nan, sigma_px.reshape(seen.shape)), skeleton
        )
    for person, person_seen in zip(joints, seen, strict=True):
        _draw_person(canvas, person, person_seen, skeleton, width)
    if sigma_px is not None:
        _write(canvas, _SIGMA_IN_WORDS, (0, image.shape[0]), max(1, width // 2), INK_COLOUR)
    return canvas


def sigma_in_pixels(
    joints_2d: Float[np.ndarray, "*people joints 2"],
    joints_3d: Float[np.ndarray, "*people joints 3"],
    sigma_mm: Float[np.ndarray, "*people joints"] | None,
) -> Float[np.ndarray, "*people joints"] | None:
    """How large the sigma of 3D joints is in the image, in the scale that the person has there.

    The scale is that of x and y of the 3D joints to the 2D ones, of all joints that have both.

    Args:
        joints_2d: pixels, NaN where unknown.
        joints_3d: mm, in the frame of the camera, NaN where unknown.
        sigma_mm: of each joint; None gives None.

    Returns:
        Radii in pixels; NaN for people whose scale is not known.
    """
    if sigma_mm is None:
        return None
    plane = joints_3d[..., :2].astype(np.float64)
    known = np.isfinite(joints_2d).all(-1) & np.isfinite(plane).all(-1)
    spreads = []
    for points in (joints_2d, plane):
        kept = np.where(known[..., None], points, 0).astype(np.float64)
        middle = kept.sum(-2, keepdims=True) / np.maximum(known.sum(-1), 1)[..., None, None]
        spreads.append(np.where(known[..., None], kept - middle, 0.0) ** 2)
    pixels, mm = (spread.sum((-2, -1)) for spread in spreads)
    scale = np.sqrt(pixels / np.where(mm > 0, mm, np.nan))
    return np.asarray(sigma_mm * scale[..., None])


def draw_box(
    image: UInt8[np.ndarray, "height width 3"],
    box: Float[np.ndarray, "4"],
    *,
    colour: Colour = INK_COLOUR,
    label: str = "",
) -> UInt8[np.ndarray, "height width 3"]:
    """A copy of an image with a person box (left, top, width, height; pixels) on it.

    Args:
        image: RGB image.
        box: of the person.
        colour: of the box.
        label: written inside the upper left corner of what can be seen of the box; letters beyond ASCII show as "?".

    Raises:
        ValueError: the box is not finite, or the image is not RGB uint8.
    """
    _check_image(image)
    if np.shape(box) != (4,) or not np.isfinite(box).all():
        raise ValueError(f"a box must be four finite numbers (got {box})")
    canvas = np.ascontiguousarray(image).copy()
    width = max(1, round(min(image.shape[:2]) * LINE_PER_SIDE / 2))
    left, top, box_width, box_height = (float(value) for value in box)
    corners = np.array([[left, top], [left + box_width, top], [left + box_width, top + box_height]])
    corners = np.concatenate([corners, [[left, top + box_height]]])
    for rim, ink in ((width + 2, HALO_COLOUR), (width, colour)):
        for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            _line(canvas, start, end, ink, rim)
    if label:
        _write(canvas, label, (left, top), width, colour)
    return canvas


def _write(
    canvas: UInt8[np.ndarray, "height width 3"],
    text: str,
    corner: tuple[float, float],
    width: int,
    colour: Colour,
) -> None:
    """Text on a patch, its upper left corner at a point, or at the nearest one at which all of it can be read."""
    size = max(
        0.35, min(canvas.shape[:2]) * TEXT_PER_SIDE / 22
    )  # a font of OpenCV is 22 pixels high at size 1
    plain = text.encode("ascii", "replace").decode("ascii")
    (text_width, text_height), below = cv2.getTextSize(plain, cv2.FONT_HERSHEY_SIMPLEX, size, width)
    gap = 2 * width + 1
    extent = np.array([text_width, text_height + below]) + 2 * gap
    limit = np.array([canvas.shape[1], canvas.shape[0]]) - extent
    left, top = np.clip(np.round(corner), 0, np.maximum(limit, 0)).astype(int).tolist()
    canvas[top : top + extent[1], left : left + extent[0]] = HALO_COLOUR
    base = (left + gap, top + gap + text_height)
    cv2.putText(canvas, plain, base, cv2.FONT_HERSHEY_SIMPLEX, size, colour, width, cv2.LINE_AA)


def _check_image(image: npt.NDArray[np.generic]) -> None:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ValueError(
            f"an image must be uint8 of shape (height, width, 3) (got {image.dtype} of shape {image.shape})"
        )


def _people(
    image: UInt8[np.ndarray, "height width 3"],
    joints_2d: Float[np.ndarray, "*people joints 2"],
    skeleton: Skeleton,
    visibility: UInt8[np.ndarray, "*people joints"] | None,
    confidence: Float[np.ndarray, "*people joints"] | None,
    sigma_px: Float[np.ndarray, "*people joints"] | None,
) -> tuple[Float[np.ndarray, "people joints 2"], UInt8[np.ndarray, "people joints"]]:
    """Joints of all people and how each is to be drawn (0 not, 1 hollow, 2 filled)."""
    _check_image(image)
    if joints_2d.shape[-2:] != (len(skeleton), 2):
        raise ValueError(
            f"joints of skeleton {skeleton.name} must end in ({len(skeleton)}, 2) (got {joints_2d.shape})"
        )
    seen = np.full(joints_2d.shape[:-1], VISIBLE, np.uint8)
    for name, values in (("visibility", visibility), ("confidence", confidence), ("sigma_px", sigma_px)):
        if values is not None and values.shape != seen.shape:
            raise ValueError(f"{name} must have shape {seen.shape} (got {values.shape})")
    if visibility is not None:
        seen = visibility.astype(np.uint8)
    if confidence is not None:
        is_uncertain = ~(confidence >= VISIBLE_CONFIDENCE)  # NaN is uncertain
        seen = np.where(is_uncertain, np.minimum(seen, HIDDEN), seen).astype(np.uint8)
    seen = np.where(np.isfinite(joints_2d).all(-1), seen, UNLABELLED).astype(np.uint8)
    joints = np.clip(joints_2d.reshape(-1, len(skeleton), 2).astype(np.float64), -_FARTHEST, _FARTHEST)
    return joints, seen.reshape(-1, len(skeleton))


def _draw_person(
    canvas: UInt8[np.ndarray, "height width 3"],
    joints: Float[np.ndarray, "joints 2"],
    seen: UInt8[np.ndarray, "joints"],
    skeleton: Skeleton,
    width: int,
) -> None:
    colours = joint_colours(skeleton)
    bones = [(a, b) for a, b in skeleton.bones if seen[a] != UNLABELLED and seen[b] != UNLABELLED]
    thickness = [width if min(seen[a], seen[b]) == VISIBLE else max(1, width // 2) for a, b in bones]
    # All rims first: a rim drawn later would cut the bones that it crosses.
    for (a, b), line in zip(bones, thickness, strict=True):
        _line(canvas, joints[a], joints[b], HALO_COLOUR, line + 2 * max(1, width // 3))
    for (a, b), line in zip(bones, thickness, strict=True):
        _line(canvas, joints[a], joints[b], colours[b], line)
    radius = 1.2 * width + 0.5
    for joint, point in enumerate(joints):
        if seen[joint] == UNLABELLED:
            continue
        _disc(canvas, point, radius + max(1, width // 3), HALO_COLOUR)
        _disc(canvas, point, radius, colours[joint])
        if seen[joint] == HIDDEN:
            _disc(canvas, point, radius * 0.55, HALO_COLOUR)


def _with_discs(
    canvas: UInt8[np.ndarray, "height width 3"],
    joints: Float[np.ndarray, "people joints 2"],
    radii: Float[np.ndarray, "people joints"],
    skeleton: Skeleton,
) -> UInt8[np.ndarray, "height width 3"]:
    """Translucent discs, small ones on large ones and not darker there; radii that are not finite have none."""
    full = canvas.copy()
    colours, largest = joint_colours(skeleton), float(np.hypot(*canvas.shape[:2]))
    for place in np.argsort(-radii, axis=None, kind="stable"):
        person, joint = divmod(int(place), len(skeleton))
        if radii[person, joint] > 0:
            _disc(full, joints[person, joint], min(float(radii[person, joint]), largest), colours[joint])
    mixed: UInt8[np.ndarray, "height width 3"] = cv2.addWeighted(
        full, _DISC_OPACITY, canvas, 1 - _DISC_OPACITY, 0
    )
    return mixed


def _line(
    canvas: UInt8[np.ndarray, "height width 3"],
    start: Float[np.ndarray, "2"],
    end: Float[np.ndarray, "2"],
    colour: Colour,
    width: int,
) -> None:
    segment = _clipped(start, end, canvas.shape[1], canvas.shape[0])
    if segment is not None:
        a, b = (_fixed_point(point) for point in segment)
        cv2.line(canvas, a, b, colour, width, cv2.LINE_AA, _SHIFT)


def _disc(
    canvas: UInt8[np.ndarray, "height width 3"], centre: Float[np.ndarray, "2"], radius: float, colour: Colour
) -> None:
    height, width = canvas.shape[:2]
    if -radius <= centre[0] <= width + radius and -radius <= centre[1] <= height + radius:
        radius_fixed = max(1, round(radius * 2**_SHIFT))
        cv2.circle(canvas, _fixed_point(centre), radius_fixed, colour, cv2.FILLED, cv2.LINE_AA, _SHIFT)


def _fixed_point(point: Float[np.ndarray, "2"]) -> tuple[int, int]:
    return round(float(point[0]) * 2**_SHIFT), round(float(point[1]) * 2**_SHIFT)


def _clipped(
    start: Float[np.ndarray, "2"], end: Float[np.ndarray, "2"], width: int, height: int
) -> tuple[Float[np.ndarray, "2"], Float[np.ndarray, "2"]] | None:
    """The part of a segment near the image, None if there is none (Liang and Barsky 1984).

    Joints of a wrong detection may lie anywhere, and OpenCV's integers overflow far outside the image.
    """
    margin = float(max(width, height))
    low, high = np.array([-margin, -margin]), np.array([width + margin, height + margin])
    first, last = 0.0, 1.0
    for axis in range(2):
        step = float(end[axis] - start[axis])
        if abs(step) < 1e-6:
            if not low[axis] <= start[axis] <= high[axis]:
                return None
            continue
        enter, leave = sorted(((low[axis] - start[axis]) / step, (high[axis] - start[axis]) / step))
        first, last = max(first, enter), min(last, leave)
    if first > last or math.isnan(first) or math.isnan(last):
        return None
    return start + first * (end - start), start + last * (end - start)
