"""Videos whose frames last for different times, as telephones and screen recorders write them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

_ON_THE_WAY = (b"moov", b"trak", b"mdia", b"minf", b"stbl")
"""Boxes of an MP4 file around the table of durations, from the outermost."""


def with_durations(path: Path, milliseconds: Sequence[int]) -> Path:
    """Write durations of frames into an MP4 file of OpenCV's, which has a single one for all frames.

    The file's `moov` lies behind its images, so that places of images stay when it grows. Its edit list and headers, which tell
    the old length of the whole, are set to the new one.

    Args:
        path: of the file, changed in place.
        milliseconds: how long each frame is shown.
    """
    data = bytearray(path.read_bytes())
    starts, end = [], len(data)
    place = 0
    for name in (*_ON_THE_WAY, b"stts"):
        place = _box(data, name, place, end)
        starts.append(place)
        end = place + _number(data, place)
        place += 8
    assert starts[0] > data.index(b"mdat")
    old = data[starts[-1] : end]
    entries = b"".join((1).to_bytes(4, "big") + one.to_bytes(4, "big") for one in milliseconds)
    new = b"stts" + bytes(4) + len(milliseconds).to_bytes(4, "big") + entries
    new = (len(new) + 4).to_bytes(4, "big") + new
    for start in starts[:-1]:
        _put(data, start, _number(data, start) + len(new) - len(old))
    data[starts[-1] : end] = new
    total = sum(milliseconds)
    # (box, bytes from its beginning to its units in a second, to its length): of version 0.
    for name, units, length in (
        (b"mvhd", 20, 24),
        (b"mdhd", 20, 24),
        (b"tkhd", None, 28),
        (b"elst", None, 16),
    ):
        start = data.index(name) - 4
        if units is not None:
            _put(data, start + units, 1000)
        _put(data, start + length, total)
    path.write_bytes(data)
    return path


def _box(data: bytearray, name: bytes, place: int, end: int) -> int:
    while place < end:
        if data[place + 4 : place + 8] == name:
            return place
        place += _number(data, place)
    raise AssertionError(f"no {name!r}")


def _number(data: bytearray, place: int) -> int:
    return int.from_bytes(data[place : place + 4], "big")


def _put(data: bytearray, place: int, number: int) -> None:
    data[place : place + 4] = number.to_bytes(4, "big")
