"""Images as users have them, as the 8-bit RGB that everything here works on: paths, Pillow images, arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps

from evolift.posedata.errors import InputError
from evolift.posedata.image_file import read_image, to_rgb
from evolift.posedata.image_settings import ImageSettings

SomeImage: TypeAlias = str | Path | Image.Image | np.ndarray
"""The path of an image file, a Pillow image, or an array.

Arrays are (height, width) or (height, width, 1) of grey, or (height, width, channels) of grey and alpha, RGB, or RGBA; bytes, 16 bits,
booleans, or floats from 0 to 1.
"""


def rgb_image(image: Any, settings: ImageSettings = ImageSettings()) -> UInt8[np.ndarray, "height width 3"]:
    """An image as RGB in bytes; what is transparent lies on white, and Pillow images are rotated as their EXIF data say.

    Args:
        image: see `SomeImage`. An array that is RGB in bytes already is given back itself.
        settings: how large a file may be.

    Raises:
        InputError: it cannot be read, or is no such image.
    """
    if isinstance(image, str | Path):
        return read_image(Path(image), settings)
    if isinstance(image, Image.Image):
        image = _pixels(image)
    if not isinstance(image, np.ndarray):
        raise InputError(
            f"an image must be an array, a Pillow image or the path of a file, not a {type(image).__name__}"
        )
    channels = image.shape[2] if image.ndim == 3 else 1
    if image.ndim not in (2, 3) or not 1 <= channels <= 4 or 0 in image.shape:
        raise InputError(
            f"an image must be (height, width) of grey, or (height, width, channels) with 1 to 4 channels, not {image.shape}"
        )
    if image.dtype == np.uint8 and channels == 3:
        return image
    return to_rgb("an image", _swapped(_integers(image)))


def _pixels(image: Image.Image) -> np.ndarray:
    """Of a Pillow image, upright; in a mode of grey, RGB or RGBA."""
    try:
        upright = ImageOps.exif_transpose(image)
        if upright.mode.startswith("I;16") or upright.mode in ("L", "LA", "RGB", "RGBA", "1"):
            return np.asarray(upright)
        if upright.mode == "I":  # so Pillow opens PNGs of 16 bits
            deep: np.ndarray = np.clip(np.asarray(upright), 0, 65535).astype(np.uint16)
            return deep
        return np.asarray(upright.convert("RGBA" if upright.has_transparency_data else "RGB"))
    except (OSError, ValueError, SyntaxError) as error:  # a file that Pillow opened, and cannot decode
        raise InputError(f"the Pillow image cannot be decoded ({error}): copy its file again") from None


def _integers(image: np.ndarray) -> np.ndarray:
    """8 or 16 bits as they are; booleans and floats become 8."""
    if image.dtype == bool:
        return image.astype(np.uint8) * np.uint8(255)
    if image.dtype.kind != "f":
        if image.dtype not in (np.uint8, np.uint16):
            raise InputError(
                f"an image must be of bytes, 16 bits, booleans or floats from 0 to 1, not of {image.dtype}: give uint8 for values to 255"
            )
        return image
    low, high = float(image.min()), float(image.max())
    if not (low >= 0 and high <= 1):  # NaN is neither
        raise InputError(
            f"an image of floats must have values from 0 to 1, this one has {low:g} to {high:g}: scale it"
        )
    scaled: np.ndarray = np.rint(image * 255).astype(np.uint8)
    return scaled


def _swapped(image: np.ndarray) -> np.ndarray:
    """The channels as OpenCV has them: blue first."""
    if image.ndim == 2 or image.shape[2] < 3:
        return image
    return cv2.cvtColor(
        np.ascontiguousarray(image), cv2.COLOR_RGBA2BGRA if image.shape[2] == 4 else cv2.COLOR_RGB2BGR
    )
