"""Third part: what evolution bred from the few recorded poses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evolift.cli.demo.plan import DemoPlan

if TYPE_CHECKING:
    from evolift.evolution.job.coverage import Coverage
    from evolift.evolution.job.families import Family

FAMILIES = 3


@dataclass(frozen=True, eq=False)
class BreedingResult:
    """What evolution did.

    Args:
        originals, children: how many poses.
        refused: share of candidates that the limits refused.
        within, random_within: share of the children, and of the same bodies with random limbs, within the limits.
        length_change: largest between a child and its parent, mm.
        coverage: of the test person's poses.
        families: some children with their parents.
    """

    originals: int
    children: int
    refused: float
    within: float
    random_within: float
    length_change: float
    coverage: Coverage
    families: tuple[Family, ...]


def breed(plan: DemoPlan) -> BreedingResult:
    """Evolve with the defaults, and look at what came of it."""
    from evolift.evolution.job.algorithm import evolve
    from evolift.evolution.job.coverage import coverage_of
    from evolift.evolution.job.families import families, largest_length_change
    from evolift.evolution.limits.limit_sources import joint_limits
    from evolift.evolution.limits.limits_report import report_on_store
    from evolift.evolution.settings import EvolutionSettings
    from evolift.posedata.store import PoseStore

    settings = EvolutionSettings(seed=plan.seed)
    report = evolve(plan.path("few.h5"), plan.path("evolved.h5"), settings)
    with (
        PoseStore(plan.path("evolved.h5"), validate=False) as evolved,
        PoseStore(plan.path("test.h5")) as test,
    ):
        limits = report_on_store(evolved, joint_limits(settings.limits, evolved.skeleton), random_limbs=True)
        assert limits.random is not None  # it was asked for
        return BreedingResult(
            report.originals,
            report.children,
            sum(tally.refused for tally in report.generations)
            / sum(tally.candidates for tally in report.generations),
            limits.rate,
            limits.random.rate,
            largest_length_change(evolved),
            coverage_of(test, evolved),
            tuple(families(evolved, FAMILIES)),
        )
