"""Procedural images without people: backdrops behind rendered scenes, and the marks that a camera leaves.

Images are (height, width, 3) float32, RGB from 0 to 1. All chance comes from the generator that is passed in.
"""

from __future__ import annotations

import colorsys

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

Image = Float32[np.ndarray, "height width 3"]


def random_colour(generator: np.random.Generator, *, saturation: float = 0.7) -> Float32[np.ndarray, "3"]:
    """Any hue; saturation up to the given value."""
    hue, pale, value = generator.uniform(size=3)
    return np.array(colorsys.hsv_to_rgb(hue, pale * saturation, 0.12 + 0.85 * value), np.float32)


def fractal_noise(
    generator: np.random.Generator, size: int, *, roughness: float
) -> Float32[np.ndarray, "size size"]:
    """Clouds from 0 to 1: random grids of doubling fineness, each `roughness` times as strong as the last."""
    total = np.zeros((size, size), np.float32)
    cells, strength = 2, 1.0
    while cells < size:
        grid = generator.standard_normal((cells, cells)).astype(np.float32)
        total += strength * cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC)
        cells, strength = cells * 2, strength * roughness
    total -= total.min()
    return total / max(float(total.max()), 1e-6)


def _gradient(generator: np.random.Generator, size: int) -> Image:
    angle = generator.uniform(0, 2 * np.pi)
    row, column = np.mgrid[0:size, 0:size].astype(np.float32) / size - 0.5
    share = np.clip(0.5 + column * np.cos(angle) + row * np.sin(angle), 0, 1)[..., None]
    image: np.ndarray = (1 - share) * random_colour(generator) + share * random_colour(generator)
    return image.astype(np.float32)


def _clouds(generator: np.random.Generator, size: int) -> Image:
    share = fractal_noise(generator, size, roughness=generator.uniform(0.5, 0.95))[..., None]
    share = np.clip((share - 0.5) * generator.uniform(1, 3) + 0.5, 0, 1)
    image: np.ndarray = (1 - share) * random_colour(generator) + share * random_colour(generator)
    return image.astype(np.float32)


def _bricks(generator: np.random.Generator, size: int) -> Image:
    height, width = generator.integers(6, 60), generator.integers(10, 90)
    row, column = np.mgrid[0:size, 0:size]
    layer = row // height
    shifted = column + (layer % 2) * (width // 2) * generator.integers(0, 2)
    tint = generator.uniform(0.8, 1.15, (size // height + 2, 2 * size // width + 3)).astype(np.float32)
    joint = (row % height < 2) | (shifted % width < 2)
    image: np.ndarray = tint[layer, shifted // width][..., None] * random_colour(generator)
    image[joint] = random_colour(generator, saturation=0.2)
    return image


def _room(generator: np.random.Generator, size: int) -> Image:
    """Walls and a floor with furniture-like blocks, windows and paintings on the wall."""
    image = np.empty((size, size, 3), np.float32)
    horizon = int(size * generator.uniform(0.35, 0.85))
    image[:] = random_colour(generator, saturation=0.4)
    image[horizon:] = random_colour(generator, saturation=0.5)
    for _ in range(generator.integers(2, 9)):
        left, top = generator.integers(-size // 4, size, 2)
        width, height = generator.integers(size // 12, size // 2, 2)
        colour = random_colour(generator).tolist()
        cv2.rectangle(image, (int(left), int(top)), (int(left + width), int(top + height)), colour, -1)
        if generator.uniform() < 0.5:
            cv2.rectangle(
                image,
                (int(left), int(top)),
                (int(left + width), int(top + height)),
                random_colour(generator).tolist(),
                2,
            )
    return image


def _outdoors(generator: np.random.Generator, size: int) -> Image:
    """Sky over ground with a ragged row of trees or houses between them."""
    horizon = size * generator.uniform(0.25, 0.7)
    row = np.arange(size, dtype=np.float32)[:, None]
    sky = (
        np.array([0.55, 0.7, 0.95], np.float32)
        * generator.uniform(0.7, 1.05)
        * (0.75 + 0.25 * row / size)[..., None]
    )
    ground_colour = np.array(
        [[0.3, 0.42, 0.18], [0.5, 0.42, 0.3], [0.45, 0.45, 0.46]][generator.integers(3)], np.float32
    )
    rough = fractal_noise(generator, size, roughness=0.9)[..., None]
    ground = ground_colour * (0.55 + 0.8 * rough)
    skyline = cv2.resize(
        generator.uniform(0, 1, (1, int(generator.integers(6, 60)))).astype(np.float32),
        (size, 1),
        interpolation=cv2.INTER_NEAREST if generator.uniform() < 0.4 else cv2.INTER_CUBIC,
    )
    top = horizon - size * generator.uniform(0.05, 0.4) * np.clip(skyline, 0, 1)
    trees = random_colour(generator) * 0.5 * (0.5 + rough)
    image = np.where(
        (row > horizon)[..., None], ground, np.where((row > top)[..., None], trees, sky + 0 * trees)
    )
    return image.astype(np.float32)


def _scribbles(generator: np.random.Generator, size: int, image: Image) -> None:
    """Shapes strewn over an image, limb-like bars among them."""
    for _ in range(generator.integers(3, 25)):
        colour = random_colour(generator).tolist()
        x, y, x2, y2 = (int(value) for value in generator.integers(-size // 8, size + size // 8, 4))
        kind = generator.integers(4)
        if kind == 0:
            cv2.line(image, (x, y), (x2, y2), colour, int(generator.integers(1, size // 12)), cv2.LINE_AA)
        elif kind == 1:
            axes = (int(generator.integers(2, size // 5)), int(generator.integers(2, size // 5)))
            cv2.ellipse(
                image, (x, y), axes, float(generator.uniform(0, 180)), 0, 360, colour, -1, cv2.LINE_AA
            )
        elif kind == 2:
            corners = np.stack(
                [
                    generator.integers(-size // 4, size // 4, 4) + x,
                    generator.integers(-size // 4, size // 4, 4) + y,
                ],
                -1,
            )
            cv2.fillPoly(image, [corners.astype(np.int32)], colour, cv2.LINE_AA)
        else:
            cv2.circle(
                image,
                (x, y),
                int(generator.integers(2, size // 10)),
                colour,
                int(generator.integers(1, 6)),
                cv2.LINE_AA,
            )


def draw_backdrop(generator: np.random.Generator, size: int) -> Image:
    """A random backdrop: wall, room, landscape, clouds or gradient, often cluttered, often out of focus."""
    makers = (_gradient, _clouds, _bricks, _room, _outdoors)
    image = makers[generator.choice(len(makers), p=[0.12, 0.2, 0.13, 0.27, 0.28])](generator, size)
    if generator.uniform() < 0.5:
        _scribbles(generator, size, image)
    if generator.uniform() < 0.7:
        rough = fractal_noise(generator, size, roughness=generator.uniform(0.7, 1.1))[..., None]
        image = image * (1 + generator.uniform(0.1, 0.9) * (rough - 0.5))
    if generator.uniform() < 0.5:
        image = cv2.GaussianBlur(image, (0, 0), float(generator.uniform(0.5, size / 60)))
    clipped: np.ndarray = np.clip(image, 0, 1).astype(np.float32)
    return clipped


def photograph(generator: np.random.Generator, image: Image) -> UInt8[np.ndarray, "height width 3"]:
    """What a camera makes of a scene: exposure, tint, blur, and noise, in 8 bits."""
    size = image.shape[1]
    image = image * (1 + 0.08 * generator.standard_normal(3)).astype(np.float32)
    image = np.clip(image * generator.uniform(0.75, 1.25), 0, 1) ** np.float32(generator.uniform(0.75, 1.25))
    if generator.uniform() < 0.35:
        image = cv2.GaussianBlur(image, (0, 0), float(generator.uniform(0.3, 1.4)) * size / 256)
    if generator.uniform() < 0.1:
        grey = image.mean(-1, keepdims=True)
        image = grey + (image - grey) * np.float32(generator.uniform(0, 0.4))
    grain = generator.standard_normal(image.shape, np.float32)
    image = image + np.float32(generator.uniform(0.002, 0.04)) * grain
    developed: np.ndarray = np.clip(np.rint(image * 255), 0, 255).astype(np.uint8)
    return developed
