"""The one affine map between an image and the crop that the detector sees.

Pixels follow `evolift.posedata.camera`: the centre of the top-left pixel is (0, 0), so an image of width W extends from
-1/2 to W - 1/2. A box (left, top, width, height) is in the same coordinates; the whole image is
(-0.5, -0.5, W, H). Joints inside the detector are fractions of the crop's extent, (u + 1/2) / W - 1/2: -1/2 is the
left edge of the leftmost pixel and 1/2 the right edge of the rightmost. Heatmap cells have the same extent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from evolift.posedata.errors import InputError

Image = UInt8[np.ndarray, "_height _width 3"]
Box = Sequence[float | int] | Float[np.ndarray, "4"]


def crop_from_image(
    box: Box,
    size: tuple[int, int],
    *,
    padding: float = 1.0,
    scale: float = 1.0,
    angle: float = 0.0,
    flip: bool = False,
) -> Float[np.ndarray, "2 3"]:
    """Affine map from image pixels to crop pixels, a similarity (no stretching).

    The box is widened to the aspect of the crop, mirrored, rotated, and scaled about its centre, which
    comes to lie in the middle of the crop.

    Args:
        box: (left, top, width, height), pixels.
        size: (width, height) of the crop, pixels.
        padding: the crop shows this many times the widened box.
        scale: as `padding` (kept apart because augmentation draws it); above 1 the person looks smaller.
        angle: radians; positive rotates the image clockwise as seen.
        flip: mirror left and right.

    Raises:
        InputError: the box has no area or is not finite.
    """
    left, top, box_width, box_height = (float(value) for value in box)
    if not all(map(math.isfinite, (left, top, box_width, box_height))) or box_width <= 0 or box_height <= 0:
        raise InputError(
            f"box (left {left:g}, top {top:g}, width {box_width:g}, height {box_height:g}) has no area: give a box with positive width and height"
        )
    width, height = size
    shown = max(box_width, box_height * width / height) * padding * scale
    zoom = width / shown
    c, s = zoom * math.cos(angle), zoom * math.sin(angle)
    linear = np.array([[c, -s], [s, c]])
    if flip:
        linear[:, 0] *= -1
    centre = np.array([left + box_width / 2, top + box_height / 2])
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    return np.concatenate([linear, (middle - linear @ centre)[:, None]], 1)


def invert_affine(affine: Float[np.ndarray, "2 3"]) -> Float[np.ndarray, "2 3"]:
    """The inverse (2, 3) of an affine map."""
    linear = np.linalg.inv(affine[:, :2])
    return np.concatenate([linear, -(linear @ affine[:, 2:])], 1)


def apply_affine(
    affine: Float[np.ndarray, "2 3"], points: Float[np.ndarray, "*batch 2"]
) -> Float[np.ndarray, "*batch 2"]:
    """Points (u, v) through an affine map."""
    mapped: np.ndarray = points @ affine[:, :2].T + affine[:, 2]
    return mapped


def warp_crop(
    image: Image, affine: Float[np.ndarray, "2 3"], size: tuple[int, int], *, outside: int = 0
) -> UInt8[np.ndarray, "crop_height crop_width 3"]:
    """Cut the crop out of the image.

    Where the crop shrinks the image to less than half, the image is first averaged down by a whole
    factor, because bilinear interpolation alone would skip pixels.

    Args:
        image: RGB.
        affine: from `crop_from_image`.
        size: (width, height) of the crop.
        outside: grey level of what lies outside the image, 0 to 255.
    """
    zoom = math.sqrt(abs(float(np.linalg.det(affine[:, :2]))))
    factor = int(1 / zoom) if zoom < 0.5 else 1
    if factor > 1:
        image, affine = shrink(image, affine, factor)
    border = (outside, outside, outside)
    warped: np.ndarray = cv2.warpAffine(image, affine, size, flags=cv2.INTER_LINEAR, borderValue=border)
    return warped


def shrink(
    image: Image, affine: Float[np.ndarray, "2 3"], factor: int
) -> tuple[UInt8[np.ndarray, "smaller_height smaller_width 3"], Float[np.ndarray, "2 3"]]:
    """An image averaged down by about `factor`, and the affine map from it instead."""
    height, width = image.shape[:2]
    small = (max(1, round(width / factor)), max(1, round(height / factor)))
    shrunk = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
    return shrunk, affine_of_resized(affine, (width, height), small)


def affine_of_resized(
    affine: Float[np.ndarray, "2 3"], size: tuple[int, int], resized: tuple[int, int]
) -> Float[np.ndarray, "2 3"]:
    """The map that takes pixels of a resized image where `affine` takes those of the original.

    Args:
        affine: from the image of `size` (width, height).
        size, resized: extents of the two images; their edges coincide.
    """
    ratio = np.array(size) / np.array(resized)
    shift = 0.5 * ratio - 0.5
    return np.concatenate([affine[:, :2] * ratio, (affine[:, :2] @ shift + affine[:, 2])[:, None]], 1)


def crop_to_fraction(
    points: Float[np.ndarray, "*batch 2"], size: tuple[int, int]
) -> Float[np.ndarray, "*batch 2"]:
    """Crop pixels as fractions of the crop's extent."""
    fraction: np.ndarray = (points + 0.5) / np.array(size, points.dtype) - 0.5
    return fraction


def crop_to_image(
    joints: Float[Tensor, "batch joints axes"],
    image_from_crop: Float[Tensor, "batch 2 3"],
    size: tuple[int, int],
) -> Float[Tensor, "batch joints 2"]:
    """Joints in pixels of the image, from fractions of the crop; differentiable.

    Args:
        joints: (u, v) or (u, v, z); z is ignored.
        image_from_crop: inverse of `crop_from_image`, as `samples` puts it into batches.
        size: (width, height) of the crop, pixels.
    """
    extent = torch.tensor(size, dtype=joints.dtype, device=joints.device)
    pixels = (joints[..., :2] + 0.5) * extent - 0.5
    affine = image_from_crop.to(joints.dtype)[:, None]
    # Written out: under autocast a matrix product would round pixels to half precision, which is pixels wrong.
    return affine[..., 0] * pixels[..., :1] + affine[..., 1] * pixels[..., 1:] + affine[..., 2]


def rotate_3d(
    joints: Float[np.ndarray, "joints 3"], affine: Float[np.ndarray, "2 3"]
) -> Float[np.ndarray, "joints 3"]:
    """Root-relative camera coordinates of the person as the crop shows them.

    The crop's rotation is a rotation of the camera about its optical axis and its mirroring negates x, so x
    and y go through the rotation and mirroring of `affine` and z stays. (About the image's principal point
    this is exact; the crop rotates about the person instead, which differs by the small perspective change of
    moving the person sideways.) When `affine` mirrors, left and right joints must be swapped by the caller.
    """
    zoom = math.sqrt(abs(float(np.linalg.det(affine[:, :2]))))
    rotated = joints.copy()
    rotated[:, :2] = joints[:, :2] @ (affine[:, :2] / zoom).T
    return rotated
