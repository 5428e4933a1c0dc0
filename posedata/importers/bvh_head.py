"""The top of the head in BVH files: where a file marks it, and where it is put if none does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from evolift.posedata.importers.bvh_file import BvhMotion, rest_positions, weighted
from evolift.posedata.importers.bvh_hierarchy import BvhJoint
from evolift.posedata.importers.bvh_names import HEAD_PER_LEG, BvhNames

TOP = "(top of the head)"
_TOP_NAMES = ("headtop", "headnub", "headend", "headtip", "topofhead")
_MIN_PER_LEG = 0.03
"""Nearer to the base of the skull than this part of the leg, 25 mm of a tall person's, there is no top of a head."""


def with_head_top(motion: BvhMotion, table: BvhNames) -> tuple[BvhMotion, BvhNames, bool]:
    """A motion and a table in which the head has a top.

    It is the table's own joint; if the file lacks it, or has it on the base of the skull or nowhere (NaN), it is what else the file
    has there: the end site of the skull or a joint such as HeadNub. If there is nothing, it lies in the line of the neck
    (thorax to skull of the pose without rotations), `HEAD_PER_LEG` of the leg above the skull, and moves with the skull.

    Args:
        motion: with the table's names.
        table: one with several joints for the head, or without a skull, stays as it is.

    Returns:
        Motion, table, and whether the top is put there for want of one.
    """
    head = table.joints["head"]
    wanted = {name for weights in table.joints.values() for name in weights if name not in head}
    if len(head) > 1 or table.skull is None or not wanted | {table.skull} <= set(motion.joints):
        return motion, table, False
    (own,) = head
    rest = rest_positions(motion)
    at = {joint: weighted(rest, weights) for joint, weights in table.joints.items() if joint != "head"}
    leg = sum(
        float(np.linalg.norm(at[a] - at[b]))
        for a, b in (("left_hip", "left_knee"), ("left_knee", "left_ankle"))
    )
    skull = rest[table.skull]
    if own in rest and _is_top(rest[own] - skull, leg):
        return motion, table, False
    marked = [rest[name] - skull for name in _candidates(motion, table.skull)]
    offset = next((offset for offset in marked if _is_top(offset, leg)), None)
    neck = skull - at["thorax"]
    if offset is None and not neck.any():
        return motion, table, False  # the check of bones says so
    top = neck * (HEAD_PER_LEG * leg / np.linalg.norm(neck)) if offset is None else offset
    joints = {**motion.joints, TOP: BvhJoint(TOP, table.skull, top, (), 0, is_end=True)}
    completed = replace(table, joints={**table.joints, "head": {TOP: 1.0}})
    return replace(motion, joints=joints), completed, offset is None


def _is_top(offset: Float[np.ndarray, "3"], leg: float) -> bool:
    return bool(np.linalg.norm(offset) > _MIN_PER_LEG * leg)  # NaN is not


def _candidates(motion: BvhMotion, skull: str) -> list[str]:
    """Children of the skull that mark its top: by name, then its end site."""
    children = [joint for joint in motion.joints.values() if joint.parent == skull]
    named = [
        joint.name
        for joint in children
        if any(top in "".join(filter(str.isalnum, joint.name.lower())) for top in _TOP_NAMES)
    ]
    return named + [joint.name for joint in children if joint.is_end and joint.name not in named]
