"""Joints of the people in given boxes of an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float32, UInt8

from evolift.detector2d.crop import Box, crop_from_image, crop_to_image, invert_affine, warp_crop
from evolift.detector2d.flip_test import detect_crops
from evolift.detector2d.model import DEPTH_RANGE, DetectorModel


class DetectedJoints(NamedTuple):
    """What a detector finds in boxes of an image, one person in each.

    Args:
        joints: pixels.
        confidence: in (0, 1].
        depth: root-relative mm, away from the camera; None from a 2D detector.
    """

    joints: Float32[np.ndarray, "boxes joints 2"]
    confidence: Float32[np.ndarray, "boxes joints"]
    depth: Float32[np.ndarray, "boxes joints"] | None


@torch.no_grad()
def detect_joints(
    model: DetectorModel,
    image: UInt8[np.ndarray, "height width 3"],
    boxes: Sequence[Box],
    *,
    padding: float | None = None,
    hard: bool = False,
    flip_test: bool = False,
) -> DetectedJoints:
    """Joints in each of several boxes of an image, found in one batch.

    Args:
        model: put into evaluation mode.
        image: RGB.
        boxes: (left, top, width, height), pixels.
        padding: crops show this many times the box; the padding that the model was trained with if left out.
        hard, flip_test: see `evolift.detector2d.flip_test.detect_crops`.

    Raises:
        InputError: a box has no area.
    """
    model.eval()
    size = model.settings.size
    padding = model.settings.padding if padding is None else padding
    affines = [crop_from_image(box, size, padding=padding) for box in boxes]
    crops = torch.from_numpy(np.stack([warp_crop(image, affine, size) for affine in affines]))
    found = detect_crops(
        model, model.scale_images(crops.to(model.image_mean.device)), hard=hard, flip_test=flip_test
    )
    joints, confidence = found.joints, found.confidence
    back = torch.from_numpy(np.stack([invert_affine(affine) for affine in affines])).float()
    depth = (joints[..., 2] * DEPTH_RANGE).cpu().numpy() if joints.shape[-1] == 3 else None
    return DetectedJoints(crop_to_image(joints.cpu(), back, size).numpy(), confidence.cpu().numpy(), depth)
