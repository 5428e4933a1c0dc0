"""Criteria of plausibility by the names that the settings use."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from evolift.evolution.criteria.capsules import Capsules
from evolift.evolution.criteria.criterion import Criterion
from evolift.evolution.criteria.ground import Ground
from evolift.evolution.kinematics.kinematic_tree import KinematicTree

_CRITERIA: dict[str, Callable[[KinematicTree], Criterion]] = {"ground": Ground, "capsules": Capsules}


def criteria_by_names(names: Sequence[str], tree: KinematicTree) -> tuple[Criterion, ...]:
    """The criteria of some names.

    Args:
        names: of `EvolutionSettings.criteria`.
        tree: of the poses that shall be judged.

    Raises:
        InputError: the skeleton lacks what a criterion looks at.
    """
    return tuple(_CRITERIA[name](tree) for name in names)
