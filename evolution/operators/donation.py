"""Donation: a mate from another store, so that walkers learn from dancers without becoming dancers.

A donor stands in for the second parent of a crossover, and gives directions alone. The child's body, place, heading and labels are those of the
population, which no donor ever joins.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from evolift.evolution.kinematics.gene_pool import GenePool
from evolift.evolution.kinematics.local_bones import LocalBones


@dataclass(frozen=True, eq=False)
class Donors:
    """Who may give limbs.

    Args:
        pool: genes of the donors; only directions and the upper torso are used.
        parents: what `parent_b` is for each of them (`evolift.posedata.poses.Lineage`).
    """

    pool: GenePool
    parents: Int64[np.ndarray, "donors"]


def draw_donors(
    donors: Donors,
    body: LocalBones,
    mate: LocalBones,
    second: Int64[Tensor, "n"],
    generator: torch.Generator,
    *,
    rate: float,
) -> tuple[LocalBones, Int64[Tensor, "n"]]:
    """Mates, a share of which are donors, drawn uniformly, in place of members of the population.

    Args:
        body: first parents; a donor gets their bone lengths, so that none of its own can be passed on.
        mate: second parents.
        second: rows of these.
        rate: share of donors.

    Returns:
        The second parents, and what `parent_b` is for each.
    """
    n = len(second)
    donated = torch.rand(n, generator=generator) < rate
    drawn = torch.randint(len(donors.parents), (n,), generator=generator)
    device = body.lengths.device
    given, there = donors.pool.take(drawn, device), donated.to(device)
    mates = mate.with_values(
        directions=torch.where(there[:, None, None], given.directions, mate.directions),
        upper=torch.where(there[:, None, None], given.upper, mate.upper),
        lengths=torch.where(there[:, None], body.lengths, mate.lengths),
    )
    return mates, torch.where(donated, torch.from_numpy(donors.parents)[drawn], second)
