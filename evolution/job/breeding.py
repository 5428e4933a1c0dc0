"""One block of children: Sample, Crossover, Mutation and NaturalSelection of Algorithm 1, batched.

A block depends on the population before its generation, the settings and its place (generation, number), and on nothing
else, so blocks may be bred in any order and by any worker.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Float32, Float64, Int32, Int64, UInt8
from torch import Tensor

from evolift.evolution.criteria.criterion import Criterion
from evolift.evolution.criteria.ground import settle
from evolift.evolution.criteria.near_duplicates import DuplicateFilter
from evolift.evolution.kinematics.gene_pool import GenePool, pack
from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.kinematics.local_bones import LocalBones, contiguous_joints, to_joints, to_local
from evolift.evolution.limits.joint_limits import JointLimits
from evolift.evolution.operators.anthropometry import give_bodies
from evolift.evolution.operators.crossover import draw_pairs, draw_subtrees, exchange
from evolift.evolution.operators.donation import Donors, draw_donors
from evolift.evolution.operators.immigration import draw_limbs, redraw_directions
from evolift.evolution.operators.mutation import (
    draw_rotated,
    mirror_bodies,
    rotate_bodies,
    rotate_bones,
    scale_lengths,
)
from evolift.evolution.operators.parent_sampling import draw_weighted_pairs, in_torso_frame, pose_distance
from evolift.evolution.settings import EvolutionSettings
from evolift.posedata.errors import InputError
from evolift.posedata.poses import NO_PARENT
from evolift.posedata.seeds import generator_at

BATCH = 8192
"""Maximum number of candidates made at a time; their working set then stays within a processor's cache."""
DENSITY_POSES = 8192
"""Poses at most that the density of immigrants is made of."""
HOPELESS = 1 / 2000
"""Share of survivors below which breeding gives up."""

OPERATORS = ("crossover", "mutation", "rotation", "lengths", "mirror", "immigration")


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
        copies: candidates too near to a parent.
        refused: candidates refused by the limits.
        refused_by: bone -> candidates that broke its limit (a candidate may break several).
        implausible: candidates within the limits that a further criterion refused.
        implausible_by: criterion -> candidates that it refused (a candidate may be refused by several).
        reasons: criterion and reason -> candidates that it was said of.
        duplicates: candidates that passed all this but are too near to a pose that is there already.
    """

    candidates: int = 0
    unchanged: int = 0
    copies: int = 0
    refused: int = 0
    refused_by: dict[str, int] = field(default_factory=dict)
    implausible: int = 0
    implausible_by: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)
    duplicates: int = 0

    def add(self, other: Tally) -> None:
        """Add the counts of another block to these, in place."""
        self.candidates += other.candidates
        self.unchanged += other.unchanged
        self.copies += other.copies
        self.refused += other.refused
        self.implausible += other.implausible
        self.duplicates += other.duplicates
        for name in ("refused_by", "implausible_by", "reasons"):
            for key, value in getattr(other, name).items():
                count(getattr(self, name), key, value)

    @property
    def survivors(self) -> int:
        """Candidates that selection kept (more than a block's quota: its last batch is cut)."""
        lost = self.unchanged + self.copies + self.refused + self.implausible + self.duplicates
        return self.candidates - lost


def tally_table(generations: Sequence[Tally]) -> pd.DataFrame:
    """One row per generation: candidates, what became of those that are no children, and the share that the limits refused.

    A criterion has a column if it refused any; a candidate may be refused by several.
    """
    names = sorted({name for tally in generations for name in tally.implausible_by})
    return pd.DataFrame(
        {
            "generation": number,
            "candidates": tally.candidates,
            "unchanged": tally.unchanged,
            "copies": tally.copies,
            "refused": tally.refused,
            **{name: tally.implausible_by.get(name, 0) for name in names},
            "duplicates": tally.duplicates,
            "refused_share": tally.refused / max(tally.candidates, 1),
        }
        for number, tally in enumerate(generations, 1)
    )


def count(counts: dict[str, int], key: str, more: int) -> None:
    """Add to a count, which is made if there is anything to add."""
    if more:
        counts[key] = counts.get(key, 0) + more


@dataclass(frozen=True, eq=False)
class Children:
    """A block of children, ready to be written; parents are rows of the population.

    `parent_b` is -1 where there was no crossover, and below that of a donor; `genes` are rows of a `GenePool`; `lowest`, `support` and
    `person` are as in `Parents`.
    """

    joints: Float32[np.ndarray, "n joints 3"]
    genes: Float32[np.ndarray, "n genes"]
    parent_a: Int64[np.ndarray, "n"]
    parent_b: Int64[np.ndarray, "n"]
    operator: UInt8[np.ndarray, "n"]
    tally: Tally
    lowest: Float32[np.ndarray, "n"]
    support: Float32[np.ndarray, "n"] | None = None
    person: Int32[np.ndarray, "n"] | None = None


@dataclass(frozen=True, eq=False)
class Candidates:
    """Children before selection; `copies` are too near to a parent. Joints and copies lie on the device, the rest on the CPU."""

    joints: Float32[Tensor, "n joints 3"]
    parent_a: Int64[Tensor, "n"]
    parent_b: Int64[Tensor, "n"]
    operator: UInt8[Tensor, "n"]
    copies: Bool[Tensor, "n"]


@dataclass(frozen=True, eq=False)
class Parents:
    """Who may become a parent.

    Args:
        pool: genes of the population.
        rows: of it that may; one alone has children by the other operators, without crossover.
        cumulative: running sum of their weights, None if all have the same.
        templates: bone lengths that a child may get, one row per subject.
        duplicates: refuses duplicates, None if they may be.
        support: of each row of the pool, the height that the original stands on that its body descends from, mm (see
            `evolift.evolution.criteria.ground`); needed by criteria only.
        person: of each row of the pool, the row of `templates` of the subject that its body descends from; needed by
            `body_rate` only.
        lowest: of each row of the pool, the height of its lowest joint, mm; None measures it where children are settled.
        device: where children are bred. All chance is drawn on the CPU, whatever it is.
        donors: of other stores, that give limbs; None if there are none.
    """

    pool: GenePool
    rows: Int64[np.ndarray, "members"]
    cumulative: Float64[np.ndarray, "members"] | None = None
    templates: Float32[np.ndarray, "subjects bones"] | None = None
    duplicates: DuplicateFilter | None = None
    support: Float32[np.ndarray, "rows"] | None = None
    person: Int32[np.ndarray, "rows"] | None = None
    lowest: Float32[np.ndarray, "rows"] | None = None
    device: torch.device | str = "cpu"
    donors: Donors | None = None

    @cached_property
    def directions(self) -> Float32[Tensor, "some bones 3"]:
        """Local directions of at most `DENSITY_POSES` of the parents, evenly spread: the density that immigrants follow."""
        places = np.linspace(0, len(self.rows) - 1, min(len(self.rows), DENSITY_POSES)).astype(np.int64)
        directions = self.pool.take(torch.from_numpy(self.rows[places])).directions
        self.pool.forget()
        return directions


def breed(
    parents: Parents,
    quota: int,
    limits: JointLimits,
    settings: EvolutionSettings,
    place: Sequence[int],
    criteria: Sequence[Criterion] = (),
) -> Children:
    """Breed `quota` valid children.

    Args:
        parents: that they are drawn from.
        limits: that children must keep.
        place: of the block in the run, for the seed.
        criteria: that children must meet beside the limits.

    Raises:
        InputError: nearly all candidates are refused.
    """
    generator = generator_at(settings.seed, *place)
    joints = np.empty((quota, len(limits.tree.skeleton), 3), np.float32)
    genes = np.empty((quota, GenePool.width(limits.tree)), np.float32)
    parent_a, parent_b = np.empty(quota, np.int64), np.empty(quota, np.int64)
    operator, lowest = np.empty(quota, np.uint8), np.empty(quota, np.float32)
    siblings: Float32[np.ndarray, "earlier coordinates"] | None = None
    tally, done = Tally(), 0
    while done < quota:
        share = (done + 1) / (tally.candidates + 1)
        n = min(BATCH, max(64, math.ceil((quota - done) / share * 1.02)))
        candidates = make_candidates(parents, n, limits, settings, generator)
        # After every batch: reading a row of a mapped file maps its neighbourhood too, which adds up.
        parents.pool.forget()
        measured, survivors = select(candidates, limits, tally)
        if criteria:
            plausible = judge(candidates, survivors, criteria, parents, tally)
            survivors = survivors[plausible.all(-1)]
        if parents.duplicates is not None:
            apart, points = parents.duplicates.keep(measured[survivors].to("cpu"), siblings)
            parents.pool.forget()
            siblings = points if siblings is None else np.concatenate([siblings, points])
            tally.duplicates += len(survivors) - len(apart)
            survivors = survivors[torch.from_numpy(apart).to(survivors.device)]
        rows = survivors[: quota - done].cpu()
        for column, values in (
            (joints, contiguous_joints(candidates.joints)),
            (genes, pack(measured)),
            (parent_a, candidates.parent_a),
            (parent_b, candidates.parent_b),
            (operator, candidates.operator),
            (lowest, candidates.joints[..., 2].amin(-1)),
        ):
            # Out of range is none of the rows; "clip" spares numpy a copy of its own.
            free: np.ndarray = column[done : done + len(rows)]
            np.take(values.cpu().numpy(), rows.numpy(), 0, out=free, mode="clip")
        done += len(rows)
        if tally.candidates > 4 / HOPELESS and done < HOPELESS * tally.candidates:
            raise InputError(_hopeless(tally, limits))
    support = None if parents.support is None else parents.support[parent_a]
    person = None if parents.person is None else parents.person[parent_a]
    return Children(joints, genes, parent_a, parent_b, operator, tally, lowest, support, person)


def make_candidates(
    parents: Parents,
    n: int,
    limits: JointLimits,
    settings: EvolutionSettings,
    generator: torch.Generator,
) -> Candidates:
    """Draw parents and apply the operators at their rates; nothing is selected yet."""
    tree, device = limits.tree, torch.device(parents.device)
    first, second = _draw_parents(parents, n, generator)
    body, mate = parents.pool.take(first, device), parents.pool.take(second, device)

    if parents.donors is not None:
        mate, second = draw_donors(parents.donors, body, mate, second, generator, rate=settings.donor_rate)
        parents.donors.pool.forget()

    def drawn(rate: float) -> Bool[Tensor, "n"]:
        return torch.rand(n, generator=generator) < rate

    crossed = drawn(settings.crossover_rate)
    if len(parents.rows) == 1:  # with itself nothing would be exchanged
        crossed &= second < NO_PARENT
    taken = draw_subtrees(tree, n, generator, two_point_rate=settings.two_point_rate) & crossed[:, None]
    child = exchange(body, mate, taken.to(device), tree, lengths=settings.crossed_lengths)

    mutated = drawn(settings.mutation_rate)
    rotated = draw_rotated(tree, mutated, generator, per_bone_rate=settings.per_bone_rate or None)
    child = rotate_bones(child, rotated, tree, generator, sigma=math.radians(settings.sigma))
    mutated = torch.from_numpy(rotated.numpy().any(1))  # torch takes twenty times as long
    headed = drawn(settings.rotation_rate)
    if settings.rotation_rate:
        child = rotate_bodies(child, headed, generator, tilt_sigma=math.radians(settings.tilt_sigma))
    scaled = drawn(settings.length_rate)
    if settings.length_rate:
        child = scale_lengths(child, tree, scaled, generator, spread=settings.length_spread)

    if parents.templates is not None and settings.template_rate:
        fitted = drawn(settings.template_rate)
        subjects = torch.randint(len(parents.templates), (n,), generator=generator)
        lengths = torch.from_numpy(parents.templates)[subjects].to(device)
        child = child.with_values(lengths=torch.where(fitted.to(device)[:, None], lengths, child.lengths))
        scaled = scaled | fitted
    # Drawn last and only if wanted, so that runs without these have the stream that they had before they existed.
    mirrored = torch.zeros(n, dtype=torch.bool)
    if settings.mirror_rate:
        mirrored = drawn(settings.mirror_rate)
        child = mirror_bodies(child, tree, mirrored.to(device))
    if settings.body_rate:
        assert parents.templates is not None  # whoever wants bodies gives both
        assert parents.person is not None
        given = drawn(settings.body_rate)
        own = torch.from_numpy(parents.templates[parents.person[first.numpy()]])
        child = give_bodies(child, tree, given, own, generator)
        scaled = scaled | given
    immigrated = torch.zeros(n, dtype=torch.bool)
    if settings.immigrant_rate:
        immigrated = drawn(settings.immigrant_rate)
        redrawn = draw_limbs(tree, immigrated, limits.limited, generator).to(device)
        weight = settings.immigrant_density
        seen = parents.directions.to(device) if weight else None
        child = redraw_directions(
            child, redrawn, tree, limits.check_local, generator, seen=seen, weight=weight
        )

    operator = torch.zeros(n, dtype=torch.uint8)
    for bit, applied in enumerate((crossed, mutated, headed, scaled, mirrored, immigrated)):
        operator |= applied.to(torch.uint8) << bit
    joints = to_joints(tree, child)
    if settings.settle:
        joints = settle(joints, _lowest(parents, first, body, tree))
    copies = _is_copy(child, body, mate, crossed.to(device), limits, settings.min_change)
    return Candidates(joints, first, torch.where(crossed, second, NO_PARENT), operator, copies)


def _lowest(
    parents: Parents, rows: Int64[Tensor, "n"], bodies: LocalBones, tree: KinematicTree
) -> Float[Tensor, "n"]:
    """Heights of the lowest joints of the given rows, whose bones are `bodies`, mm."""
    if parents.lowest is None:
        return to_joints(tree, bodies)[..., 2].amin(-1)
    return torch.from_numpy(parents.lowest[rows.numpy()]).to(bodies.lengths)


def _draw_parents(parents: Parents, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    if len(parents.rows) == 1:
        first = second = torch.zeros(n, dtype=torch.int64)
    elif parents.cumulative is None:
        first, second = draw_pairs(n, len(parents.rows), generator)
    else:
        first, second = draw_weighted_pairs(torch.from_numpy(parents.cumulative), n, generator)
    rows = torch.from_numpy(parents.rows)
    return rows.index_select(0, first), rows.index_select(0, second)


def _is_copy(
    child: LocalBones,
    body: LocalBones,
    mate: LocalBones,
    crossed: Bool[Tensor, "n"],
    limits: JointLimits,
    radius: float,
) -> Bool[Tensor, "n"]:
    """Which children are within a radius of a parent, all with the child's bone lengths and in the torso frame."""
    near = torch.zeros_like(crossed)
    if not radius:
        return near
    here = in_torso_frame(child, limits.tree)
    for parent, concerned in ((body, torch.ones_like(near)), (mate, crossed)):
        there = in_torso_frame(parent.with_values(lengths=child.lengths), limits.tree)
        near |= concerned & (pose_distance(here, there) < radius)
    return near


def select(
    candidates: Candidates, limits: JointLimits, tally: Tally
) -> tuple[LocalBones, Int64[Tensor, "survivors"]]:
    """Natural selection: fitness minus infinity for candidates that no operator changed, that copy a parent, or that break a limit.

    Returns:
        All candidates as measured on their joints, and the rows of the survivors; the rest is counted in `tally`.
    """
    operated = (candidates.operator > 0).to(candidates.copies.device)
    changed = operated & ~candidates.copies
    measured = to_local(limits.tree, candidates.joints)
    verdicts = limits.check_measured(measured)
    valid = verdicts.view(torch.uint8).amin(-1).bool()  # `all` takes ten times as long
    tally.candidates += len(valid)
    tally.unchanged += int((~operated).sum())
    tally.copies += int((operated & candidates.copies).sum())
    refused = changed & ~valid
    tally.refused += int(refused.sum())
    broken = (~verdicts[refused]).sum(0).cpu().tolist()
    for bone, times in zip(limits.bones, broken, strict=True):
        count(tally.refused_by, bone, times)
    return measured, (changed & valid).nonzero()[:, 0]


def judge(
    candidates: Candidates,
    rows: Int64[Tensor, "n"],
    criteria: Sequence[Criterion],
    parents: Parents,
    tally: Tally,
) -> Bool[Tensor, "n criteria"]:
    """What criteria say of the candidates that kept the limits.

    Args:
        rows: of those candidates.
        parents: where `support` is from.
        tally: that the refused are counted in.
    """
    assert parents.support is not None  # whoever gives criteria gives it too
    joints = candidates.joints.index_select(0, rows)
    support = torch.from_numpy(parents.support[candidates.parent_a[rows.cpu()].numpy()]).to(joints.device)
    verdicts = []
    for criterion in criteria:
        verdict = criterion.check(joints, support)
        verdicts.append(verdict.all(-1))
        count(tally.implausible_by, criterion.name, int((~verdicts[-1]).sum()))
        for reason, times in zip(criterion.reasons, (~verdict).sum(0).cpu().tolist(), strict=True):
            count(tally.reasons, f"{criterion.name}: {reason}", times)
    plausible = torch.stack(verdicts, -1)
    tally.implausible += int((~plausible.all(-1)).sum())
    return plausible


def _hopeless(tally: Tally, limits: JointLimits) -> str:
    # The share that each refuses of those that the ones before it leave: limits that halve the candidates are not to
    # blame for a distance that leaves none of the other half.
    shares, left = {}, tally.candidates
    for name, refused in (
        ("unchanged", tally.unchanged),
        ("limits", tally.refused),
        ("criteria", tally.implausible),
        ("near", tally.copies + tally.duplicates),
    ):
        shares[name] = refused / max(left, 1)
        left -= refused
    main_reason = max(shares, key=lambda name: shares[name])
    if main_reason == "unchanged":
        return "no operator changes anything at these rates: raise `crossover_rate` or `mutation_rate`"
    if main_reason == "near":
        return (
            f"nearly all children are too near to poses that are there already ({tally.survivors} of {tally.candidates} survive): "
            "lower `min_distance` or `min_change`, or ask for fewer children"
        )
    if main_reason == "criteria":
        reason, times = max(tally.reasons.items(), key=lambda item: item[1])
        return f"the criteria refuse nearly all children ({tally.survivors} of {tally.candidates} survive), most often for {reason} ({times}): see `evolift limits check`, or leave out `criteria`"
    bone, times = max(tally.refused_by.items(), key=lambda item: item[1])
    return (
        f"the limits {limits.name!r} refuse nearly all children ({tally.survivors} of {tally.candidates} survive), "
        f"most often for the bone that ends at {bone} ({times}): check the source with `evolift limits check`, or choose wider limits"
    )
