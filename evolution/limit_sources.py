"""Joint-angle limits by the name that the command line and provenance use."""

from __future__ import annotations

from pathlib import Path

from evolution.anatomical_limits import AnatomicalLimits
from evolution.joint_limits import JointLimits
from evolution.kinematic_tree import KinematicTree
from evolution.limits_file import load_limits
from posedata.errors import InputError

KINDS = "anatomical or fitted:FILE"


def limits_by_name(name: str, tree: KinematicTree) -> JointLimits:
    """The limits that a name stands for: "anatomical", or "fitted:FILE" from `evolift limits fit`.

    Args:
        tree: of the poses that shall be checked.

    Raises:
        InputError: there are none of that name, or the file is not sound or for another skeleton.
    """
    kind, colon, file = name.partition(":")
    if name == "anatomical":
        return AnatomicalLimits(tree)
    if kind == "fitted" and colon and file:
        limits = load_limits(Path(file))
        if limits.tree != tree:
            raise InputError(
                f"{file}: these limits were fitted on the skeleton {limits.tree.skeleton.name}, the poses have {tree.skeleton.name}: fit limits on such poses"
            )
        return limits
    raise InputError(f"there are no limits {name!r}: give {KINDS}")


def limits_file(name: str) -> Path | None:
    """The file that a name refers to, None for built-in limits."""
    _, colon, file = name.partition(":")
    return Path(file) if colon else None
