"""Columns of tables of keypoints that tell frame, person, image and time, as programs and people call them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from evolift.posedata.errors import InputError
from evolift.posedata.frame_numbers import is_even, rate_of, seconds_of

_SPELLINGS = {
    "frame": ("frame", "frames", "frameid", "frameidx", "frameindex", "framenumber", "framenum", "frameno", "framenr"),
    "person": ("person", "personid", "personidx", "track", "trackid", "trackingid", "individual", "individualid", "id"),
    "image": ("image", "imageid", "imagename", "imagefile", "imagepath", "filename", "file", "filepath", "img", "imgname"),
    "time": ("time", "times", "timestamp", "timestamps", "timesec", "timeseconds", "seconds", "timestampms", "timems", "timestampus", "timestampns"),
}  # fmt: skip


def column_names(header: Iterable[str], path: Path) -> dict[str, str]:
    """Column of a table as it is written -> frame, person, image or time, whatever its capitals and signs.

    Args:
        header: names of all columns.
        path: of the table, for messages.

    Raises:
        InputError: two columns mean the same.
    """
    meant = {spelling: name for name, spellings in _SPELLINGS.items() for spelling in spellings}
    found: dict[str, str] = {}
    for column in header:
        name = meant.get(re.sub(r"[^a-z0-9]", "", str(column).lower()))
        if name is None:
            continue
        if other := next((one for one, known in found.items() if known == name), None):
            raise InputError(
                f"{path}: the columns {other!r} and {column!r} both tell the {name}: leave one in the table"
            )
        found[str(column)] = name
    # An `id` alone may number the rows.
    is_row_number = not {"frame", "time", "image"} & set(found.values())
    return {column: name for column, name in found.items() if not (is_row_number and column.lower() == "id")}


def frames_of_rows(people: Sequence[str] | None, rows: int) -> list[int]:
    """Frame numbers of rows that tell none: each person's rows are frames from 0, in their order.

    Args:
        people: of the rows; None for one person.
        rows: how many.
    """
    seen: Counter[str] = Counter()
    frames = []
    for person in people if people is not None else [""] * rows:
        frames.append(seen[person])
        seen[person] += 1
    return frames


def frames_of_times(
    stamps: Float64[np.ndarray, "rows"], frames: Sequence[int] | None, where: str
) -> tuple[Float64[np.ndarray, "rows"], list[int], str]:
    """Seconds, frame numbers and a note of a table's time stamps.

    Args:
        stamps: numbers in any unit, see `evolift.posedata.frame_numbers.seconds_of`.
        frames: as the table tells them, None if it does not; then times are numbered, with gaps where they have gaps.
        where: file and column, for messages.

    Raises:
        InputError: a time stamp is missing.
    """
    seconds = seconds_of(stamps, where)
    if len(np.unique(seconds)) < 2:
        return seconds, list(frames) if frames is not None else [0] * len(seconds), "it tells one time only"
    rate = rate_of(seconds)
    order, places = np.unique(seconds, return_inverse=True)
    numbers = np.round(order * rate).astype(np.int64)
    if len(np.unique(numbers)) < len(order):  # some are nearer to each other than frames
        numbers = np.arange(len(order))
    counted = np.array(frames, np.int64) if frames is not None else numbers[places]
    uneven = "" if is_even(seconds, counted, rate) else "; their distances vary"
    note = f"its time stamps tell {rate:.4g} frames per second over {order[-1]:.4g} s{uneven}"
    return seconds, counted.tolist(), note
