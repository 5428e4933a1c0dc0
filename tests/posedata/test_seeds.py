from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from evolift.posedata.seeds import generator_at, numpy_generator_at, seed_at

places = st.lists(st.integers(0, 2**31), min_size=0, max_size=3)


@given(st.integers(0, 2**31), places)
def test_the_same_seed_and_place_give_the_same_draws(seed: int, place: list[int]) -> None:
    assert seed_at(seed, *place) == seed_at(seed, *place)
    first = torch.rand(8, generator=generator_at(seed, *place))
    again = torch.rand(8, generator=generator_at(seed, *place))
    assert torch.equal(first, again)
    assert np.array_equal(
        numpy_generator_at(seed, *place).random(8), numpy_generator_at(seed, *place).random(8)
    )


def test_neighbouring_places_and_seeds_have_unrelated_streams() -> None:
    seeds = {seed_at(seed, step, rank) for seed in range(8) for step in range(32) for rank in range(4)}
    assert len(seeds) == 8 * 32 * 4
    draws = torch.stack([torch.randn(2000, generator=generator_at(0, step)) for step in range(20)])
    correlations = torch.corrcoef(draws) - torch.eye(20)
    assert correlations.abs().max() < 0.12  # five standard deviations of 1/sqrt(2000)


def test_a_place_is_not_its_digits_run_together() -> None:
    assert seed_at(0, 1, 11) != seed_at(0, 11, 1)
    assert seed_at(1, 2) != seed_at(2, 1)


def test_seeds_fit_what_torch_takes() -> None:
    assert all(0 <= seed_at(seed) < 2**63 for seed in range(100))
