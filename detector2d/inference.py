"""Joints of one person in one picture."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, UInt8

from detector2d.crop import Box
from detector2d.model import DetectorModel
from detector2d.person_search import find_person, look
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
        box: (left, top, width, height) of the person in pixels. Without one the person is searched for
            (`detector2d.person_search`).
        hard: largest cell instead of the expectation.
        flip: average with what is found in the mirrored crop.

    Raises:
        InputError: the box has no area.
    """
    if box is None:
        box = find_person(model, image)
    seen = look(model, image, [box], model.settings.padding, hard=hard, flip=flip)
    return DetectedJoints(seen.joints[0], seen.confidence[0], None if seen.depth is None else seen.depth[0])
