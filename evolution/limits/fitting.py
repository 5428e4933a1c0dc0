"""Limits from a store to a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.limits.fitted_limits import FittedLimits, fit_limits
from evolift.evolution.limits.limits_file import save_limits
from evolift.evolution.settings import FitSettings
from evolift.posedata.errors import StoreError
from evolift.posedata.output_file import check_output, sha256_of
from evolift.posedata.progress import Progress, no_progress
from evolift.posedata.store import PoseStore, Provenance

READ_ROWS = 65536


def fit_store(
    store: PoseStore,
    target: Path,
    settings: FitSettings = FitSettings(),
    *,
    overwrite: bool = False,
    progress: Progress = no_progress,
    command: str = "evolift limits fit",
) -> FittedLimits:
    """Learn limits from a store of 3D poses and save them.

    Args:
        progress: counts poses read.
        command: for provenance.

    Raises:
        StoreError: the store has no 3D poses.
        InputError: its skeleton has no kinematic tree, a joint is not labelled, or no pose is whole.
        OutputError: the target exists, or cannot be written.
    """
    check_output(target, overwrite=overwrite, inputs=[store.path])
    store.require_labelled("fitting limits")

    def batches() -> Iterator[Tensor]:
        for poses in store.batches(READ_ROWS):
            if poses.joints_3d is None:
                raise StoreError(f"{store.path}: it has no 3D poses to fit limits on")
            yield torch.from_numpy(poses.joints_3d)
            progress(len(poses))

    limits = fit_limits(batches(), KinematicTree(store.skeleton), settings)
    provenance = Provenance(command, settings.to_dict(), None, {store.path.name: sha256_of(store.path)})
    save_limits(target, limits, provenance, overwrite=overwrite)
    return limits
