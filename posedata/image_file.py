"""Images from files: 8-bit RGB, upright, whatever the file holds."""

from __future__ import annotations

import base64
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image

from evolift.posedata.errors import InputError, OutputError
from evolift.posedata.heic_file import HEAD, is_heic
from evolift.posedata.image_header import (
    READABLE,
    ask_image,
    read_header,
    read_orientation,
    require_decodable,
)
from evolift.posedata.image_settings import ImageSettings
from evolift.posedata.input_file import reading, require_regular_file
from evolift.posedata.jpeg_stream import JPEG, has_exif, is_cut_off, lacks_data
from evolift.posedata.opencv_quiet import quiet_opencv
from evolift.posedata.output_file import whole_file

JPEG_QUALITY = 95
_PNG, _PNG_END = b"\x89PNG", b"IEND"
_TIFF = (b"II*\0", b"MM\0*")
_CHANNELS = {1: 1, 2: 1, 3: 3, 4: 3}
"""Of images of so many channels those that are colours; the one after them is how much they cover."""
_ROWS = 256
"""Rows that are brought to 8 bits and laid on white at a time."""
_REDUCED = {
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}


def read_image(path: Path, settings: ImageSettings = ImageSettings()) -> UInt8[np.ndarray, "height width 3"]:
    """Read an image as RGB.

    HEIC is read with the extra `heic`. The EXIF orientation is applied, grey becomes three equal channels, 16 bits become 8, and transparent
    parts are laid on white. Of several frames or pages the first is read. `is_incomplete` tells whether a part is missing.

    Raises:
        InputError: the file cannot be read, is not an image, is cut off, has more pixels than the settings allow, or is HEIC
            and that extra is not installed.
    """
    return _decode(path, _bytes_of(path), 1, settings)


def decode_image(
    data: bytes, label: str, settings: ImageSettings = ImageSettings()
) -> UInt8[np.ndarray, "height width 3"]:
    """As `read_image`, from the bytes of a file; `label` names it in messages.

    Raises:
        InputError: they are not an image, cut off, or have more pixels than the settings allow.
    """
    if not data:
        raise InputError(f"{label} is empty: it should be an image")
    return _decode(Path(label), np.frombuffer(data, np.uint8), 1, settings)


def is_incomplete(path: Path, image: UInt8[np.ndarray, "height width 3"]) -> bool:
    """Whether a part of an image that `read_image` read is grey because the data of its file end before their time.

    This happens to JPEGs alone, of which all but the end may be missing: the decoder fills the rest with grey.

    Args:
        path: of the file.
        image: as read.

    Raises:
        InputError: the file cannot be read any more.
    """
    data = _bytes_of(path)
    return data[:2].tobytes() == JPEG and lacks_data(data.tobytes(), image)


def read_reduced_image(
    path: Path, factor: int, settings: ImageSettings = ImageSettings()
) -> tuple[UInt8[np.ndarray, "height width 3"], int]:
    """Read a JPEG at 1/2, 1/4 or 1/8 of its size, which is much faster than reading all of it.

    Pixel i of the result is the mean of pixels factor * i to factor * i + factor - 1 of the image (the last
    one may hang over its edge).

    Args:
        path: of the image.
        factor: 1, 2, 4 or 8.
        settings: how large it may be.

    Returns:
        The image, and the factor that was used: 1 for other formats than JPEG, and for JPEGs with EXIF
        data, whose orientation could put the overhanging edge first.

    Raises:
        InputError: as of `read_image`.
    """
    data = _bytes_of(path)
    if data[:2].tobytes() != JPEG or has_exif(data.tobytes()):
        factor = 1
    return _decode(path, data, factor, settings), factor


def write_image(
    path: Path,
    image: UInt8[np.ndarray, "height width 3"],
    *,
    overwrite: bool = False,
    quality: int = JPEG_QUALITY,
) -> None:
    """Write an RGB image in the format that the path's ending names (.png, .jpg, ...), whole or not at all.

    Args:
        path: of the file.
        image: as it is to be seen.
        overwrite: replace an existing file.
        quality: of JPEG, 1 to 100.

    Raises:
        OutputError: the file exists and `overwrite` is False, cannot be written, or there is no such format.
    """
    try:
        data = encoded_image(image, path.suffix, quality=quality)
    except ValueError:
        raise OutputError(f"{path}: images cannot be written as {path.suffix!r}: use .png or .jpg") from None
    with whole_file(path, overwrite=overwrite) as partial:
        partial.write_bytes(data)


def encoded_image(
    image: UInt8[np.ndarray, "height width 3"],
    ending: str,
    *,
    quality: int = JPEG_QUALITY,
    compression: int | None = None,
) -> bytes:
    """An RGB image as the bytes of a file.

    Args:
        image: as it is to be seen.
        ending: of such files: .png, .jpg, ...
        quality: of JPEG, 1 to 100.
        compression: of PNG, 0 to 9, 9 the smallest and slowest; OpenCV's own quick one if None.

    Raises:
        ValueError: there is no such format.
    """
    parameters: list[int] = []  # OpenCV warns of what is not for the format
    if ending.lower() in (".jpg", ".jpeg"):
        parameters = [cv2.IMWRITE_JPEG_QUALITY, quality]
    elif compression is not None:
        parameters = [cv2.IMWRITE_PNG_COMPRESSION, compression]
    try:
        _, data = cv2.imencode(ending, np.ascontiguousarray(image[..., ::-1]), parameters)
    except cv2.error:
        raise ValueError(f"there is no image format {ending!r}") from None
    return data.tobytes()


def image_url(image: UInt8[np.ndarray, "height width 3"], *, quality: int = JPEG_QUALITY) -> str:
    """An RGB image as a data URL of JPEG."""
    return (
        "data:image/jpeg;base64," + base64.b64encode(encoded_image(image, ".jpg", quality=quality)).decode()
    )


def read_image_size(path: Path) -> tuple[int, int]:
    """(width, height) of an image file as it is stored, from its header alone.

    Raises:
        InputError: it is not a readable image.
    """
    header = read_header(path, path)
    return header.width, header.height


def _bytes_of(path: Path) -> np.ndarray:
    require_regular_file(path)
    with reading(path):
        data = np.fromfile(path, np.uint8)
    if not len(data):
        raise InputError(f"{path} is empty: it should be an image")
    return data


def _decode(path: Path, data: np.ndarray, factor: int, settings: ImageSettings) -> np.ndarray:
    start = data[:4].tobytes()
    is_jpeg = start.startswith(JPEG)
    if (is_jpeg and is_cut_off(data.tobytes())) or (start == _PNG and _is_png_cut_off(data)):
        raise InputError(f"{path} is cut off before the end of its image: copy it again")
    require_decodable(read_header(data, path), path, settings)
    if is_heic(data[:HEAD].tobytes()):
        return _heic(path, data)
    if not is_jpeg:  # only so does OpenCV keep transparency and 16 bits; it then leaves the orientation to us
        image = to_rgb(path, _imdecode(path, data, cv2.IMREAD_UNCHANGED))
        return (
            image if start in _TIFF else _upright(image, read_orientation(data))
        )  # OpenCV always rotates TIFFs
    if factor == 1:
        return _imdecode(path, data, cv2.IMREAD_COLOR_RGB)
    return cv2.cvtColor(_imdecode(path, data, _REDUCED[factor]), cv2.COLOR_BGR2RGB)


def _is_png_cut_off(data: np.ndarray) -> bool:
    """Whether a PNG ends before its last chunk; OpenCV makes room for what the length of a chunk promises."""
    position = 8
    while position + 8 <= len(data):
        length, kind = (data[position + i : position + i + 4].tobytes() for i in (0, 4))
        if kind == _PNG_END:
            return False
        position += 12 + int.from_bytes(length, "big")
    return True


def _heic(path: Path, data: np.ndarray) -> np.ndarray:
    """Rotated as the file says: its decoder does so, and leaves no orientation in the EXIF data."""

    def pixels(image: Image.Image) -> np.ndarray:
        return np.asarray(image.convert("RGBA" if image.mode in ("RGBA", "LA") else "RGB"))

    decoded = ask_image(data, path, pixels)
    has_alpha = decoded.shape[2] == 4
    return to_rgb(path, cv2.cvtColor(decoded, cv2.COLOR_RGBA2BGRA if has_alpha else cv2.COLOR_RGB2BGR))


def _upright(image: np.ndarray, orientation: int) -> np.ndarray:
    """Rotated and mirrored as the EXIF orientation says (EXIF 2.3, 4.6.4 A: 1 to 8)."""
    if orientation in (5, 6, 7, 8):
        image = image.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return np.ascontiguousarray(image)


def _imdecode(path: Path, data: np.ndarray, flags: int) -> np.ndarray:
    with quiet_opencv():
        try:
            image = cv2.imdecode(data, flags)
        except cv2.error:
            image = None
    if image is None:
        raise InputError(f"{path} is not a readable image: {READABLE}")
    return image


def to_rgb(path: Path | str, image: np.ndarray) -> UInt8[np.ndarray, "height width 3"]:
    """Decoded pixels as RGB in bytes, what is transparent laid on white.

    Args:
        path: names the image in messages.
        image: 8 or 16 bits as OpenCV decodes them: grey, grey and alpha, BGR or BGRA.

    Raises:
        InputError: it has other channels or pixels.
    """
    if image.dtype not in (np.uint8, np.uint16):
        raise InputError(f"{path} has pixels of type {image.dtype}: save it with 8 or 16 bits")
    image = image[..., None] if image.ndim == 2 else image
    if image.shape[2] not in _CHANNELS:
        raise InputError(f"{path} has {image.shape[2]} channels: save it as grey or RGB")
    rgb = np.empty((*image.shape[:2], 3), np.uint8)
    for first in range(
        0, len(image), _ROWS
    ):  # between 16 bits and white, whole images would take eight times their size
        rows = image[first : first + _ROWS]
        if rows.dtype == np.uint16:
            rows = (rows // 257).astype(np.uint8)
        alpha = rows[..., _CHANNELS[rows.shape[2]] :].astype(np.uint16)
        colours = rows[..., 2::-1] if rows.shape[2] > 2 else rows[..., :1]
        rgb[first : first + _ROWS] = (
            (colours * alpha + 255 * (255 - alpha) + 127) // 255 if alpha.shape[2] else colours
        )
    return rgb
