"""Joint-angle limits by the name that the command line and provenance use."""

from __future__ import annotations

from evolution.anatomical_limits import AnatomicalLimits
from evolution.joint_limits import JointLimits
from evolution.kinematic_tree import KinematicTree
from posedata.errors import InputError


def limits_by_name(name: str, tree: KinematicTree) -> JointLimits:
    """The limits that a name stands for: "anatomical".

    Raises:
        InputError: there are none of that name, or they are for another skeleton.
    """
    if name == "anatomical":
        return AnatomicalLimits(tree)
    raise InputError(f"there are no limits {name!r}: choose anatomical")
