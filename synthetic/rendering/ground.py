"""The ground under a rendered person: a textured plane seen through the scene's camera, as an image.

Nothing stands below the ground, so it needs no triangles: each pixel below the horizon looks up the texture where
its ray meets the plane.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from evolift.posedata.camera import Camera
from evolift.synthetic.rendering.backdrop import Image, fractal_noise, random_colour

TEXELS = 256


def draw_ground(
    generator: np.random.Generator, camera: Camera, floor: float
) -> tuple[Image, Bool[np.ndarray, "height width"], Float32[np.ndarray, "3"]]:
    """A random ground.

    Args:
        generator: of all draws.
        camera: that sees it; it has no lens distortion.
        floor: height of the plane, world mm.

    Returns:
        Image, which pixels show the ground, and its mean colour.
    """
    texture, texel = _texture(generator)
    mean = texture.mean((0, 1))
    angle = generator.uniform(0, 2 * np.pi)
    column, row = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
    plane = np.stack([column - camera.K[0, 2], row - camera.K[1, 2]], -1) / camera.K[0, 0]
    rays = plane @ camera.R[:2] + camera.R[2]
    height = camera.position[2] - floor
    # Up to 200 m away; beyond is the horizon. A camera below the plane sees none of it.
    seen = (height > 0) & (rays[..., 2] < -height / 200_000)
    distance = np.where(seen, -height / np.where(seen, rays[..., 2], -1), 0)
    x, y = (camera.position[axis] + distance * rays[..., axis] for axis in range(2))
    across = (np.cos(angle) * x + np.sin(angle) * y) / texel
    along = (np.cos(angle) * y - np.sin(angle) * x) / texel
    near = cv2.remap(
        texture,
        np.mod(across, TEXELS).astype(np.float32),
        np.mod(along, TEXELS).astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_WRAP,
    )
    # Where a pixel covers many texels it shows their mean, as in a photograph.
    footprint = distance / camera.K[0, 0] * np.maximum(1, distance / max(height, 1)) / texel
    sharp = (1 / (1 + (footprint / 3) ** 2))[..., None].astype(np.float32)
    return sharp * near + (1 - sharp) * mean, seen, mean


def _texture(generator: np.random.Generator) -> tuple[Image, float]:
    """A square texture that repeats, and the size of its texels in mm."""
    maker = (_grass, _sand, _tiles, _planks, _lanes, _plain)[
        generator.choice(6, p=[0.25, 0.15, 0.15, 0.12, 0.15, 0.18])
    ]
    texture = maker(generator)
    mottled = 1 + np.float32(generator.uniform(0.05, 0.3)) * (_periodic_noise(generator) - 0.5)[..., None]
    return np.clip(texture * mottled, 0, 1).astype(np.float32), float(generator.uniform(6, 18))


def _periodic_noise(generator: np.random.Generator) -> Float32[np.ndarray, "texels texels"]:
    half = fractal_noise(generator, TEXELS // 2, roughness=float(generator.uniform(0.7, 1.0)))
    return np.block([[half, half[:, ::-1]], [half[::-1], half[::-1, ::-1]]])


def _filled(colour: Float32[np.ndarray, "3"]) -> Image:
    return np.tile(colour, (TEXELS, TEXELS, 1)).astype(np.float32)


def _grass(generator: np.random.Generator) -> Image:
    green = np.array([0.25, 0.42, 0.14], np.float32) * generator.uniform(0.6, 1.3, 3).astype(np.float32)
    blades = generator.uniform(0.55, 1.3, (TEXELS, TEXELS)).astype(np.float32)
    streaks = cv2.blur(blades, (1, 3), borderType=cv2.BORDER_REFLECT)
    return _filled(green) * np.asarray(streaks, np.float32)[..., None]


def _sand(generator: np.random.Generator) -> Image:
    base = np.array([[0.62, 0.52, 0.38], [0.45, 0.36, 0.27], [0.5, 0.5, 0.5], [0.9, 0.9, 0.93]], np.float32)
    grains = generator.uniform(0.85, 1.15, (TEXELS, TEXELS, 1)).astype(np.float32)
    return _filled(base[generator.integers(4)]) * grains


def _tiles(generator: np.random.Generator) -> Image:
    count = int(2 ** generator.integers(1, 5))
    side = TEXELS // count
    tint = generator.uniform(0.85, 1.1, (count, count)).astype(np.float32)
    if generator.uniform() < 0.4:  # a chessboard
        tint = tint * (1 - generator.uniform(0.2, 0.8) * (np.indices((count, count)).sum(0) % 2)).astype(
            np.float32
        )
    texture: np.ndarray = (
        _filled(random_colour(generator, saturation=0.5))
        * np.kron(tint, np.ones((side, side), np.float32))[..., None]
    )
    joint = max(1, side // 24)
    colour = random_colour(generator, saturation=0.2)
    for start in range(0, TEXELS, side):
        texture[start : start + joint] = colour
        texture[:, start : start + joint] = colour
    return texture


def _planks(generator: np.random.Generator) -> Image:
    wide = int(2 ** generator.integers(3, 6))
    wood = np.array([0.62, 0.42, 0.24], np.float32) * generator.uniform(0.5, 1.4)
    texture = _filled(wood)
    for start in range(0, TEXELS, wide):
        texture[start : start + wide] *= generator.uniform(0.8, 1.15)
        texture[start] *= 0.5
        cut = int(generator.integers(TEXELS))
        texture[start : start + wide, cut] *= 0.5
    grain = generator.uniform(0.92, 1.08, (TEXELS, 1)).astype(np.float32)
    return texture * grain[..., None]


def _lanes(generator: np.random.Generator) -> Image:
    """Sports ground with painted lines."""
    colours = np.array(
        [[0.65, 0.2, 0.13], [0.2, 0.42, 0.2], [0.16, 0.3, 0.6], [0.35, 0.35, 0.36], [0.75, 0.55, 0.33]]
    )
    texture = _filled(colours[generator.integers(5)].astype(np.float32))
    paint = [(0.93, 0.93, 0.9), (0.9, 0.8, 0.2)][generator.integers(2)]
    for _ in range(generator.integers(1, 4)):
        at, wide = int(generator.integers(TEXELS)), int(generator.integers(4, 10))
        if generator.uniform() < 0.7:
            texture[at : at + wide] = paint
        else:
            texture[:, at : at + wide] = paint
    return texture


def _plain(generator: np.random.Generator) -> Image:
    return _filled(random_colour(generator, saturation=0.5))
