"""The focal length that a camera wrote into its image (EXIF), in pixels of that image.

Either from the 35 mm equivalent, which compares diagonals (CIPA DCG-001; the film's is 43.27 mm), or from the focal
length in millimetres and the pixels per length of the sensor. An image that was cropped has lost the relation of
both to its pixels, so then there is no answer; one that was only made smaller has not.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image

from evolift.posedata.image_header import ask_image

FILM_DIAGONAL = math.hypot(36.0, 24.0)
_UNIT_MM = {2: 25.4, 3: 10.0, 4: 1.0, 5: 1e-3}
_SAME_SHAPE = 0.01
_PLAUSIBLE = (0.1, 100.0)  # focal length over the image's diagonal, from fisheye to telescope


def exif_focal_length(path: Path) -> float | None:
    """Focal length of an image file in pixels of the image as stored, None if it does not tell.

    Raises:
        InputError: the file cannot be read as an image.
    """
    size, tags = ask_image(path, path, lambda image: (image.size, _exif(image)))
    taken = [_number(tags.get(tag)) for tag in (ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight)]
    scale = 1.0
    if all(taken):
        # Rotated by other programs, an image may be stored across.
        (short, long), (taken_short, taken_long) = sorted(size), sorted(taken)
        scale = long / taken_long
        if abs(short / taken_short / scale - 1) > _SAME_SHAPE:
            return None
    diagonal = math.hypot(*size)
    focal = _number(tags.get(ExifTags.Base.FocalLengthIn35mmFilm)) / FILM_DIAGONAL * diagonal
    if not focal:
        unit = _UNIT_MM.get(tags.get(ExifTags.Base.FocalPlaneResolutionUnit, 2), 0.0)
        per_unit = _number(tags.get(ExifTags.Base.FocalPlaneXResolution))
        focal = _number(tags.get(ExifTags.Base.FocalLength)) * per_unit / unit * scale if unit else 0.0
    return focal if _PLAUSIBLE[0] < focal / diagonal < _PLAUSIBLE[1] else None


def _exif(image: Image.Image) -> dict[int, Any]:
    try:
        return image.getexif().get_ifd(ExifTags.IFD.Exif)
    except Exception:  # damaged EXIF data, which Pillow stumbles over in many ways, tell nothing
        return {}


def _number(value: object) -> float:
    """A positive finite number, 0 for anything else (EXIF has fractions of zero, and nonsense)."""
    try:
        number = float(value)  # type: ignore[arg-type]  # whatever it is
    except (TypeError, ValueError, ZeroDivisionError):
        return 0.0
    return number if math.isfinite(number) and number > 0 else 0.0
