"""Smoothing of what is known at all times, without lag: nothing is known later than it happened."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from evolift.posedata.errors import InputError

CUTOFF = 4.0
"""Hz; people's joints move little faster, and what networks say of them jitters faster. Chosen in docs/results.md."""
FEWEST = 5
"""Frames that a smoothing spline can be put through."""


def smoothed(
    values: Float[np.ndarray, "frames *shape"], times: Float[np.ndarray, "frames"], cutoff: float = CUTOFF
) -> Float[np.ndarray, "frames *shape"]:
    r"""Cubic smoothing splines through each value over time, at the same times.

    .. math:: \min_f \sum_i (x_i - f(t_i))^2 + \lambda \int f''(t)^2 dt, \qquad \lambda = \frac{1}{(2 \pi f_c)^4 \, \Delta t}

    with the median step :math:`\Delta t` between the frames in which a value is known. For even times this is a low-pass without lag whose gain is
    1/2 at the cutoff f_c (Woltring 1986, of markers on people; Silverman 1984).

    Args:
        values: of each frame; those that are not finite stay so, and tell nothing.
        times: seconds, growing; even or not.
        cutoff: Hz.

    Returns:
        Of the values' dtype. A value that is finite in fewer than five frames stays as it is.

    Raises:
        InputError: the cutoff is not positive.
        ValueError: times do not grow.
    """
    # Here, because scipy is slow to load and predicting a photograph smooths nothing.
    from scipy.interpolate import make_smoothing_spline  # noqa: PLC0415

    if not cutoff > 0:
        raise InputError(f"smoothing needs a positive cutoff (got {cutoff})")
    if not (np.diff(times) > 0).all():
        raise ValueError("times must grow")
    result = values.copy()
    if len(values) < FEWEST:
        return result
    columns, into = values.reshape(len(values), -1), result.reshape(len(values), -1)
    known = np.isfinite(columns)
    # Values that are known in the same frames share one system of equations.
    for mask in np.unique(known, axis=1).T:
        same = (known == mask[:, None]).all(0)
        if mask.sum() >= FEWEST:
            at = times[mask] - times[0]
            curvature = 1 / ((2 * np.pi * cutoff) ** 4 * float(np.median(np.diff(at))))
            given = columns[np.ix_(mask, same)].astype(np.float64)
            into[np.ix_(mask, same)] = make_smoothing_spline(at, given, lam=curvature)(at)
    return result
