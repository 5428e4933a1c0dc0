"""Skeletons that may be told by their names, as users write them."""

from __future__ import annotations

from evolift.posedata.errors import InputError
from evolift.posedata.skeleton import Skeleton, skeleton_by_name


def as_skeleton(skeleton: Skeleton | str, name: str = "skeleton") -> Skeleton:
    """A skeleton that may be told by its name.

    Args:
        skeleton: itself, or the name of a built-in one.
        name: of the argument.

    Raises:
        InputError: it is neither.
    """
    if isinstance(skeleton, str):
        return skeleton_by_name(skeleton)
    if not isinstance(skeleton, Skeleton):
        raise InputError(f"`{name}` must be a skeleton or the name of one, not {type(skeleton).__name__}")
    return skeleton
