from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import solve

from evolift.posedata.errors import InputError
from evolift.posedata.smoothing import smoothed


def _slow(values: np.ndarray, times: np.ndarray, cutoff: float) -> np.ndarray:
    """The minimum written out: the natural cubic spline's penalty is a quadratic form (Green and Silverman 1994, section 2.1)."""
    n, h = len(times), np.diff(times)
    second, product = np.zeros((n, n - 2)), np.zeros((n - 2, n - 2))
    for j in range(n - 2):
        second[j : j + 3, j] = 1 / h[j], -1 / h[j] - 1 / h[j + 1], 1 / h[j + 1]
        product[j, j] = (h[j] + h[j + 1]) / 3
        if j:
            product[j, j - 1] = product[j - 1, j] = h[j] / 6
    penalty = second @ solve(product, second.T)
    weight = 1 / ((2 * np.pi * cutoff) ** 4 * np.median(h))
    return solve(np.eye(n) + weight * penalty, values)


def test_equals_the_minimum_written_out() -> None:
    generator = np.random.default_rng(0)
    times = np.cumsum(generator.uniform(0.01, 0.1, 40))
    values = generator.normal(size=(40, 2, 3))
    got = smoothed(values, times, 2.0)
    np.testing.assert_allclose(got.reshape(40, 6), _slow(values.reshape(40, 6), times, 2.0), atol=1e-7)


@pytest.mark.parametrize("rate", [25.0, 120.0])
def test_the_cutoff_is_halved_and_slower_motion_stays_in_time(rate: float) -> None:
    times = 1e4 + np.arange(round(12 * rate)) / rate
    for frequency, gain in ((4.0, 1 / 2), (1.0, 1 / (1 + 1 / 4**4))):
        motion = 100 * np.sin(2 * np.pi * frequency * times)
        inside = slice(round(2 * rate), round(10 * rate))
        np.testing.assert_allclose(smoothed(motion, times, 4.0)[inside], gain * motion[inside], atol=2.5)


def test_straight_motion_and_float32_stay_as_they_are() -> None:
    times = np.cumsum(np.random.default_rng(1).uniform(0.01, 0.1, 60))
    line = np.stack([np.ones(60), 3 * times], -1).astype(np.float32)
    got = smoothed(line, times)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, line, atol=1e-5)


def test_unknown_values_stay_unknown_and_tell_nothing() -> None:
    values = np.random.default_rng(2).normal(0, 10, (30, 4))
    values[[0, 7, 8], 1] = np.nan
    values[4:, 2] = np.nan
    values[:, 3] = np.inf
    times = np.arange(30) / 30
    got = smoothed(values, times)
    known = np.isfinite(values[:, 1])
    np.testing.assert_allclose(got[known, 1], smoothed(values[known, 1], times[known]), atol=1e-9)
    assert np.isnan(got[~known, 1]).all()
    np.testing.assert_array_equal(got[:, 2:], values[:, 2:])  # too few, or none
    np.testing.assert_allclose(got[:, 0], smoothed(values[:, 0], times), atol=1e-9)
    np.testing.assert_array_equal(smoothed(values[:4], times[:4]), values[:4])
    assert smoothed(values[:0], times[:0]).shape == (0, 4)


def test_bad_settings() -> None:
    with pytest.raises(InputError, match="positive cutoff"):
        smoothed(np.zeros(9), np.arange(9.0), 0.0)
    with pytest.raises(ValueError, match="times must grow"):
        smoothed(np.zeros(9), np.zeros(9))
