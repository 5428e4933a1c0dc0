"""How many poses of a store break which joint-angle limit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Int64

from evolution.joint_limits import JointLimits
from posedata.errors import StoreError
from posedata.store import PoseStore

READ_ROWS = 65536


@dataclass(frozen=True, eq=False)
class LimitsReport:
    """Verdicts on a store.

    Args:
        limits: their name.
        poses: of the store.
        accepted: poses that keep all limits.
        refused_by: bone -> poses that break its limit; only bones that have one.
        worst: rows of the poses that break most limits, worst first.
    """

    limits: str
    poses: int
    accepted: int
    refused_by: dict[str, int]
    worst: Int64[np.ndarray, "shown"]

    @property
    def rate(self) -> float:
        """Share of poses that keep all limits."""
        return self.accepted / self.poses

    def table(self) -> pd.DataFrame:
        """One row per limited bone, most often refused first, and one for whole poses."""
        rows = [("(whole pose)", self.poses - self.accepted), *self.refused_by.items()]
        table = pd.DataFrame(rows, columns=["bone", "refused"])
        table["accepted_percent"] = 100 * (1 - table.refused / self.poses)
        return table.sort_values("refused", ascending=False, kind="stable", ignore_index=True)


def report_on_store(
    store: PoseStore, limits: JointLimits, *, worst: int = 16, progress: Callable[[int], None] | None = None
) -> LimitsReport:
    """Check every pose of a store.

    Args:
        store: of 3D poses.
        limits: for the store's skeleton.
        worst: how many rows to name.
        progress: called with the number of poses checked since the last call.

    Raises:
        InputError: the limits are for another skeleton.
        StoreError: the store has no 3D poses.
    """
    limits.require(store.skeleton, str(store.path))
    refused = np.zeros(len(limits.bones), np.int64)
    broken: list[np.ndarray] = []
    for poses in store.batches(READ_ROWS):
        if poses.joints_3d is None:
            raise StoreError(f"{store.path}: it has no 3D poses to check")
        verdict = limits.check(torch.from_numpy(poses.joints_3d)).numpy()
        refused += (~verdict).sum(0)
        broken.append((~verdict).sum(1).astype(np.int16))
        if progress is not None:
            progress(len(poses))
    limits_broken = np.concatenate(broken)
    order = np.argsort(-limits_broken, kind="stable")[:worst]
    counts = {
        bone: int(count)
        for bone, count, limited in zip(limits.bones, refused, limits.limited, strict=True)
        if limited
    }
    return LimitsReport(
        limits.name, len(store), int((limits_broken == 0).sum()), counts, order[limits_broken[order] > 0]
    )
