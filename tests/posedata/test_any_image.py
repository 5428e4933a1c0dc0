from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from evolift.posedata.any_image import rgb_image
from evolift.posedata.errors import InputError

RGB = np.random.default_rng(0).integers(0, 256, (6, 4, 3), np.uint8)
GREY = RGB[..., 0]
GREY_RGB = np.repeat(GREY[..., None], 3, 2)
ALPHA = np.full((6, 4), 255, np.uint8)
HALF = np.full((6, 4), 51, np.uint8)
ON_WHITE = np.rint(RGB * 0.2 + 255 * 0.8).astype(np.uint8)


def rotated() -> Image.Image:
    """RGB stored a quarter turn to the left, as its EXIF data say."""
    image = Image.fromarray(np.ascontiguousarray(np.rot90(RGB)))
    image.getexif()[0x0112] = 6
    return image


IMAGES: dict[str, tuple[Any, np.ndarray, int]] = {
    "RGB": (RGB, RGB, 0),
    "grey": (GREY, GREY_RGB, 0),
    "grey of one channel": (GREY[..., None], GREY_RGB, 0),
    "grey and alpha": (np.dstack([GREY, ALPHA]), GREY_RGB, 0),
    "RGBA": (np.dstack([RGB, ALPHA]), RGB, 0),
    "transparent": (np.dstack([RGB, HALF]), ON_WHITE, 1),
    "floats": (RGB / 255, RGB, 0),
    "float32": ((RGB / 255).astype(np.float32), RGB, 0),
    "float RGBA": (np.dstack([RGB, HALF]) / 255, ON_WHITE, 1),
    "16 bits": (RGB.astype(np.uint16) * 257, RGB, 0),
    "booleans": (GREY > 99, np.repeat(((GREY > 99) * 255)[..., None], 3, 2), 0),
    "Pillow RGB": (Image.fromarray(RGB), RGB, 0),
    "Pillow grey": (Image.fromarray(GREY), GREY_RGB, 0),
    "Pillow grey and alpha": (
        Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(ALPHA)]),
        GREY_RGB,
        0,
    ),
    "Pillow RGBA": (Image.fromarray(np.dstack([RGB, HALF])), ON_WHITE, 1),
    "Pillow I": (Image.fromarray(GREY.astype(np.int32) * 257), GREY_RGB, 0),
    "Pillow palette": (Image.fromarray(GREY).convert("P"), GREY_RGB, 0),
    "Pillow CMYK": (Image.fromarray(RGB).convert("CMYK"), RGB, 1),
    "Pillow rotated": (rotated(), RGB, 0),
}


@pytest.mark.parametrize("name", IMAGES)
def test_images_of_all_kinds_become_rgb_in_bytes(name: str) -> None:
    image, expected, tolerance = IMAGES[name]
    found = rgb_image(image)
    assert found.dtype == np.uint8
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).max() <= tolerance


def test_paths_are_read_and_rgb_arrays_are_not_copied(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), RGB[..., ::-1])
    np.testing.assert_array_equal(rgb_image(path), RGB)
    np.testing.assert_array_equal(rgb_image(str(path)), RGB)
    assert rgb_image(RGB) is RGB


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (None, "an image must be an array, a Pillow image or the path of a file, not a NoneType"),
        ([[1]], "an image must be an array, a Pillow image or the path of a file, not a list"),
        (
            np.zeros((3, 8, 8), np.float32),
            "an image must be (height, width) of grey, or (height, width, channels) with 1 to 4 channels, not (3, 8, 8)",
        ),
        (np.zeros((0, 4, 3), np.uint8), "with 1 to 4 channels, not (0, 4, 3)"),
        (
            RGB.astype(np.int64),
            "an image must be of bytes, 16 bits, booleans or floats from 0 to 1, not of int64: give uint8 for values to 255",
        ),
        (
            np.full((2, 2, 3), 255.0),
            "an image of floats must have values from 0 to 1, this one has 255 to 255: scale it",
        ),
        (np.full((2, 2, 3), np.nan), "this one has nan to nan: scale it"),
    ],
)
def test_other_things_are_refused(image: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        rgb_image(image)
    assert message in str(caught.value)


def test_a_pillow_image_of_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 90, 3), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:9000])
    with Image.open(path) as image, pytest.raises(InputError, match="the Pillow image cannot be decoded"):
        rgb_image(image)
