"""Chance in how a person is cropped: rotation, mirroring, scale and colour (Sun et al. 2018)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import UInt8

from evolift.detector2d.settings import AugmentationSettings


@dataclass(frozen=True)
class Augmentation:
    """One draw.

    Args:
        angle: radians, clockwise as seen.
        flip: mirror left and right.
        scale: of the shown part of the image; above 1 the person looks smaller.
        gains: of red, green and blue.
    """

    angle: float = 0.0
    flip: bool = False
    scale: float = 1.0
    gains: tuple[float, float, float] = (1.0, 1.0, 1.0)


def draw_augmentation(generator: np.random.Generator, settings: AugmentationSettings) -> Augmentation:
    """Draw one; always the same number of draws from the generator."""
    rotation_draw, normal_angle, normal_scale = generator.random(), *generator.standard_normal(2)
    flip = generator.random() < settings.flip_probability
    gains = generator.uniform(1 - settings.colour, 1 + settings.colour, 3)
    angle = settings.rotation * float(np.clip(normal_angle, -settings.rotation_clip, settings.rotation_clip))
    return Augmentation(
        angle=math.radians(angle) if rotation_draw < settings.rotation_probability else 0.0,
        flip=bool(flip),
        scale=1 + settings.scale * float(np.clip(normal_scale, -1, 1)),
        gains=(float(gains[0]), float(gains[1]), float(gains[2])),
    )


def change_colours(
    image: UInt8[np.ndarray, "height width 3"], gains: tuple[float, float, float]
) -> UInt8[np.ndarray, "height width 3"]:
    """Each channel times its gain, rounded and cut off at 255."""
    if gains == (1.0, 1.0, 1.0):
        return image
    table = np.arange(256)[:, None] * np.array(gains)
    lookup = np.clip(np.rint(table), 0, 255).astype(np.uint8)[:, None, :]
    changed: np.ndarray = cv2.LUT(image, lookup)
    return changed
