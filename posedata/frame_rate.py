"""The time between the poses of a store, as far as the store tells it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int64

from evolift.posedata.importers.cmu_clips import CMU_FPS
from evolift.posedata.store_layout import Provenance

GAP = 1.5
"""Steps between frame numbers of over so many times the median are gaps."""
NUMBERED = {"evolift data import cmu": float(CMU_FPS), "evolift data import human36m": 50.0}
"""Frames a second that the frame numbers of stores count, by the command that made them."""
_KEYS = ("frames_per_second", "fps")


def rows_per_second(provenance: Provenance) -> float | None:
    """Poses of a clip in a second, as the store was made with; None if that is not told."""
    for key in _KEYS:
        rate = provenance.parameters.get(key)
        if isinstance(rate, (int, float)) and not isinstance(rate, bool) and 0 < rate < float("inf"):
            return float(rate)
    return NUMBERED.get(provenance.command)  # all frames were kept


def usual_step(steps: Int64[np.ndarray, "steps"]) -> float:
    """From one frame number of a clip to the next, gaps left out: the mean, for 15 of 50 frames a second are kept in steps of 3, 3, 4, ...

    Args:
        steps: at least one.
    """
    return float(steps[steps <= GAP * np.median(steps)].mean())
