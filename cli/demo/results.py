"""What the parts of the demo leave for its page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evolift.cli.demo.plan import DemoPlan

if TYPE_CHECKING:
    from evolift.cli.demo.breeding import BreedingResult
    from evolift.cli.demo.lifting import LiftingResult
    from evolift.cli.demo.shipped_chain import ShippedChainResult
    from evolift.cli.demo.tuning import TuningResult


@dataclass(frozen=True, eq=False)
class DemoResults:
    """The results of all parts, and the seconds that they took."""

    plan: DemoPlan
    shipped: ShippedChainResult
    bred: BreedingResult
    lifted: LiftingResult
    tuned: TuningResult
    seconds: float
