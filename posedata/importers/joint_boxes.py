"""Boxes of people around their labelled joints, for data sets that have no boxes of their own."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from evolift.posedata.joint_mapping import UNLABELLED

BOX_SCALE = 1.25
MIN_JOINTS = 6


def joint_boxes(
    joints: Float32[np.ndarray, "people joints 2"],
    visibility: UInt8[np.ndarray, "people joints"],
    min_joints: int = MIN_JOINTS,
) -> tuple[Float32[np.ndarray, "people 4"], Bool[np.ndarray, "people"]]:
    """Boxes around the labelled joints, padded to `BOX_SCALE` of their size.

    Args:
        joints: pixels.
        visibility: 0 unlabelled, 1 labelled but hidden, 2 visible.
        min_joints: labelled joints that a box of use needs.

    Returns:
        Boxes (left, top, width, height), and which of them are of use: not those of people with too few labelled
        joints, or with all of them within one row or column of pixels.
    """
    is_labelled = (visibility > UNLABELLED)[..., None]
    low = np.where(is_labelled, joints, np.inf).min(1)
    high = np.where(is_labelled, joints, -np.inf).max(1)
    is_usable = (is_labelled.sum((1, 2)) >= min_joints) & (high - low >= 1).all(1)
    low, high = (np.where(is_usable[:, None], corner, 0) for corner in (low, high))
    size = BOX_SCALE * (high - low)
    box = np.concatenate([(low + high - size) / 2, size], 1)
    return box.astype(np.float32), is_usable
