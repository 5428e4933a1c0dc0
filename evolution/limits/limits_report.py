"""How many poses of a store break which joint-angle limit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from evolift.evolution.criteria.criterion import Criterion
from evolift.evolution.criteria.ground import store_supports
from evolift.evolution.limits.joint_limits import JointLimits
from evolift.evolution.operators.random_limbs import with_random_limbs
from evolift.posedata.errors import StoreError
from evolift.posedata.predictions.levelled_poses import levelled_or_none, tell_levelled
from evolift.posedata.progress import Progress, no_progress
from evolift.posedata.seeds import generator_at
from evolift.posedata.store import PoseStore

READ_ROWS = 65536
ALL_CRITERIA = "(all criteria)"
_SEED = 0


@dataclass(frozen=True, eq=False)
class LimitsReport:
    """Verdicts on a store.

    Args:
        limits: their name.
        poses: of the store.
        accepted: poses that keep all limits.
        refused_by: bone -> poses that break its limit; only bones that have one.
        worst: rows of the poses that break most limits, worst first.
        reasons: criterion and reason -> poses that it was said of; empty without criteria.
        implausible: poses that any criterion is against.
        random: the same for bodies with random limbs, if they were asked for.
        kept: bones that those have from the store; the table leaves them out.
    """

    limits: str
    poses: int
    accepted: int
    refused_by: dict[str, int]
    worst: Int64[np.ndarray, "shown"]
    reasons: dict[str, int] = field(default_factory=dict)
    implausible: int = 0
    random: LimitsReport | None = None
    kept: tuple[str, ...] = ()

    @property
    def rate(self) -> float:
        """Share of poses that keep all limits."""
        return self.accepted / self.poses

    def table(self) -> pd.DataFrame:
        """One row per limited bone, most often refused first, one for whole poses, and one per criterion and reason."""
        table = pd.DataFrame({"bone": self._counts().keys(), "refused": self._counts().values()})
        table["accepted_percent"] = 100 * (1 - table.refused / self.poses)
        if self.random is not None:
            random = table.bone.map(self.random._counts()).where(~table.bone.isin(self.random.kept))
            table["random_accepted_percent"] = 100 * (1 - random / self.random.poses)
        last = table.bone.isin([*self.reasons, ALL_CRITERIA])
        order = np.lexsort([-table.refused.to_numpy(), last.to_numpy()])
        return table.iloc[order].reset_index(drop=True)

    def _counts(self) -> dict[str, int]:
        counts = {"(whole pose)": self.poses - self.accepted, **self.refused_by}
        return counts | ({ALL_CRITERIA: self.implausible} if self.reasons else {}) | self.reasons


class _Counts:
    """Counts of verdicts, summed over batches of poses."""

    def __init__(self, limits: JointLimits, criteria: Sequence[Criterion]) -> None:
        self._limits, self._criteria = limits, criteria
        self._refused = np.zeros(len(limits.bones), np.int64)
        self._reasons = dict.fromkeys((f"{c.name}: {reason}" for c in criteria for reason in c.reasons), 0)
        self._implausible = 0
        self._broken: list[np.ndarray] = []

    def add(self, joints: Float[Tensor, "n joints 3"], support: Float[Tensor, "n"] | None) -> None:
        verdict = self._limits.check(joints).numpy()
        self._refused += (~verdict).sum(0)
        self._broken.append((~verdict).sum(1).astype(np.int16))
        if support is None:
            return
        plausible = torch.ones(len(joints), dtype=torch.bool)
        for criterion in self._criteria:
            said = criterion.check(joints, support)
            plausible &= said.all(-1)
            for reason, times in zip(criterion.reasons, (~said).sum(0).tolist(), strict=True):
                self._reasons[f"{criterion.name}: {reason}"] += times
        self._implausible += int((~plausible).sum())

    def report(self, worst: int, random: LimitsReport | None = None) -> LimitsReport:
        limits = self._limits
        broken = np.concatenate(self._broken)
        order = np.argsort(-broken, kind="stable")[:worst]
        counts = {
            bone: int(times)
            for bone, times, limited in zip(limits.bones, self._refused, limits.limited, strict=True)
            if limited
        }
        return LimitsReport(
            limits.name,
            len(broken),
            int((broken == 0).sum()),
            counts,
            order[broken[order] > 0],
            self._reasons,
            self._implausible,
            random,
            tuple(bone for bone, limb in zip(limits.bones, limits.tree.is_limb, strict=True) if not limb),
        )


def report_on_store(
    store: PoseStore,
    limits: JointLimits,
    *,
    criteria: Sequence[Criterion] = (),
    random_limbs: bool = False,
    worst: int = 16,
    progress: Progress = no_progress,
) -> LimitsReport:
    """Check every pose of a store.

    Args:
        store: of 3D poses.
        limits: for the store's skeleton.
        criteria: to be asked as well; then the poses must be in the world frame, or predictions, which are levelled.
        random_limbs: also check the same bodies with random limbs, which limits ought to refuse.
        worst: how many rows to name.
        progress: counts poses.

    Raises:
        InputError: the limits are for another skeleton, or criteria and random limbs lack a joint.
        StoreError: the store has no 3D poses, or not in the frame that criteria need.
    """
    limits.require(store.skeleton, str(store.path))
    if criteria or random_limbs:
        store.require_labelled("a check with criteria or random limbs")
    support = torch.from_numpy(store_supports(store)) if criteria else None
    real, random = _Counts(limits, criteria), _Counts(limits, criteria)
    levelled = levelled_or_none(store)
    tell_levelled(store)
    start = 0
    for poses in store.batches(READ_ROWS):
        if poses.joints_3d is None:
            raise StoreError(f"{store.path}: it has no 3D poses to check")
        joints = torch.from_numpy(poses.joints_3d if levelled is None else levelled.joints(poses))
        standing = None if support is None else support[start : start + len(poses)]
        real.add(joints, standing)
        if random_limbs:
            random.add(with_random_limbs(joints, limits.tree, generator_at(_SEED, start)), standing)
        start += len(poses)
        progress(len(poses))
    return real.report(worst, random.report(0) if random_limbs else None)
