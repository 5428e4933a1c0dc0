"""Learning-rate schedules, the same for every stage: a factor on the optimiser's rates, by step.

A factor is a closed form of the step, not of the last factor, so that a resumed run has the very rates of an undisturbed
one. torch's own chains (`SequentialLR`) restart each part at its beginning, and timm's warm-up counts a step less: neither
gives the cosine over the whole training that goes on beneath a warm-up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

ONE_CYCLE_RISE = 0.1
"""Part of the training in which a one-cycle schedule rises."""

PUBLISHED_DECAY, PUBLISHED_DECAY_STEPS = 0.96, 100_000
"""SemGCN's published schedule (Zhao et al. 2019): the factor, and after how many steps."""


def schedule_factor(
    schedule: str,
    step: int,
    steps: int,
    *,
    warm_up: float = 0.0,
    milestones: Sequence[float] = (),
    head_start: int = 0,
) -> float:
    r"""Factor on the learning rate at a step.

    With :math:`p = (s + h) / (S + h)` done of the training, s the step, S all steps and h the head start:

    - ``constant``: 1.
    - ``steps``: a tenth for each milestone that p has reached.
    - ``cosine``: :math:`(1 + \cos \pi p) / 2`.
    - ``one-cycle``: a linear rise over R steps, a tenth of all, then :math:`(1 + \cos(\pi (s - R) / (S - R))) / 2`.
    - ``published``: 0.96 to the power of the hundred thousands of steps done.

    Args:
        schedule: one of these names.
        step: from 0.
        steps: of the whole training.
        warm_up: part of the training over which the factor rises from 0 before all this, as p / warm_up.
        milestones: as parts of the whole training, for ``steps``.
        head_start: steps that count as done before the first; with a warm-up 1, or the first step has a rate of 0.

    Raises:
        ValueError: there is no such schedule.
    """
    done = (step + head_start) / (steps + head_start)
    if done < warm_up:
        return done / warm_up
    match schedule:
        case "constant":
            return 1.0
        case "steps":
            return float(0.1 ** sum(done >= milestone for milestone in milestones))
        case "cosine":
            return _half_cosine(done)
        case "one-cycle":
            rise = max(1, round(ONE_CYCLE_RISE * steps))
            return (step + 1) / rise if step < rise else _half_cosine((step - rise) / max(1, steps - rise))
        case "published":
            return float(PUBLISHED_DECAY ** (step // PUBLISHED_DECAY_STEPS))
    raise ValueError(f"there is no schedule {schedule!r}")


def with_schedule(
    optimiser: torch.optim.Optimizer,
    schedule: str,
    steps: int,
    *,
    warm_up: float = 0.0,
    milestones: Sequence[float] = (),
    head_start: int = 0,
) -> dict[str, object]:
    """What `configure_optimizers` of a lightning module returns: the optimiser and its schedule, by step.

    Args:
        optimiser: every group's rate is multiplied.
        schedule, steps, warm_up, milestones, head_start: see `schedule_factor`.
    """

    def factor(step: int) -> float:
        return schedule_factor(
            schedule, step, steps, warm_up=warm_up, milestones=milestones, head_start=head_start
        )

    scheduler = torch.optim.lr_scheduler.LambdaLR(optimiser, factor)
    return {"optimizer": optimiser, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def _half_cosine(done: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
