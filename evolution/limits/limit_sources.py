"""Joint-angle limits by the name that the command line and provenance use."""

from __future__ import annotations

from pathlib import Path

from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.limits.akhter_black_limits import STATIC_FILE, load_akhter_black
from evolift.evolution.limits.anatomical_limits import AnatomicalLimits
from evolift.evolution.limits.joint_limits import JointLimits
from evolift.evolution.limits.limits_file import load_limits
from evolift.posedata.errors import InputError
from evolift.posedata.skeleton import Skeleton

KINDS = "anatomical, fitted:FILE or akhter-black:FILE"


def joint_limits(name: str, skeleton: Skeleton) -> JointLimits:
    """The limits that a name stands for.

    "anatomical" are built in, "fitted:FILE" come from `evolift limits fit`, and "akhter-black:FILE" from the published
    jointAngleModel_v2.mat with staticPose.mat beside it.

    Args:
        skeleton: of the poses that shall be checked.

    Raises:
        InputError: there are none of that name, the skeleton is no kinematic tree, or the file is not sound or for another skeleton.
    """
    tree = KinematicTree(skeleton)
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
    if kind == "akhter-black" and colon and file:
        return load_akhter_black(Path(file), tree)
    raise InputError(f"there are no limits {name!r}: give {KINDS}")


def files_of_limits(name: str) -> tuple[Path, ...]:
    """The files that a name refers to; none for built-in limits."""
    kind, colon, file = name.partition(":")
    if not colon:
        return ()
    return (Path(file), Path(file).parent / STATIC_FILE) if kind == "akhter-black" else (Path(file),)
