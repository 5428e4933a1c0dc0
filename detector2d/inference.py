"""Joints of one person in one picture."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float32, UInt8

from detector2d.crop import Box, crop_from_image, crop_to_image, invert_affine, warp_crop
from detector2d.evaluation import detect_crops
from detector2d.model import DEPTH_RANGE, DetectorModel
from posedata.image_file import read_image

__all__ = ["DetectedJoints", "detect_joints", "read_image"]


class DetectedJoints(NamedTuple):
    """What `detect_joints` found.

    Args:
        joints: pixels.
        confidence: in (0, 1].
        depth: root-relative mm, away from the camera; None from a 2D detector.
    """

    joints: Float32[np.ndarray, "joints 2"]
    confidence: Float32[np.ndarray, "joints"]
    depth: Float32[np.ndarray, "joints"] | None


@torch.no_grad()
def detect_joints(
    model: DetectorModel,
    image: UInt8[np.ndarray, "height width 3"],
    box: Box | None = None,
    *,
    hard: bool = False,
    flip: bool = False,
) -> DetectedJoints:
    """Joints of the person in a box.

    Args:
        model: put into evaluation mode.
        image: RGB.
        box: (left, top, width, height) of the person in pixels. Without one the picture is looked at twice: as a
            whole, and then in the box of the joints that were found.
        hard: largest cell instead of the expectation.
        flip: average with what is found in the mirrored crop.

    Raises:
        InputError: the box has no area or lies outside the picture.
    """
    model.eval()
    if box is None:
        box = find_person(model, image)
    return _detect(model, image, box, model.settings.padding, hard, flip)


def find_person(
    model: DetectorModel, image: UInt8[np.ndarray, "height width 3"]
) -> tuple[float, float, float, float]:
    """Bounds (left, top, width, height) of the joints found in a first look at the whole picture, pixels."""
    height, width = image.shape[:2]
    model.eval()
    with torch.no_grad():
        return box_of_joints(_detect(model, image, (-0.5, -0.5, width, height), 1.0, False, False).joints)


def box_of_joints(joints: Float32[np.ndarray, "joints 2"]) -> tuple[float, float, float, float]:
    """Bounds of joints as (left, top, width, height), at least 2 pixels wide and high."""
    least, most = joints.min(0), joints.max(0)
    size = np.maximum(most - least, 2)
    left, top = (least + most - size) / 2
    return float(left), float(top), float(size[0]), float(size[1])


def _detect(
    model: DetectorModel, image: np.ndarray, box: Box, padding: float, hard: bool, flip: bool
) -> DetectedJoints:
    affine = crop_from_image(box, model.settings.size, padding=padding)
    crop = torch.from_numpy(warp_crop(image, affine, model.settings.size))[None]
    images = model.scale_images(crop.to(model.image_mean.device))
    joints, confidence = detect_crops(model, images, hard=hard, flip=flip)
    back = torch.from_numpy(invert_affine(affine))[None].float()
    pixels = crop_to_image(joints.cpu(), back, model.settings.size)[0].numpy()
    depth = (joints[0, :, 2] * DEPTH_RANGE).cpu().numpy() if joints.shape[-1] == 3 else None
    return DetectedJoints(pixels, confidence[0].cpu().numpy(), depth)
