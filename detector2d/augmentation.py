"""Chance in how a person is cropped: rotation, mirroring, scale and colour (Sun et al. 2018), and what other bodies and cameras do."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from evolift.detector2d.settings import AugmentationSettings


@dataclass(frozen=True)
class Photometric:
    """What another camera makes of a crop; the defaults change nothing.

    Args:
        contrast: values lie so many times as far from their mean.
        brightness: is added to them.
        saturation: colours lie so many times as far from grey.
        blur: standard deviation, pixels of the crop.
        quality: of JPEG, 0 to 100; None for no compression.
    """

    contrast: float = 1.0
    brightness: float = 0.0
    saturation: float = 1.0
    blur: float = 0.0
    quality: int | None = None


@dataclass(frozen=True)
class Augmentation:
    """One draw.

    Args:
        angle: radians, clockwise as seen.
        flip: mirror left and right.
        scale: of the shown part of the image; above 1 the person looks smaller.
        gains: of red, green and blue.
        stretch: logarithm by which the crop is drawn out along `direction` and pressed together across it.
        direction: radians.
        photometric: changes of the crop's values; None for none.
    """

    angle: float = 0.0
    flip: bool = False
    scale: float = 1.0
    gains: tuple[float, float, float] = (1.0, 1.0, 1.0)
    stretch: float = 0.0
    direction: float = 0.0
    photometric: Photometric | None = None


def draw_augmentation(generator: np.random.Generator, settings: AugmentationSettings) -> Augmentation:
    """Draw one; always the same number of draws from the generator, but for those of `stretch` and `photometric` where they are 0."""
    rotation_draw, normal_angle, normal_scale = generator.random(), *generator.standard_normal(2)
    flip = generator.random() < settings.flip_probability
    gains = generator.uniform(1 - settings.colour, 1 + settings.colour, 3)
    angle = settings.rotation * float(np.clip(normal_angle, -settings.rotation_clip, settings.rotation_clip))
    stretch, direction = 0.0, 0.0
    if settings.stretch:
        stretch = settings.stretch * float(np.clip(generator.standard_normal(), -2, 2))
        direction = float(generator.uniform(0, math.pi))
    return Augmentation(
        angle=math.radians(angle) if rotation_draw < settings.rotation_probability else 0.0,
        flip=bool(flip),
        scale=1 + settings.scale * float(np.clip(normal_scale, -1, 1)),
        gains=(float(gains[0]), float(gains[1]), float(gains[2])),
        stretch=stretch,
        direction=direction,
        photometric=_draw_photometric(generator, settings.photometric) if settings.photometric else None,
    )


def _draw_photometric(generator: np.random.Generator, share: float) -> Photometric:
    chances, sizes = generator.random(4) / share, generator.random(5)
    contrast, brightness = (0.6 + 0.8 * sizes[0], 50 * (sizes[1] - 0.5)) if chances[0] < 0.5 else (1.0, 0.0)
    saturation = 0.0 if chances[1] < 0.1 else 1.6 * sizes[2] if chances[1] < 0.4 else 1.0
    return Photometric(
        contrast=float(contrast),
        brightness=float(brightness),
        saturation=float(saturation),
        blur=float(0.5 + 1.3 * sizes[3]) if chances[2] < 0.2 else 0.0,
        quality=int(15 + 45 * sizes[4]) if chances[3] < 0.15 else None,
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


def stretched(
    affine: Float[np.ndarray, "2 3"], stretch: float, direction: float, size: tuple[int, int]
) -> Float[np.ndarray, "2 3"]:
    """The affine map of an image into a crop of this size (width, height), with the crop drawn out about its middle.

    Areas stay as they are: what grows by exp(stretch) along `direction` (radians, from right to down) shrinks by as much across it.
    """
    along = np.array([math.cos(direction), math.sin(direction)])
    inner = np.outer(along, along) * (math.exp(stretch) - math.exp(-stretch)) + np.eye(2) * math.exp(-stretch)
    middle = np.array([(size[0] - 1) / 2, (size[1] - 1) / 2])
    moved = affine.copy()
    moved[:, 2] -= middle
    result: np.ndarray = inner @ moved
    result[:, 2] += middle
    return result


def change_values(
    image: UInt8[np.ndarray, "height width 3"], change: Photometric
) -> UInt8[np.ndarray, "height width 3"]:
    """Contrast, brightness and saturation, rounded and cut off at 0 and 255; then blur, then JPEG's losses."""
    values = image.astype(np.float32)
    mean = values.mean()
    values = (values - mean) * change.contrast + mean + change.brightness
    grey = values.mean(2, keepdims=True)
    values = grey + (values - grey) * change.saturation
    changed: np.ndarray = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    if change.blur:
        changed = cv2.GaussianBlur(changed, (0, 0), change.blur)
    if change.quality is not None:
        _, file = cv2.imencode(".jpg", changed[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, change.quality])
        read = cv2.imdecode(file, cv2.IMREAD_COLOR)
        assert read is not None  # of what was just written
        changed = np.ascontiguousarray(read[..., ::-1])
    return changed
