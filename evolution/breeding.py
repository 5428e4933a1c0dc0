"""One block of children: Sample, Crossover, Mutation and NaturalSelection of Algorithm 1, batched.

A block depends on the population before its generation, the settings and its place (generation, number), and on nothing
else, so blocks may be bred in any order and by any worker.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor

from evolution.crossover import draw_pairs, draw_subtrees, exchange
from evolution.joint_limits import JointLimits
from evolution.local_bones import LocalBones, to_joints, to_local
from evolution.mutation import mutate_bones, scale_lengths, turn_bodies
from evolution.settings import EvolutionSettings
from posedata.errors import InputError
from posedata.seeds import generator_at

BATCH = 8192
"""Most candidates made at a time; their working set then stays within a processor's cache."""
HOPELESS = 1 / 2000
"""Share of survivors below which breeding gives up."""

OPERATORS = ("crossover", "mutation", "turn", "lengths")


def operator_name(code: int) -> str:
    """Name of a set of operators, given as bits in the order of `OPERATORS`."""
    return "+".join(name for bit, name in enumerate(OPERATORS) if code >> bit & 1)


OPERATOR_LABELS = tuple(operator_name(code) for code in range(2 ** len(OPERATORS)))


@dataclass
class Tally:
    """What selection did, summed over blocks.

    Args:
        candidates: children made.
        unchanged: candidates that no operator changed; they are no children and count as refused.
        refused: candidates refused by the limits.
        refused_by: bone -> candidates that broke its limit (a candidate may break several).
    """

    candidates: int = 0
    unchanged: int = 0
    refused: int = 0
    refused_by: dict[str, int] = field(default_factory=dict)

    def add(self, other: Tally) -> None:
        """Add another block's counts."""
        self.candidates += other.candidates
        self.unchanged += other.unchanged
        self.refused += other.refused
        for bone, count in other.refused_by.items():
            self.refused_by[bone] = self.refused_by.get(bone, 0) + count

    @property
    def survivors(self) -> int:
        """Candidates that selection kept (more than a block's quota: its last batch is cut)."""
        return self.candidates - self.unchanged - self.refused


@dataclass(frozen=True, eq=False)
class Children:
    """A block of children, ready to be written; parents are rows of the population."""

    joints: Float[np.ndarray, "n joints 3"]
    parent_a: Int64[np.ndarray, "n"]
    parent_b: Int64[np.ndarray, "n"]
    operator: UInt8[np.ndarray, "n"]
    tally: Tally


@dataclass(frozen=True, eq=False)
class Candidates:
    """Children before selection; `parent_b` is -1 where there was no crossover."""

    joints: Float[Tensor, "n joints 3"]
    parent_a: Int64[Tensor, "n"]
    parent_b: Int64[Tensor, "n"]
    operator: UInt8[Tensor, "n"]


def breed(
    population: Float[np.ndarray, "rows joints 3"],
    parents: Int64[np.ndarray, "members"],
    quota: int,
    limits: JointLimits,
    settings: EvolutionSettings,
    place: Sequence[int],
) -> Children:
    """Breed `quota` valid children.

    Args:
        population: joints, mm; may be mapped from a file.
        parents: rows that may become parents, at least two.
        limits: that children must keep.
        place: of the block in the run, for the seed.

    Raises:
        InputError: nearly all candidates are refused.
    """
    generator = generator_at(settings.seed, *place)
    kept: list[Candidates] = []
    tally, done = Tally(), 0
    while done < quota:
        share = (done + 1) / (tally.candidates + 1)
        n = min(BATCH, max(64, math.ceil((quota - done) / share * 1.02)))
        candidates = make_candidates(population, parents, n, limits, settings, generator)
        survivors = select(candidates, limits, tally)
        kept.append(_rows(candidates, survivors[: quota - done]))
        done += len(kept[-1].parent_a)
        if tally.candidates > 4 / HOPELESS and done < HOPELESS * tally.candidates:
            raise InputError(_hopeless(tally, limits))
    return Children(
        torch.cat([part.joints for part in kept]).numpy(),
        torch.cat([part.parent_a for part in kept]).numpy(),
        torch.cat([part.parent_b for part in kept]).numpy(),
        torch.cat([part.operator for part in kept]).numpy(),
        tally,
    )


def make_candidates(
    population: Float[np.ndarray, "rows joints 3"],
    parents: Int64[np.ndarray, "members"],
    n: int,
    limits: JointLimits,
    settings: EvolutionSettings,
    generator: torch.Generator,
) -> Candidates:
    """Draw parents and apply the operators at their rates; nothing is selected yet."""
    tree = limits.tree
    first, second = draw_pairs(n, len(parents), generator)
    members = torch.from_numpy(parents)
    first, second = members[first], members[second]
    body, mate = _local(population, first, limits), _local(population, second, limits)

    crossed = torch.rand(n, generator=generator) < settings.crossover_rate
    taken = draw_subtrees(tree, n, generator, two_point_rate=settings.two_point_rate) & crossed[:, None]
    child = exchange(body, mate, taken, tree, lengths=settings.crossed_lengths)

    mutated = torch.rand(n, generator=generator) < settings.mutation_rate
    child = _mutate_some(child, mutated, limits, settings, generator)
    turned = torch.rand(n, generator=generator) < settings.turn_rate
    child = turn_bodies(child, turned, generator, tilt_sigma=math.radians(settings.tilt_sigma))
    scaled = torch.rand(n, generator=generator) < settings.length_rate
    child = scale_lengths(child, tree, scaled, generator, spread=settings.length_spread)

    operator = torch.zeros(n, dtype=torch.uint8)
    for bit, applied in enumerate((crossed, mutated, turned, scaled)):
        operator |= applied.to(torch.uint8) << bit
    no_mate = torch.full_like(second, -1)
    return Candidates(to_joints(tree, child), first, torch.where(crossed, second, no_mate), operator)


def select(candidates: Candidates, limits: JointLimits, tally: Tally) -> Int64[Tensor, "survivors"]:
    """Rows of the candidates that an operator changed and that keep all limits; the rest is counted in `tally`."""
    changed = candidates.operator > 0
    verdicts = limits.check(candidates.joints)
    valid = verdicts.all(-1)
    tally.candidates += len(valid)
    tally.unchanged += int((~changed).sum())
    tally.refused += int((changed & ~valid).sum())
    broken = (changed[:, None] & ~verdicts).sum(0).tolist()
    for bone, count in zip(limits.bones, broken, strict=True):
        if count:
            tally.refused_by[bone] = tally.refused_by.get(bone, 0) + count
    return (changed & valid).nonzero()[:, 0]


def _local(population: Float[np.ndarray, "rows joints 3"], rows: Tensor, limits: JointLimits) -> LocalBones:
    return to_local(limits.tree, torch.from_numpy(population[rows.numpy()]))


def _mutate_some(
    bones: LocalBones,
    mutated: Bool[Tensor, "n"],
    limits: JointLimits,
    settings: EvolutionSettings,
    generator: torch.Generator,
) -> LocalBones:
    rows = mutated.nonzero()[:, 0]
    mutants, _ = mutate_bones(
        bones[rows],
        limits.tree,
        generator,
        sigma=math.radians(settings.sigma),
        per_bone_rate=settings.per_bone_rate,
    )
    directions, upper = bones.directions.clone(), bones.upper.clone()
    directions[rows], upper[rows] = mutants.directions, mutants.upper
    return bones.with_values(directions=directions, upper=upper)


def _rows(candidates: Candidates, rows: Tensor) -> Candidates:
    return Candidates(
        candidates.joints[rows],
        candidates.parent_a[rows],
        candidates.parent_b[rows],
        candidates.operator[rows],
    )


def _hopeless(tally: Tally, limits: JointLimits) -> str:
    if not tally.refused_by:
        return "no operator changes anything at these rates: raise --crossover-rate or --mutation-rate"
    bone, count = max(tally.refused_by.items(), key=lambda item: item[1])
    return (
        f"the limits {limits.name!r} refuse nearly all children ({tally.survivors} of {tally.candidates} survive), "
        f"most often for the bone that ends at {bone} ({count}): check the source with `evolift limits check`, or choose wider limits"
    )
