"""Criteria of plausibility by the names that the command line and provenance use."""

from __future__ import annotations

from collections.abc import Callable

from evolift.evolution.criteria.capsules import Capsules
from evolift.evolution.criteria.criterion import Criterion
from evolift.evolution.criteria.ground import Ground
from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.posedata.errors import InputError

_CRITERIA: dict[str, Callable[[KinematicTree], Criterion]] = {"ground": Ground, "capsules": Capsules}


def names_of(criteria: str) -> tuple[str, ...]:
    """The names in a list with commas between them.

    Raises:
        InputError: there is no such criterion, or one is named twice.
    """
    names = tuple(criteria.split(",")) if criteria else ()
    for name in names:
        if name not in _CRITERIA:
            raise InputError(
                f"--criteria: there is no criterion {name!r}: choose among {','.join(_CRITERIA)}"
            )
    if len(set(names)) < len(names):
        raise InputError(f"--criteria: {criteria!r} names one twice")
    return names


def criteria_by_names(criteria: str, tree: KinematicTree) -> tuple[Criterion, ...]:
    """The criteria of a list such as "ground,capsules".

    Args:
        tree: of the poses that shall be judged.

    Raises:
        InputError: there is no such criterion, or the skeleton lacks what it looks at.
    """
    return tuple(_CRITERIA[name](tree) for name in names_of(criteria))
