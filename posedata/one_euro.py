"""Smoothing of joints over time without much lag: the One Euro filter (Casiez, Roussel and Vogel 2012).

A first-order low-pass whose cutoff rises with speed, so that slow movements lose their jitter and fast ones keep up.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from evolift.posedata.errors import InputError


class OneEuroFilter:
    r"""Filter of one array of values over time, each value on its own.

    .. math:: \hat x_i = \alpha x_i + (1 - \alpha) \hat x_{i-1}, \quad \alpha = \frac{1}{1 + 1 / (2 \pi f_c \Delta t)},
        \quad f_c = f_{min} + \beta |\hat{\dot x}_i|

    A value that is not finite is answered with NaN and forgotten: the next finite one starts anew.

    Args:
        minimum_cutoff: f_min, Hz; lower is smoother at rest.
        beta: 1 per unit of the values; higher lags less in movement.
        derivative_cutoff: of the speed's own low-pass, Hz.

    Raises:
        InputError: a cutoff is not positive, or beta is negative.
    """

    def __init__(
        self, *, minimum_cutoff: float = 1.0, beta: float = 0.005, derivative_cutoff: float = 1.0
    ) -> None:
        if not (minimum_cutoff > 0 and derivative_cutoff > 0 and beta >= 0):
            raise InputError(
                f"smoothing needs positive cutoffs and beta of at least 0 (got {minimum_cutoff}, {derivative_cutoff} and {beta})"
            )
        self.minimum_cutoff, self.beta, self.derivative_cutoff = minimum_cutoff, beta, derivative_cutoff
        self._time: float | None = None
        self._value: np.ndarray = np.zeros(0)
        self._speed: np.ndarray = np.zeros(0)

    def __call__(self, value: Float[np.ndarray, "*shape"], time: float) -> Float[np.ndarray, "*shape"]:
        """The smoothed value.

        Args:
            value: of the same shape in every call.
            time: seconds, later than in the call before.

        Raises:
            ValueError: time does not grow.
        """
        exact = value.astype(np.float64)
        if self._time is None:
            self._time, self._value, self._speed = time, exact, np.zeros(value.shape)
            return value.copy()
        step = time - self._time
        if not step > 0:
            raise ValueError(f"time must grow (got {time} after {self._time})")
        is_new = ~np.isfinite(self._value)
        speed = np.where(is_new, 0.0, (exact - self._value) / step)
        speed = _low_pass(speed, self._speed, self.derivative_cutoff, step)
        cutoff = self.minimum_cutoff + self.beta * np.abs(speed)
        smooth = np.where(is_new, exact, _low_pass(exact, self._value, cutoff, step))
        self._time, self._value = time, smooth
        self._speed = np.where(np.isfinite(smooth), speed, 0.0)
        return smooth.astype(value.dtype)


def _low_pass(new: np.ndarray, old: np.ndarray, cutoff: np.ndarray | float, step: float) -> np.ndarray:
    """First-order low-pass of the given cutoff (Hz), `step` seconds after the old value."""
    weight = 1 / (1 + 1 / (2 * np.pi * cutoff * step))
    mixed: np.ndarray = weight * new + (1 - weight) * old
    return mixed
