"""Images from files: 8-bit RGB, upright, whatever the file holds."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import ExifTags, Image

from evolift.posedata.errors import InputError, OutputError
from evolift.posedata.heic_file import HEAD, is_heic, require_heic_reader
from evolift.posedata.input_file import reading
from evolift.posedata.opencv_quiet import quiet_opencv
from evolift.posedata.output_file import whole_file

JPEG_QUALITY = 95
_JPEG, _PNG, _PNG_END = b"\xff\xd8", b"\x89PNG", b"IEND"
_TIFF = (b"II*\0", b"MM\0*")
_ANIMATED = ("GIF", "PNG", "WEBP")
_APP1, _START_OF_SCAN, _END_OF_IMAGE = 0xE1, 0xDA, b"\xff\xd9"
_REDUCED = {
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}


def read_image(path: Path) -> UInt8[np.ndarray, "height width 3"]:
    """Read an image as RGB.

    HEIC is read with the extra `heic`. The EXIF orientation is applied, grey becomes three equal channels, 16 bits become 8, and transparent
    parts are laid on white.

    Raises:
        InputError: the file cannot be read, is not an image, is cut off, or is HEIC and that extra is not installed.
    """
    return _decode(path, _bytes_of(path), 1)


def decode_image(data: bytes, label: str) -> UInt8[np.ndarray, "height width 3"]:
    """As `read_image`, from the bytes of a file; `label` names it in messages.

    Raises:
        InputError: they are not an image, or cut off.
    """
    if not data:
        raise InputError(f"{label} is empty: it should be an image")
    return _decode(Path(label), np.frombuffer(data, np.uint8), 1)


def read_reduced_image(path: Path, factor: int) -> tuple[UInt8[np.ndarray, "height width 3"], int]:
    """Read a JPEG at 1/2, 1/4 or 1/8 of its size, which is much faster than reading all of it.

    Pixel i of the result is the mean of pixels factor * i to factor * i + factor - 1 of the image (the last
    one may hang over its edge).

    Args:
        path: of the image.
        factor: 1, 2, 4 or 8.

    Returns:
        The image, and the factor that was used: 1 for other formats than JPEG, and for JPEGs with EXIF
        data, whose orientation could put the overhanging edge first.
    """
    data = _bytes_of(path)
    if data[:2].tobytes() != _JPEG or _has_exif(data):
        factor = 1
    return _decode(path, data, factor), factor


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
    try:
        with opened_image(path) as image:
            return image.size
    except (OSError, Image.DecompressionBombError) as error:
        raise InputError(f"{path} is not a readable image ({error})") from None


def opened_image(path: Path) -> Image.Image:
    """An image file opened by Pillow, to read what its header says.

    Raises:
        InputError: it is HEIC, and the extra `heic` is not installed.
        OSError: Pillow cannot open it.
    """
    with path.open("rb") as file:
        if is_heic(file.read(HEAD)):
            require_heic_reader(path)
    return Image.open(path)


def is_animated(path: Path) -> bool:
    """Whether an image file holds several frames, of which `read_image` gives the first.

    Only formats that are made for it count: cameras put small copies into JPEG files.
    """
    try:
        with opened_image(path) as image:
            return image.format in _ANIMATED and getattr(image, "n_frames", 1) > 1
    except (OSError, InputError, Image.DecompressionBombError):
        return False


def _bytes_of(path: Path) -> np.ndarray:
    with reading(path):
        data = np.fromfile(path, np.uint8)
    if not len(data):
        raise InputError(f"{path} is empty: it should be an image")
    return data


def _decode(path: Path, data: np.ndarray, factor: int) -> np.ndarray:
    start = data[:4].tobytes()
    is_jpeg = start.startswith(_JPEG)
    if (is_jpeg and _is_cut_off(data)) or (start == _PNG and data.tobytes().rfind(_PNG_END) < 0):
        raise InputError(f"{path} is cut off before the end of its image: copy it again")
    if is_heic(data[:HEAD].tobytes()):
        return _heic(path, data)
    if not is_jpeg:  # only so does OpenCV keep transparency and 16 bits; it then leaves the orientation to us
        image = _to_rgb(path, _imdecode(path, data, cv2.IMREAD_UNCHANGED))
        return image if start in _TIFF else _upright(image, data)  # OpenCV always rotates TIFFs
    if factor == 1:
        return _imdecode(path, data, cv2.IMREAD_COLOR_RGB)
    return cv2.cvtColor(_imdecode(path, data, _REDUCED[factor]), cv2.COLOR_BGR2RGB)


def _heic(path: Path, data: np.ndarray) -> np.ndarray:
    """Rotated as the file says: its decoder does so, and leaves no orientation in the EXIF data."""
    require_heic_reader(path)
    try:
        with Image.open(io.BytesIO(data.tobytes())) as image:
            has_alpha = image.mode in ("RGBA", "LA")
            pixels = np.asarray(image.convert("RGBA" if has_alpha else "RGB"))
    except (OSError, ValueError, RuntimeError, SyntaxError, Image.DecompressionBombError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path} is not a readable HEIC image ({reason}): copy it again") from None
    return _to_rgb(path, cv2.cvtColor(pixels, cv2.COLOR_RGBA2BGRA if has_alpha else cv2.COLOR_RGB2BGR))


def _upright(image: np.ndarray, data: np.ndarray) -> np.ndarray:
    """Rotated and mirrored as the EXIF orientation of the file says (EXIF 2.3, 4.6.4 A: 1 to 8)."""
    try:
        with Image.open(io.BytesIO(data.tobytes())) as opened:
            orientation = opened.getexif().get(ExifTags.Base.Orientation, 1)
    except (OSError, Image.DecompressionBombError, ValueError):
        return image  # a format that only OpenCV reads, or damaged EXIF data
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
        raise InputError(
            f"{path} is not a readable image: give a JPEG, PNG, BMP, TIFF, WebP, GIF or HEIC file"
        )
    return image


def _to_rgb(path: Path, image: np.ndarray) -> np.ndarray:
    if image.dtype == np.uint16:
        image = (image // 257).astype(np.uint8)
    if image.dtype != np.uint8:
        raise InputError(f"{path} has pixels of type {image.dtype}: save it with 8 or 16 bits")
    if image.ndim == 2:
        return cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
    if image.shape[2] == 3:
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    alpha = image[..., 3:].astype(np.uint16)
    on_white = (image[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255
    return cv2.cvtColor(on_white.astype(np.uint8), cv2.COLOR_BGR2RGB)


def _is_cut_off(data: np.ndarray) -> bool:
    """Whether a JPEG lacks its end; the decoder would fill the rest with grey and say nothing.

    The end is looked for after the start of the scan, so that the end of an embedded thumbnail is not mistaken for it.
    """
    raw = data.tobytes()
    for marker, position, _ in _segments(raw):
        if marker is None:
            return False  # not as the standard says: let the decoder judge
        if marker == _START_OF_SCAN:
            return raw.rfind(_END_OF_IMAGE) < position
    return True


def _has_exif(data: np.ndarray) -> bool:
    raw = data.tobytes()
    return any(
        marker == _APP1 and raw[start : start + 4] == b"Exif" for marker, start, _ in _segments(raw) if marker
    )


def _segments(raw: bytes) -> Iterator[tuple[int | None, int, int]]:
    """(marker, start, end) of the contents of a JPEG's segments up to its first scan; no marker where there is none."""
    position = 2
    while position + 4 <= len(raw):
        marker = raw[position + 1]
        if raw[position] != 0xFF:
            yield None, position, position
            return
        if marker == 0xFF:
            position += 1
            continue
        end = position + 2 + int.from_bytes(raw[position + 2 : position + 4], "big")
        yield marker, position + 4, end
        if marker == _START_OF_SCAN:
            return
        position = end
