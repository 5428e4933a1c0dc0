"""Random streams that depend on a seed and a place, and on nothing else.

A generator made from (seed, step, rank) gives the same draws whichever worker process makes them and however
often a run was interrupted, which is what makes training resumable and independent of worker counts.
"""

from __future__ import annotations

import numpy as np
import torch


def generator_at(seed: int, *place: int) -> torch.Generator:
    """Torch generator (CPU) for one place in a run, for example (step, rank)."""
    return torch.Generator().manual_seed(seed_at(seed, *place))


def numpy_generator_at(seed: int, *place: int) -> np.random.Generator:
    """Numpy generator for one place in a run."""
    return np.random.default_rng([seed, *place])


def seed_at(seed: int, *place: int) -> int:
    """A 63-bit seed mixed from a seed and a place, all non-negative.

    Trailing zeros do not tell places apart: (step, rank) is the same place as (step, rank, 0, 0). Streams of different
    kinds therefore differ in a later number that is not 0.
    """
    return int(np.random.SeedSequence([seed, *place]).generate_state(1, np.uint64)[0] >> 1)
