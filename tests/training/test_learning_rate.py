from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from evolift.training.learning_rate import schedule_factor, with_schedule

STEPS = 1000


def factors(schedule: str, steps: int = STEPS, **more: object) -> np.ndarray:
    return np.array([schedule_factor(schedule, step, steps, **more) for step in range(steps)])


@pytest.mark.parametrize("schedule", ["constant", "steps", "cosine", "one-cycle", "published"])
def test_factors_are_above_0_and_at_most_1(schedule: str) -> None:
    values = factors(schedule)
    assert (values > 0).all()
    assert values.max() <= 1
    assert (factors(schedule, 1) > 0).all()


def test_milestones_take_a_tenth_each_when_their_part_is_done() -> None:
    values = factors("steps", 9, milestones=(0.5, 0.8), head_start=1)  # done after each step: 0.1, 0.2, ...
    assert values == pytest.approx([1, 1, 1, 1, 0.1, 0.1, 0.1, 0.01, 0.01])
    assert factors("steps", 9).tolist() == [1.0] * 9


def test_a_cosine_goes_over_the_whole_training_also_beneath_a_warm_up() -> None:
    done = np.arange(1, STEPS + 1) / (STEPS + 1)
    wanted = (1 + np.cos(np.pi * done)) / 2
    np.testing.assert_allclose(factors("cosine", head_start=1), wanted)
    warm = factors("cosine", warm_up=0.05, head_start=1)
    np.testing.assert_allclose(warm, np.where(done < 0.05, done / 0.05, wanted), rtol=1e-12)
    np.testing.assert_allclose(factors("cosine"), (1 + np.cos(np.pi * np.arange(STEPS) / STEPS)) / 2)


def test_one_cycle_rises_over_a_tenth_and_falls_over_the_rest() -> None:
    values = factors("one-cycle")
    np.testing.assert_allclose(values[:100], np.arange(1, 101) / 100)
    np.testing.assert_allclose(values[100:], [(1 + math.cos(math.pi * k / 900)) / 2 for k in range(900)])


def test_the_published_decay() -> None:
    assert [schedule_factor("published", step, 10**6) for step in (0, 99_999, 100_000, 250_000)] == [
        1.0,
        1.0,
        0.96,
        0.96**2,
    ]


def test_every_group_of_an_optimiser_follows_the_factors() -> None:
    parameters = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)]
    optimiser = torch.optim.Adam([{"params": parameters[0], "lr": 1.0}, {"params": parameters[1], "lr": 0.1}])
    scheduler = with_schedule(optimiser, "cosine", 20, warm_up=0.2, head_start=1)["lr_scheduler"]["scheduler"]
    rates = []
    for _ in range(20):
        rates.append([group["lr"] for group in optimiser.param_groups])
        optimiser.step()
        scheduler.step()
    wanted = factors("cosine", 20, warm_up=0.2, head_start=1)
    np.testing.assert_allclose(rates, wanted[:, None] * [1.0, 0.1])


def test_an_unknown_schedule_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no schedule 'sine'"):
        schedule_factor("sine", 0, 10)
