"""What is fast in the usual case gives what the slow, obvious way gives, bit by bit, in the rare one too."""

from __future__ import annotations

import math

import pytest
import torch

from evolift.evolution.kinematics.direction import TINY, chosen, reflect, unit
from evolift.evolution.kinematics.local_bones import picked, put

FALLBACK = torch.tensor([0.0, 0.0, 1.0])[:, None]


def planes(n: int, *, seed: int = 0) -> torch.Tensor:
    return torch.randn(3, n, generator=torch.Generator().manual_seed(seed))


def is_same(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Bit by bit: NaN is NaN, and -0 is not 0."""
    assert one.dtype == other.dtype
    return one.numpy().tobytes() == other.numpy().tobytes()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_chosen_numbers_are_those_of_where(dtype: torch.dtype) -> None:
    values = torch.tensor([0.0, -0.0, 1.5, torch.nan, torch.inf, -torch.inf, 1e-42], dtype=dtype)
    yes, no = (part.contiguous() for part in torch.cartesian_prod(values, values).unbind(1))
    for which in (torch.tensor(True), torch.tensor(False), torch.arange(len(yes)) % 3 == 0):
        assert is_same(chosen(which, yes, no), torch.where(which, yes, no))
    # Laid out as bodies are: planes in memory, poses first in the shape, one verdict for three numbers.
    first, second = (torch.randn(3, 16, 50, dtype=dtype).permute(2, 1, 0) for _ in range(2))
    which = torch.rand(16, 50).T < 0.3
    assert torch.equal(chosen(which[..., None], first, second), torch.where(which[..., None], first, second))
    assert first.shape == (50, 16, 3)


@pytest.mark.parametrize("odd", [(), (0.0,), (torch.nan,), (0.0, torch.nan), (1e-7,), (TINY**0.5,)], ids=str)
def test_rare_vectors_change_nothing_for_the_others(odd: tuple[float, ...]) -> None:
    usual, vectors = planes(20), planes(20 + len(odd), seed=1)
    normal = torch.cat([usual, torch.tensor(odd)[None] * FALLBACK], 1)
    reflected, (direction, length) = reflect(vectors, normal), unit(normal, FALLBACK)
    for place in range(normal.shape[1]):
        one = slice(place, place + 1)
        assert is_same(reflected[:, one], reflect(vectors[:, one], normal[:, one]))
        alone = unit(normal[:, one], FALLBACK)
        assert is_same(direction[:, one], alone[0])
        assert is_same(length[one], alone[1])
    for place, value in enumerate(odd, 20):
        if value == 0:
            assert torch.equal(reflected[:, place], vectors[:, place])
            assert torch.equal(direction[:, place], FALLBACK[:, 0])
            assert length[place] == 0
        elif math.isnan(value):
            assert direction[:, place].isnan().all()


def test_nothing_is_reflected_and_measured() -> None:
    nothing = torch.empty(3, 0)
    assert reflect(nothing, nothing).shape == (3, 0)
    assert unit(nothing, FALLBACK)[1].shape == (0,)


@pytest.mark.parametrize("bones", [(), (4,), (0, 1, 2), (2, 5, 8), (3, 1, 2), (5, 3, 1), (1, 2, 4), (2, 2)])
def test_planes_of_bones_are_those_of_an_index(bones: tuple[int, ...]) -> None:
    values = torch.arange(3 * 9 * 2.0).reshape(3, 9, 2)
    assert torch.equal(picked(values, bones), values[:, list(bones)])
    if len(set(bones)) == len(bones):
        expected, changed = values.clone(), values.clone()
        expected[:, list(bones)] = -torch.ones(3, len(bones), 2)
        put(changed, bones, -torch.ones(3, len(bones), 2))
        assert torch.equal(changed, expected)
