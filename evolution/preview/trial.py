"""Candidates bred once more for the page, because a run keeps no refused one: what became of them, by operator and by reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from evolift.evolution.criteria.criterion import Criterion
from evolift.evolution.job.breeding import (
    OPERATORS,
    Candidates,
    Parents,
    Tally,
    judge,
    make_candidates,
    select,
)
from evolift.evolution.limits.joint_limits import JointLimits
from evolift.evolution.settings import EvolutionSettings

BATCH = 4096
FEW = 50
"""Candidates of which no share is told."""


@dataclass(eq=False)
class Trial:
    """What selection did with some candidates.

    Args:
        tally: counts as a run keeps them.
        with_operator, accepted: of each operator, the candidates that it changed and those of them that were kept.
        all_accepted: all that were kept.
        broken: joints of some that break a limit, mm.
        implausible: of some that a criterion refused, with its reasons.
    """

    tally: Tally = field(default_factory=Tally)
    with_operator: Int64[np.ndarray, "operators"] = field(
        default_factory=lambda: np.zeros(len(OPERATORS), np.int64)
    )
    accepted: Int64[np.ndarray, "operators"] = field(
        default_factory=lambda: np.zeros(len(OPERATORS), np.int64)
    )
    all_accepted: int = 0
    broken: list[Float[np.ndarray, "joints 3"]] = field(default_factory=list)
    implausible: list[tuple[Float[np.ndarray, "joints 3"], str]] = field(default_factory=list)

    def by_operator(self) -> pd.DataFrame:
        """A row per operator that was at work: how often, and the shares kept of those with and without it, percent."""
        rows = []
        for name, candidates, kept in zip(
            OPERATORS, self.with_operator.tolist(), self.accepted.tolist(), strict=True
        ):
            others = self.tally.candidates - candidates
            if candidates:
                rows.append(
                    {
                        "operator": name,
                        "of the candidates, %": 100 * candidates / self.tally.candidates,
                        "kept with it, %": 100 * kept / candidates,
                        "kept without it, %": 100 * (self.all_accepted - kept) / others
                        if others >= FEW
                        else np.nan,
                    }
                )
        return pd.DataFrame(rows)


def try_out(
    parents: Parents,
    limits: JointLimits,
    settings: EvolutionSettings,
    criteria: Sequence[Criterion],
    generator: torch.Generator,
    *,
    batches: int,
    shown: int,
    batch: int = BATCH,
) -> Trial:
    """Breed and judge candidates as a run does, short of the search for duplicates.

    Args:
        batches: at most; fewer if there are examples enough after the first two.
        shown: examples of each kind to keep.
        batch: candidates of each.
    """
    trial = Trial()
    for number in range(batches):
        candidates = make_candidates(parents, batch, limits, settings, generator)
        _, kept = select(candidates, limits, trial.tally)
        broken = ~limits.check(candidates.joints).all(-1)
        trial.broken += list(candidates.joints[broken].numpy())[: shown - len(trial.broken)]
        if criteria:
            plausible = judge(candidates, kept, criteria, parents, trial.tally).all(-1)
            refused = kept[~plausible][: shown - len(trial.implausible)]
            trial.implausible += _with_reasons(candidates, refused, criteria, parents)
            kept = kept[plausible]
        bits = torch.stack([candidates.operator >> bit & 1 for bit in range(len(OPERATORS))], -1).bool()
        trial.with_operator += bits.sum(0).numpy()
        trial.accepted += bits[kept].sum(0).numpy()
        trial.all_accepted += len(kept)
        enough = len(trial.broken) >= shown and (not criteria or len(trial.implausible) >= shown)
        if enough and number:
            break
    return trial


def _with_reasons(
    candidates: Candidates, rows: Int64[Tensor, "n"], criteria: Sequence[Criterion], parents: Parents
) -> list[tuple[Float[np.ndarray, "joints 3"], str]]:
    """Candidates that criteria refuse, and why."""
    assert parents.support is not None  # whoever gives criteria gives it too
    joints = candidates.joints[rows]
    support = torch.from_numpy(parents.support[candidates.parent_a[rows].numpy()])
    verdicts: Bool[Tensor, "n reasons"] = torch.cat(
        [criterion.check(joints, support) for criterion in criteria], -1
    )
    names = [reason for criterion in criteria for reason in criterion.reasons]
    return [
        (pose, ", ".join(name for name, valid in zip(names, verdict, strict=True) if not valid))
        for pose, verdict in zip(joints.numpy(), verdicts.tolist(), strict=True)
    ]
