"""The data stream of JPEG files (ITU-T T.81, annex B): its segments, its end, and whether its scan has all its data."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from evolift.posedata.errors import InputError
from evolift.posedata.image_header import ask_image

JPEG = b"\xff\xd8"
_APP1, _START_OF_SCAN, _PROGRESSIVE, _END_OF_IMAGE = 0xE1, 0xDA, 0xC2, b"\xff\xd9"
_GREY = 128
"""What the decoder fills with, in each channel."""
_MORE = bytes(range(1, 251)) * 4


def is_cut_off(raw: bytes) -> bool:
    """Whether a JPEG lacks its end; the decoder would fill the rest with grey and say nothing.

    The end is looked for after the start of the scan, so that the end of an embedded thumbnail is not mistaken for it.
    """
    for marker, position, _ in _segments(raw):
        if marker is None:
            return False  # not as the standard says: let the decoder judge
        if marker == _START_OF_SCAN:
            return raw.rfind(_END_OF_IMAGE) < position
    return True


def lacks_data(raw: bytes, image: UInt8[np.ndarray, "height width 3"]) -> bool:
    """Whether the scan of a JPEG that has its end is short of data, as after a broken download that was mended.

    Decoders ignore what stands between the last block and the end of the image, so more of it changes the image only if blocks
    were missing. This costs two further decodings, so baseline images are only asked if one of their corners is grey, as the
    last block then is; progressive ones always.

    Args:
        raw: the file.
        image: as decoded, whichever way up.
    """
    markers = [marker for marker, _, _ in _segments(raw)]
    corners = image[[0, 0, -1, -1], [0, -1, 0, -1]]
    if _PROGRESSIVE not in markers and not (corners == _GREY).all(1).any():
        return False
    start = next((position for marker, position, _ in _segments(raw) if marker == _START_OF_SCAN), len(raw))
    end = raw.find(_END_OF_IMAGE, start)
    if end < 0:
        return False
    try:
        # By Pillow, which does not print what libjpeg thinks of it.
        as_it_is, with_more = (
            ask_image(raw[:end] + more + _END_OF_IMAGE, Path(), lambda image: image.tobytes())
            for more in (b"", _MORE)
        )
    except InputError:
        return False  # Pillow is stricter than OpenCV, which has decoded it
    return as_it_is != with_more


def has_exif(raw: bytes) -> bool:
    """Whether a JPEG has a segment of EXIF data."""
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
