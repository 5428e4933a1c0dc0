"""Things pasted over people, so that the detector learns to tell hidden joints (Sarandi et al. 2018).

An occluder is a cut-out with soft edges, kept premultiplied by its opacity: pasting is then one multiplication and
one addition of bytes. Occluders are drawn synthetically here, or cut out of Pascal VOC by `voc_objects`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from evolift.detector2d.settings import OcclusionSettings
from evolift.posedata.joint_mapping import HIDDEN, VISIBLE
from evolift.posedata.seeds import numpy_generator_at

FULL_SIZE = 256
"""Side of the crop for which occluders have their own size."""


@dataclass(frozen=True, eq=False)
class Occluder:
    """One cut-out.

    Args:
        colour: RGB times opacity.
        transparency: 255 minus the opacity.
    """

    colour: UInt8[np.ndarray, "height width 3"]
    transparency: UInt8[np.ndarray, "height width"]

    @classmethod
    def from_rgb(
        cls, rgb: UInt8[np.ndarray, "height width 3"], opacity: UInt8[np.ndarray, "height width"]
    ) -> Occluder:
        """Cut-out from its colours and opacity (0 to 255)."""
        return cls(cv2.multiply(rgb, cv2.merge([opacity] * 3), scale=1 / 255), 255 - opacity)

    def halved(self) -> Occluder:
        """The occluder at half its width and height, at least one pixel each."""
        height, width = self.transparency.shape
        half = (max(1, width // 2), max(1, height // 2))
        return Occluder(
            cv2.resize(self.colour, half, interpolation=cv2.INTER_AREA),
            cv2.resize(self.transparency, half, interpolation=cv2.INTER_AREA),
        )

    @cached_property
    def levels(self) -> tuple[Occluder, ...]:
        """The cut-out, its half, quarter and eighth: shrinking from the next larger needs no averaging."""
        levels = [self]
        while len(levels) < 4:
            levels.append(levels[-1].halved())
        return tuple(levels)


def occlude(
    image: UInt8[np.ndarray, "height width 3"],
    joints: Float[np.ndarray, "joints 2"],
    visibility: UInt8[np.ndarray, "joints"],
    occluders: Sequence[Occluder],
    generator: np.random.Generator,
    settings: OcclusionSettings,
) -> tuple[UInt8[np.ndarray, "height width 3"], UInt8[np.ndarray, "joints"]]:
    """Paste occluders at random places.

    Args:
        image: the crop; it is not changed.
        joints: crop pixels.
        visibility: 0, 1 or 2.
        occluders: to choose from.
        generator: of chance.
        settings: how many and how large.

    Returns:
        The crop, and visibility: a visible joint under an occluder that is at least half opaque is hidden.
    """
    if generator.random() >= settings.occlusion_probability:
        return image, visibility
    height, width = image.shape[:2]
    image, clear = image.copy(), np.full((height, width), 255, np.uint8)
    count = int(generator.integers(settings.min_occluders, settings.max_occluders, endpoint=True))
    chosen = generator.integers(len(occluders), size=count).tolist()
    side = min(width, height) / FULL_SIZE
    low, high = settings.min_occluder_scale, settings.max_occluder_scale
    scales = (generator.uniform(low, high, count) * side).tolist()
    centres = (generator.random((count, 2)) * (width, height) - 0.5).tolist()
    for number, (u, v), scale in zip(chosen, centres, scales, strict=True):
        paste(image, occluders[number], (u, v), scale, clear)
    hidden = _lies_under(clear, joints) & (visibility == VISIBLE)
    return image, np.where(hidden, np.uint8(HIDDEN), visibility)


def paste(
    image: UInt8[np.ndarray, "height width 3"],
    occluder: Occluder,
    centre: tuple[float, float],
    scale: float,
    clear: UInt8[np.ndarray, "height width"] | None = None,
) -> None:
    """Paste an occluder into `image`, in place.

    Args:
        image: changed.
        occluder: what is pasted.
        centre: pixels, where its middle comes to lie (to the nearest whole position).
        scale: of its size.
        clear: least transparency of what was pasted on each pixel; changed too.
    """
    source_height, source_width = occluder.transparency.shape
    width, height = max(1, round(source_width * scale)), max(1, round(source_height * scale))
    left, top = round(centre[0] - (width - 1) / 2), round(centre[1] - (height - 1) / 2)
    x0, y0 = max(0, left), max(0, top)
    x1, y1 = min(image.shape[1], left + width), min(image.shape[0], top + height)
    if x0 >= x1 or y0 >= y1:
        return
    level = occluder.levels[min(3, max(0, math.floor(-math.log2(scale))))]
    inside = np.s_[y0 - top : y1 - top, x0 - left : x1 - left]
    colour = cv2.resize(level.colour, (width, height), interpolation=cv2.INTER_LINEAR)[inside]
    transparency = cv2.resize(level.transparency, (width, height), interpolation=cv2.INTER_LINEAR)[inside]
    region = image[y0:y1, x0:x1]
    thinned = cv2.multiply(region, cv2.merge([transparency] * 3), scale=1 / 255)
    cv2.add(thinned, colour, dst=region)
    if clear is not None:
        part = clear[y0:y1, x0:x1]
        cv2.min(part, transparency, dst=part)


def _lies_under(clear: np.ndarray, joints: np.ndarray) -> np.ndarray:
    height, width = clear.shape
    u, v = np.rint(joints).astype(np.intp).T
    inside = (u >= 0) & (u < width) & (v >= 0) & (v < height)
    under: np.ndarray = inside & (clear[np.clip(v, 0, height - 1), np.clip(u, 0, width - 1)] < 128)
    return under


def synthetic_occluders(count: int = 100, seed: int = 0) -> tuple[Occluder, ...]:
    """Textured rectangles, ellipses and blobs with feathered edges, for when there is no Pascal VOC."""
    return tuple(_draw_occluder(numpy_generator_at(seed, number)) for number in range(count))


def _draw_occluder(generator: np.random.Generator) -> Occluder:
    width, height = (int(side) for side in generator.integers(40, 220, 2))
    shape = np.zeros((height, width), np.uint8)
    middle, axes = (width / 2, height / 2), np.array([width, height]) * 0.42
    kind = generator.integers(3)
    if kind == 0:
        rotated = cv2.boxPoints((middle, (width * 0.7, height * 0.7), float(generator.uniform(-20, 20))))
        cv2.fillPoly(shape, [np.rint(rotated).astype(np.int32)], 255)
    else:
        angles = np.linspace(0, 2 * np.pi, 60, endpoint=False)
        radius = np.ones(60)
        if kind == 2:
            for wave in range(2, 6):
                radius += generator.uniform(0, 0.5 / wave) * np.cos(
                    wave * angles + generator.uniform(0, 2 * np.pi)
                )
            radius /= radius.max()
        outline = middle + radius[:, None] * axes * np.stack([np.cos(angles), np.sin(angles)], 1)
        cv2.fillPoly(shape, [np.rint(outline).astype(np.int32)], 255)
    return Occluder.from_rgb(_texture(generator, width, height), cv2.GaussianBlur(shape, (0, 0), 2.0))


def _texture(generator: np.random.Generator, width: int, height: int) -> np.ndarray:
    """Soft light over one of: plain colour, stripes, or cloudy noise."""
    first, second = generator.uniform(0, 255, (2, 3))
    v, u = np.mgrid[:height, :width]
    kind = generator.integers(3)
    if kind == 0:
        mix = np.zeros((height, width))
    elif kind == 1:
        direction = generator.uniform(0, np.pi)
        phase = (u * np.cos(direction) + v * np.sin(direction)) * 2 * np.pi / generator.uniform(8, 60)
        mix = 0.5 + 0.5 * np.sin(phase)
    else:
        cells = generator.random((max(2, height // 16), max(2, width // 16))).astype(np.float32)
        mix = np.clip(cv2.resize(cells, (width, height), interpolation=cv2.INTER_CUBIC), 0, 1)
    slope = generator.uniform(-0.4, 0.4, 2)
    light = 1 + slope[0] * (u / width - 0.5) + slope[1] * (v / height - 0.5)
    colours = (first + mix[..., None] * (second - first)) * light[..., None]
    colours += generator.normal(0, generator.uniform(0, 12), colours.shape)
    texture: np.ndarray = np.clip(colours, 0, 255).astype(np.uint8)
    return texture
