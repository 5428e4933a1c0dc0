"""What is probably wrong with a store most of whose poses break the limits: said before anything is bred of them.

Real people keep the anatomical limits in 98 poses of 100 and more. Where fewer than half of a store's do, its joints or sides
mean something else than the skeleton says, and children would be bred of the few poses that pass by chance. A wrong unit breaks
no limit of directions, but is told by the length of the legs.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float

from evolift.evolution.limits.joint_limits import JointLimits

MIN_SHARE = 0.5
"""Share of originals within the limits below which `complaint` speaks."""
LEG_LENGTHS = (250.0, 2500.0)
"""Hip to knee to ankle, mm: no person is outside, and no person in metres, inches or centimetres inside."""
SAMPLE = 2000
"""Of about so many poses the cause is told."""


def complaint(
    joints: Float[np.ndarray, "some joints 3"],
    kept: Bool[np.ndarray, "poses bones"],
    limits: JointLimits,
) -> str | None:
    """A sentence on poses of another unit, or most of which break the limits: which bone, and the probable cause.

    None if half of them keep all limits and the unit is millimetres.

    Args:
        joints: some of the store's poses, mm, evenly spread: `SAMPLE` will do.
        kept: verdicts on all poses of the store.
        limits: that gave them.
    """
    leg = _leg_length(joints, limits)
    if leg is not None and not LEG_LENGTHS[0] <= leg <= LEG_LENGTHS[1]:
        return (
            f"the unit is not millimetres (a leg is {leg:.3g} long in the median): import with the right unit"
        )
    share = float(kept.all(1).mean())
    if share >= MIN_SHARE:
        return None
    order = np.argsort(kept.mean(0), kind="stable")
    named = ", ".join(
        f"{limits.bones[bone]} ({100 * kept[:, bone].mean():.0f} % within)"
        for bone in order[:3]
        if kept[:, bone].mean() < 0.9
    )
    worst = [limits.bones[bone] for bone in order if kept[:, bone].mean() < 0.9]
    return (
        f"only {100 * share:.1f} % of the poses keep the limits {limits.name!r}; most often broken: {named or 'no bone alone'}. "
        f"Probable cause: {_cause(joints, share, worst, limits)}. See `evolift limits check` with `figure`"
    )


def _cause(
    joints: Float[np.ndarray, "some joints 3"], share: float, worst: list[str], limits: JointLimits
) -> str:
    mirrored = limits.accepts(torch.from_numpy(joints * np.array([-1, 1, 1], joints.dtype))).float().mean()
    if float(mirrored) > share + 0.25:
        return f"left and right are swapped or an axis is reversed ({100 * float(mirrored):.0f} % of the mirrored poses keep the limits): import with the right axes"
    if worst and set(worst) <= {"nose", "head", "neck"}:
        return "joint 9 means something else there (H36M17's is Human3.6M's nose, in front of the neck, not the neck or the base of the skull): see docs/skeletons.md"
    if worst:
        return f"the joint {worst[0]} means something else in this store than in {limits.tree.skeleton.name}, or the joints are in another order: see docs/skeletons.md"
    return "limits of other people, or poses that are noisy: fit limits to poses like these"


def _leg_length(joints: Float[np.ndarray, "some joints 3"], limits: JointLimits) -> float | None:
    skeleton = limits.tree.skeleton
    names = ("left_hip", "left_knee", "left_ankle")
    if not set(names) <= set(skeleton.joints):
        return None
    hip, knee, ankle = (joints[:, skeleton.index(name)] for name in names)
    length = np.linalg.norm(knee - hip, axis=-1) + np.linalg.norm(ankle - knee, axis=-1)
    return float(np.median(length))
