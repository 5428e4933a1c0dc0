"""What children may be asked beyond joint-angle limits: criteria of plausibility, each in its own file.

A criterion looks at joints and gives one verdict per reason; a candidate is refused as soon as one of them is against it.
Real people break each of them now and then (someone kneels, hands touch), so criteria are chosen by the user, and refuse
children only: originals may be parents whatever criteria say.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from jaxtyping import Bool, Float
from torch import Tensor


class Criterion(ABC):
    """One question that a pose is asked.

    Attributes:
        name: on the command line and in provenance.
        reasons: for which it may refuse a pose.
    """

    name: str
    reasons: tuple[str, ...]

    @abstractmethod
    def check(
        self, joints: Float[Tensor, "n joints 3"], support: Float[Tensor, "n"]
    ) -> Bool[Tensor, "n reasons"]:
        """Verdicts, True where nothing speaks against a pose.

        Args:
            joints: world, z up, mm.
            support: height of what each pose stands on, as its joints tell it: see `evolift.evolution.criteria.ground`; mm.
        """
