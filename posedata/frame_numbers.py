"""Frame numbers and times as other programs write them: in columns of tables, in names of images, as time stamps."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int64

from evolift.posedata.errors import InputError

_ENDING = re.compile(r"\.[A-Za-z]\w*$")
_NUMBER = re.compile(r"\d+")
_LARGEST = 2**53
_UNITS = ((1.0, 1.0), (1e3, 1e3), (1e6, 1e6), (np.inf, 1e9))
"""Smallest step between frames that is no longer of a unit, and units in a second: s, ms, us, ns. Nobody films a frame a second."""
_SHORTEST = (
    10  # percentile of the steps between frames that tells the shortest one, whatever single time stamps do
)
_ALIKE = 1.5
_HALF = 0.5


def whole_frames(values: Float[np.ndarray, "rows"], where: str) -> list[int]:
    """Frame numbers of a column of a table.

    Args:
        values: numbers.
        where: file and column, for the message.

    Raises:
        InputError: one is no whole number, or float64 does not hold it exactly.
    """
    if not (np.isfinite(values).all() and (values == np.round(values)).all() and (abs(values) < 2**53).all()):
        raise InputError(f"{where} must hold whole numbers below 2^53")
    return [int(value) for value in values]


def frames_of_names(names: Sequence[str]) -> list[int] | None:
    """Frame numbers of images that are one series: their names differ in one number only, whatever its zeros in front.

    Args:
        names: of each row's image, "" for none; `img_2.jpg` and `img_10.png` are frames 2 and 10.

    Returns:
        The numbers, None if there are not at least two different names, or if they are no series.
    """
    different = list(dict.fromkeys(names))
    stems = [_ENDING.sub("", name) for name in different]
    if len(different) < 2 or len({_NUMBER.sub("0", stem) for stem in stems}) > 1:
        return None
    columns = list(zip(*([int(run[-18:]) for run in _NUMBER.findall(stem)] for stem in stems), strict=True))
    varied = [column for column in columns if len(set(column)) > 1]
    if len(varied) != 1 or len(set(varied[0])) < len(different) or max(varied[0]) >= _LARGEST:
        return None
    number_of = dict(zip(different, varied[0], strict=True))
    return [number_of[name] for name in names]


def numbered_by_names(names: Sequence[str]) -> list[int]:
    """Frame numbers of images: those in their names, or of images that are no series the order in which they come, from 0."""
    order = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return frames_of_names(names) or [order[name] for name in names]


def seconds_of(stamps: Float[np.ndarray, "rows"], where: str) -> Float[np.ndarray, "rows"]:
    """Time stamps as seconds since the first; their unit is told by the shortest step between frames.

    Args:
        stamps: numbers in s, ms, us or ns, of any beginning; rows of one frame have the same.
        where: file and column, for the message.

    Raises:
        InputError: one is not finite.
    """
    if not np.isfinite(stamps).all():
        raise InputError(f"{where} must hold a number in each row")
    steps = np.diff(np.unique(stamps))
    if not len(steps):
        return np.zeros(len(stamps))
    shortest = np.percentile(steps, _SHORTEST)
    per_second = next(unit for limit, unit in _UNITS if shortest < limit)
    since: np.ndarray = (stamps - stamps.min()) / per_second
    return since


def rate_of(seconds: Float[np.ndarray, "rows"]) -> float:
    """Frames per second of times, of which frames may be missing or shown for longer: that of their short steps.

    Args:
        seconds: at least two different ones, in any order.
    """
    steps = np.diff(np.unique(seconds))
    shortest = np.percentile(steps, _SHORTEST)
    # Time stamps are rounded, to milliseconds by many containers: counted in short steps, all together tell the rate.
    first = np.median(steps[steps < _ALIKE * shortest])
    return float(np.maximum(np.round(steps / first), 1).sum() / steps.sum())


def is_even(seconds: Float[np.ndarray, "rows"], frames: Int64[np.ndarray, "rows"], rate: float) -> bool:
    """Whether times are those of their frame numbers at a rate, within half a frame."""
    late = (seconds - seconds.min()) * rate - (frames - frames.min())
    return bool((np.abs(late) < _HALF).all())
