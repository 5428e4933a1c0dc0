"""What image files say of themselves before their pixels are decoded: size, orientation, and how large they may be.

A file of some kilobytes can ask for gigabytes of pixels, so nothing is decoded whose header has not been looked at. Pillow
reads the headers. Its parsers stumble over damaged files in many ways (KeyError, struct.error, SyntaxError, ...) and warn of
others; here they are all an `InputError`, or no answer.
"""

from __future__ import annotations

import io
import logging
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from jaxtyping import UInt8
from PIL import ExifTags, Image, UnidentifiedImageError

from evolift.posedata.errors import InputError, reason_of
from evolift.posedata.heic_file import HEAD, is_heic, require_heic_reader
from evolift.posedata.image_settings import ImageSettings
from evolift.posedata.input_file import require_regular_file

READABLE = "give a JPEG, PNG, BMP, TIFF, WebP, GIF or HEIC file"
_ANIMATED = ("GIF", "PNG", "WEBP")
_TILE = (322, 323)  # TIFF 6.0, section 15: TileWidth, TileLength
_PIXELS_PER_MEGAPIXEL = 1e6
_lock = threading.Lock()
"""Pillow's limit of pixels and Python's filters of warnings are those of the whole process."""

logging.getLogger("PIL").addHandler(
    logging.NullHandler()
)  # which else prints what it thinks of damaged files

Answer = TypeVar("Answer")


class ImageHeader(NamedTuple):
    """What the header of an image file says.

    Args:
        width: of the image as stored, pixels.
        height: likewise.
        pixels: that decoding takes memory for: those of a TIFF's tile if it is larger than the image.
    """

    width: int
    height: int
    pixels: int


def read_header(file: Path | bytes | UInt8[np.ndarray, "bytes"], label: Path) -> ImageHeader:
    """The header of an image file.

    Args:
        file: path, or content.
        label: names it in messages.

    Raises:
        InputError: it is not a readable image, or HEIC, and the extra `heic` is not installed.
    """
    return ask_image(file, label, _header)


def require_decodable(header: ImageHeader, label: Path | str, settings: ImageSettings) -> None:
    """Refuse an image, or the frames of a video, of more pixels than the settings allow.

    Raises:
        InputError: naming the setting.
    """
    if header.pixels > settings.max_megapixels * _PIXELS_PER_MEGAPIXEL:
        raise InputError(
            f"{label} has {header.width} x {header.height} pixels, at most {settings.max_megapixels:g} million are taken "
            "(`max_megapixels`): make it smaller"
        )


def read_orientation(data: bytes | UInt8[np.ndarray, "bytes"]) -> int:
    """EXIF orientation of the content of an image file, 1 to 8; 1 where it has none that can be read."""
    try:
        found = ask_image(data, Path(), lambda image: image.getexif().get(ExifTags.Base.Orientation, 1))
    except InputError:
        return 1  # damaged EXIF data
    return found if found in range(1, 9) else 1


def is_animated(path: Path) -> bool:
    """Whether an image file holds several frames, of which `read_image` gives the first.

    Only formats that are made for it count: cameras put small copies into JPEG files.
    """
    try:
        return ask_image(path, path, lambda image: image.format in _ANIMATED and _frames(image) > 1)
    except InputError:
        return False


def ask_image(
    file: Path | bytes | UInt8[np.ndarray, "bytes"], label: Path, question: Callable[[Image.Image], Answer]
) -> Answer:
    """Ask an image that Pillow has opened; its pixels are not decoded unless the question does so.

    Args:
        file: path, or content.
        label: names it in messages.
        question: called with the image.

    Raises:
        InputError: it is not a readable image, its header cannot answer, or it is HEIC and the extra `heic` is not installed.
    """
    kind = "image"
    if isinstance(file, Path):
        require_regular_file(file)
    try:
        with file.open("rb") if isinstance(file, Path) else io.BytesIO(bytes(file)) as opened:
            if is_heic(opened.read(HEAD)):
                kind = "HEIC image"
                require_heic_reader(label)
            opened.seek(0)
            with _lock, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None  # ours is `require_decodable`
                try:
                    with Image.open(opened) as image:
                        return question(image)
                finally:
                    Image.MAX_IMAGE_PIXELS = before
    except InputError:
        raise
    except UnidentifiedImageError:
        advice = READABLE if kind == "image" else "copy it again"
        raise InputError(f"{label} is not a readable {kind}: {advice}") from None
    except Exception as error:  # whatever a parser stumbles over
        if isinstance(error, OSError) and error.errno is not None:
            raise InputError(f"{label} cannot be read: {error.strerror}") from None
        raise InputError(f"{label} is not a readable {kind} ({reason_of(error)}): copy it again") from None


def _header(image: Image.Image) -> ImageHeader:
    width, height = image.size
    tags = getattr(image, "tag_v2", {})
    tile = [tags.get(tag, 1) for tag in _TILE]
    tile_pixels = tile[0] * tile[1] if all(isinstance(side, int) for side in tile) else 0
    return ImageHeader(width, height, max(width * height, tile_pixels))


def _frames(image: Image.Image) -> int:
    return getattr(image, "n_frames", 1)
