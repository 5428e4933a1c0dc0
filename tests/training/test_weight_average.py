from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from evolift.training.weight_average import move_average


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 10**6), st.floats(0.0, 0.9999))
def test_the_average_moves_by_its_share(count: int, decay: float) -> None:
    before, now = torch.randn(5, dtype=torch.float64), torch.randn(5, dtype=torch.float64)
    average = before.clone()
    move_average([average], [now], torch.tensor(count), decay=decay)
    d = min(decay, (1 + count) / (10 + count))
    torch.testing.assert_close(average, d * before + (1 - d) * now)


def test_what_does_not_change_is_kept_to_the_last_bit() -> None:
    constant = torch.rand(1000)
    average = constant.clone()
    for count in range(200):
        move_average([average], [constant], count, decay=0.999)
    assert torch.equal(average, constant)


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool])
def test_counts_and_masks_are_copied(dtype) -> None:
    average, now = torch.tensor([0, 1, 1]).to(dtype), torch.tensor([1, 0, 1]).to(dtype)
    move_average([average], [now], 3, decay=0.999)
    assert torch.equal(average, now)
