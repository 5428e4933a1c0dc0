"""Which frames of a sequence to keep so that fewer per second stay."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int64

from evolift.posedata.errors import InputError


def kept_frames(frames: int, source_fps: float, fps: float | None) -> Int64[np.ndarray, "kept"]:
    """Rows to keep so that about `fps` of `source_fps` frames per second stay; the first is always kept.

    Raises:
        InputError: `fps` is not above 0 and at most `source_fps`.
    """
    if fps is None:
        return np.arange(frames)
    if not 0 < fps <= source_fps:
        raise InputError(f"fps must be above 0 and at most the {source_fps:g} of the source, not {fps:g}")
    step = source_fps / fps
    # The small term keeps 120/10 = 12.000...1 from skipping to the next row.
    rows = np.floor(np.arange(int(frames / step) + 2) * step + 1e-6)
    kept: np.ndarray = rows[rows < frames].astype(np.int64)
    return kept
