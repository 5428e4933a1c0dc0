"""Frame numbers as other programs write them."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from evolift.posedata.errors import InputError


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
