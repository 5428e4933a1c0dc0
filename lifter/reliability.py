"""Whether joints are as far off as their sigma says: the reliability curve of a lifter that tells how sure it is."""

from __future__ import annotations

import numpy as np
import pandas as pd
from jaxtyping import Float

BINS = 10


def reliability(
    expected: Float[np.ndarray, "labelled"], error: Float[np.ndarray, "labelled"]
) -> pd.DataFrame:
    """Mean error that sigma says and mean error that there is, of ten equally large groups of joints from the surest on.

    Args:
        expected: `evolift.lifter.joint_uncertainty.expected_error` of each joint, mm.
        error: distance of each from its label, mm.

    Returns:
        Columns `expected`, `error` (mm) and `count`, a row per group that holds any joints.
    """
    groups = np.array_split(np.argsort(expected, kind="stable"), BINS)
    rows = [(expected[group].mean(), error[group].mean(), len(group)) for group in groups if len(group)]
    return pd.DataFrame(rows, columns=["expected", "error", "count"])


def calibration_error(curve: pd.DataFrame) -> float:
    """Mean distance, mm, of the error that sigma says from the error that there is, over the groups of `reliability`."""
    away = (curve["expected"] - curve["error"]).abs()
    return float((curve["count"] * away).sum() / curve["count"].sum())
