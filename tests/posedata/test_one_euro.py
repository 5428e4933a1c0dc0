from __future__ import annotations

import math

import numpy as np
import pytest

from evolift.posedata.errors import InputError
from evolift.posedata.one_euro import OneEuroFilter


def _slow(
    values: list[float], times: list[float], minimum: float, beta: float, cutoff_d: float
) -> list[float]:
    """Algorithm 1 and 2 of the paper, one number at a time."""

    def alpha(cutoff: float, step: float) -> float:
        tau = 1 / (2 * math.pi * cutoff)
        return 1 / (1 + tau / step)

    smooth, speed = [values[0]], 0.0
    for i in range(1, len(values)):
        step = times[i] - times[i - 1]
        a = alpha(cutoff_d, step)
        speed = a * (values[i] - smooth[-1]) / step + (1 - a) * speed
        a = alpha(minimum + beta * abs(speed), step)
        smooth.append(a * values[i] + (1 - a) * smooth[-1])
    return smooth


def test_equals_the_paper_written_out() -> None:
    generator = np.random.default_rng(0)
    times = np.cumsum(generator.uniform(0.01, 0.1, 50)).tolist()
    values = generator.normal(size=(50, 2, 3))
    smoother = OneEuroFilter(minimum_cutoff=0.7, beta=0.3, derivative_cutoff=1.5)
    smooth = np.stack([smoother(value, time) for value, time in zip(values, times, strict=True)])
    for joint in range(2):
        for axis in range(3):
            expected = _slow(values[:, joint, axis].tolist(), times, 0.7, 0.3, 1.5)
            assert smooth[:, joint, axis] == pytest.approx(expected, abs=1e-12)


def test_still_values_stay_and_jitter_shrinks() -> None:
    noise = np.random.default_rng(1).normal(0, 10, (200, 17, 3))
    smoother = OneEuroFilter()
    smooth = np.stack([smoother(frame, n / 25) for n, frame in enumerate(noise)])
    assert smooth[100:].std() < 0.6 * noise[100:].std()
    still = OneEuroFilter()
    assert all((still(np.ones(3), n / 25) == 1).all() for n in range(5))


def test_missing_joints_start_anew() -> None:
    smoother = OneEuroFilter()
    smoother(np.array([0.0, 0.0]), 0.0)
    assert np.isnan(smoother(np.array([np.nan, 0.0]), 0.1)[0])
    assert smoother(np.array([500.0, 500.0]), 0.2)[0] == 500
    assert smoother(np.array([500.0, 500.0]), 0.3)[0] == 500


def test_bad_settings() -> None:
    with pytest.raises(InputError, match="positive cutoffs"):
        OneEuroFilter(minimum_cutoff=0.0)
    smoother = OneEuroFilter()
    smoother(np.zeros(1), 1.0)
    with pytest.raises(ValueError, match="time must grow"):
        smoother(np.zeros(1), 1.0)
