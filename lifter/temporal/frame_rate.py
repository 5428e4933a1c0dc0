"""Where the frames of a rate lie between frames that are there; apart from the clips of stores, so that predicting loads no more than this."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Int64

MAX_MISSING = 5
"""Frames in a row that may be missing of a clip: they are interpolated."""
_WHOLE = 1e-4
"""Parts of the time between two rows that are not told from none."""


def places_between(
    seconds: np.ndarray, rate: float
) -> tuple[Int64[np.ndarray, "frames"], Float32[np.ndarray, "frames"]]:
    """Where the frames of a rate lie between given times.

    Args:
        seconds: increasing, from 0.
        rate: frames a second, of which the first is at 0 and the last not behind the last time.

    Returns:
        The number of the time at or before each frame, and how far it is on the way to the next one, from 0 to below 1.
    """
    frames = np.arange(int(np.floor(seconds[-1] * rate + _WHOLE)) + 1) / rate
    at = np.searchsorted(seconds, frames + _WHOLE / rate, side="right") - 1
    following = np.minimum(at + 1, len(seconds) - 1)
    between = seconds[following] - seconds[at]
    share = (frames - seconds[at]) / np.where(between > 0, between, 1)
    return at.astype(np.int64), np.where(share < _WHOLE, 0, share).astype(np.float32)
