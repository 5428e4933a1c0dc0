"""Groups of joints over which the non-local blocks pool, and the order that joints have inside a network.

SemGCN pools pairs of the 16 joints of H36M16. The 17th joint of H36M17, the nose, fits no pair; the ways to
place it that the seed report compared are named here, and any user may give groups of indices instead.

A network of its own joint order changes nothing but what lies side by side: only groups of consecutive joints
depend on it. Input and output of a lifter, and indices in groups, are always in the order of the skeleton.
"""

from __future__ import annotations

from collections.abc import Sequence

from evolift.posedata.errors import InputError
from evolift.posedata.skeleton import H36M16, H36M17, Skeleton

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

GROUPINGS = ("pairs", "concat", "self", "related", "consecutive", "none")
"""Names: `pairs`, the published groups of 16 joints; for 17 joints the pairs and the nose (i) `concat`: joined to
the pair of thorax and head, (ii) `self`: a group of its own, (iii) `related`: a further group of the nose with its
neighbours thorax and head, which stay in their pair; `none` (iv): every joint for itself, any skeleton;
`consecutive`: two and two as they lie side by side in the joint order, an odd last one for itself, any skeleton."""

JOINT_ORDERS = ("declared", "published")
"""Names: `declared`, that of the skeleton; `published`, the order that Zhao et al. 2019 bring 16 joints into before they
pool consecutive ones: pair after pair, and the 17th joint behind them."""


def joint_order(order: str | Sequence[str], skeleton: Skeleton) -> tuple[int, ...]:
    """Index in the skeleton of the joint at each place inside the network.

    Args:
        order: one of `JOINT_ORDERS`, or all joints of the skeleton by name.
        skeleton: of input and output.

    Raises:
        InputError: there is no such order, it is not defined for this skeleton, or a joint is missing, unknown or
            named twice.
    """
    if order == "declared":
        return tuple(range(len(skeleton)))
    if order == "published":
        if skeleton not in (H36M16, H36M17):
            raise InputError(
                f"the joint order 'published' is defined for H36M16 and H36M17, not {skeleton.name}: choose 'declared' or name the joints in an order of your own"
            )
        order = [joint for pair in _PAIRS for joint in pair] + ["nose"] * (skeleton == H36M17)
    if isinstance(order, str):
        raise InputError(
            f"there is no joint order {order!r}: choose one of {', '.join(JOINT_ORDERS)}, or name all joints"
        )
    indices = tuple(skeleton.index(joint) for joint in order)
    missing = sorted(set(range(len(skeleton))) - set(indices))
    if missing:
        raise InputError(f"the joint {skeleton.joints[missing[0]]!r} is missing in the joint order")
    if len(indices) > len(skeleton):
        twice = next(joint for joint in order if list(order).count(joint) > 1)
        raise InputError(f"the joint {twice!r} is named twice in the joint order")
    return indices


def groups_by_name(name: str, skeleton: Skeleton, order: Sequence[int] | None = None) -> Groups:
    """One of `GROUPINGS` as joint indices.

    Args:
        name: of the grouping.
        skeleton: of the joints.
        order: of `joint_order`, for `consecutive`; that of the skeleton if left out.

    Raises:
        InputError: there is no such name, or it is not defined for this skeleton.
    """
    if name == "none":
        return tuple((joint,) for joint in range(len(skeleton)))
    if name == "consecutive":
        places = range(len(skeleton)) if order is None else order
        return tuple(tuple(places[at : at + 2]) for at in range(0, len(places), 2))
    if name not in GROUPINGS:
        raise InputError(f"there is no joint grouping {name!r}: choose one of {', '.join(GROUPINGS)}")
    needed = H36M16 if name == "pairs" else H36M17
    if skeleton != needed:
        raise InputError(
            f"the joint grouping {name!r} is defined for {needed.name}, not {skeleton.name}: choose 'none' or give groups of your own"
        )
    pairs: tuple[tuple[str, ...], ...] = _PAIRS
    if name == "concat":
        pairs = tuple((*pair, "nose") if pair == ("thorax", "head") else pair for pair in pairs)
    elif name == "self":
        pairs = (*pairs, ("nose",))
    elif name == "related":
        pairs = (*pairs, ("thorax", "nose", "head"))
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
