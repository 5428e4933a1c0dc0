"""Smooth curves over time, the building blocks of motions: periodic bumps, keyed cycles, and smooth chance."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.interpolate import CubicSpline, PchipInterpolator

Curve = Float[np.ndarray, "frames"]
Number = float | int
"""Checks at run time do not count an int as a float."""


def swing(phase: Curve) -> Curve:
    """From 0 at phase 0 to 1 at phase 0.5 and back: a raised cosine of period 1."""
    curve: np.ndarray = 0.5 - 0.5 * np.cos(2 * np.pi * phase)
    return curve


def bump(phase: Curve, centre: Number, sharpness: Number) -> Curve:
    """1 at `centre`, falling to near 0 elsewhere, period 1 (a von Mises bump); `sharpness` 1 wide to 20 narrow."""
    curve: np.ndarray = np.exp(sharpness * (np.cos(2 * np.pi * (phase - centre)) - 1))
    return curve


def cycle_through(phase: Curve, *keys: tuple[Number, Number]) -> Curve:
    """Periodic curve through (phase, value) keys without overshoot.

    Args:
        phase: any real numbers; the curve has period 1.
        keys: at least two, phases increasing within [0, 1).
    """
    times, values = np.array(keys).T
    times = np.concatenate([times - 1, times, times + 1])
    curve: np.ndarray = PchipInterpolator(times, np.tile(values, 3))(np.mod(phase, 1.0))
    return curve


def wander(
    generator: np.random.Generator,
    time: Curve,
    *,
    period: Number,
    low: Number,
    high: Number,
    hold: Number = 0.0,
) -> Curve:
    """Smooth random path between values drawn uniformly from [low, high].

    Args:
        generator: of the draws.
        time: seconds, increasing.
        period: mean seconds between drawn values.
        low, high: range of the drawn values; the path never leaves it.
        hold: share of each period, 0 to 0.9, spent resting at the drawn value.
    """
    start, end = float(time[0]), float(time[-1])
    count = int(np.ceil((end - start) / period)) + 3
    moments = start - period * generator.uniform() + period * np.arange(count)
    moments[1:-1] += period * (1 - hold) * generator.uniform(-0.25, 0.25, count - 2)
    values = generator.uniform(low, high, count)
    if hold:
        moments = np.stack([moments, moments + hold * period * 0.7], -1).reshape(-1)
        values = np.repeat(values, 2)
    path: np.ndarray = PchipInterpolator(moments, values)(time)
    return path


def smooth_noise(generator: np.random.Generator, time: Curve, *, deviation: Number, period: Number) -> Curve:
    """Band-limited gaussian noise of the given standard deviation; it changes over about `period` seconds."""
    start, end = float(time[0]), float(time[-1])
    moments = np.arange(start - period, end + 2 * period, period / 2)
    path: np.ndarray = CubicSpline(moments, generator.normal(0, deviation, len(moments)))(time)
    return path
