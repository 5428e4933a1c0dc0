"""Groups of joints over which the non-local blocks pool.

SemGCN pools pairs of the 16 joints of H36M16. The 17th joint of H36M17, the neck, fits no pair; the ways to
place it that the seed report compared are named here, and any user may give groups of indices instead.
"""

from __future__ import annotations

from collections.abc import Sequence

from posedata.errors import InputError
from posedata.skeleton import H36M16, H36M17, Skeleton

Groups = tuple[tuple[int, ...], ...]

_PAIRS = (
    ("right_knee", "right_ankle"),
    ("left_knee", "left_ankle"),
    ("right_hip", "left_hip"),
    ("pelvis", "spine"),
    ("thorax", "head"),
    ("right_elbow", "right_wrist"),
    ("left_elbow", "left_wrist"),
    ("left_shoulder", "right_shoulder"),
)
"""The published groups of Zhao et al. 2019 for 16 joints."""

GROUPINGS = ("pairs", "concat", "self", "related", "none")
"""Names: `pairs`, the published groups of 16 joints; for 17 joints the pairs and the neck (i) `concat`: joined to
the pair of thorax and head, (ii) `self`: a group of its own, (iii) `related`: a further group of the neck with its
neighbours thorax and head, which stay in their pair; `none` (iv): every joint for itself, any skeleton."""


def groups_by_name(name: str, skeleton: Skeleton) -> Groups:
    """One of `GROUPINGS` as joint indices.

    Raises:
        InputError: there is no such name, or it is not defined for this skeleton.
    """
    if name == "none":
        return tuple((joint,) for joint in range(len(skeleton)))
    if name not in GROUPINGS:
        raise InputError(f"there is no joint grouping {name!r}: choose one of {', '.join(GROUPINGS)}")
    needed = H36M16 if name == "pairs" else H36M17
    if skeleton != needed:
        raise InputError(
            f"the joint grouping {name!r} is defined for {needed.name}, not {skeleton.name}: choose 'none' or give groups of your own"
        )
    pairs: tuple[tuple[str, ...], ...] = _PAIRS
    if name == "concat":
        pairs = tuple((*pair, "neck") if pair == ("thorax", "head") else pair for pair in pairs)
    elif name == "self":
        pairs = (*pairs, ("neck",))
    elif name == "related":
        pairs = (*pairs, ("thorax", "neck", "head"))
    return tuple(tuple(skeleton.index(joint) for joint in pair) for pair in pairs)


def own_groups(groups: Sequence[Sequence[int]], skeleton: Skeleton) -> Groups:
    """Checked groups of a user; groups may overlap and differ in size.

    Raises:
        InputError: a group is empty, an index is outside the skeleton, or a joint is in no group.
    """
    checked = tuple(tuple(int(joint) for joint in group) for group in groups)
    if not all(checked):
        raise InputError("a joint group is empty")
    named = {joint for group in checked for joint in group}
    outside = sorted(joint for joint in named if not 0 <= joint < len(skeleton))
    if outside:
        raise InputError(
            f"joint groups name {outside[0]}, but {skeleton.name} has joints 0 to {len(skeleton) - 1}"
        )
    missing = sorted(set(range(len(skeleton))) - named)
    if missing:
        raise InputError(f"the joint {skeleton.joints[missing[0]]!r} is in no joint group")
    return checked


def padded_groups(groups: Groups) -> list[list[int]]:
    """Groups as rows of equal length; a short one repeats its first joint, which no maximum notices."""
    longest = max(len(group) for group in groups)
    return [list(group) + [group[0]] * (longest - len(group)) for group in groups]
