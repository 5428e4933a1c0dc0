"""Donors of a run: which stores they come from, and the genes of those poses that keep the limits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, Int64

from evolift.evolution.job.block_workers import one_thread
from evolift.evolution.job.work_folder import WorkFolder
from evolift.evolution.kinematics.gene_pool import pack
from evolift.evolution.kinematics.local_bones import to_local
from evolift.evolution.limits.joint_limits import JointLimits
from evolift.posedata.errors import InputError, StoreError
from evolift.posedata.store import PoseStore
from evolift.posedata.store_layout import Donor, donor_parents

READ_ROWS = 65536


def check_donors(paths: Sequence[Path], source: PoseStore) -> list[Donor]:
    """What provenance keeps of the donors of a source: those that it was evolved with itself, and then these.

    Raises:
        InputError: a skeleton is another one, a joint is not labelled, or two stores have one name.
        StoreError: a store is not sound, or has no 3D poses.
    """
    donors = list(source.provenance.donors)
    names = [source.path.name]
    for path in paths:
        if path.name in names:
            raise InputError(f"two stores are called {path.name}: donors are known by their file names")
        names.append(path.name)
        with PoseStore(path) as store:
            if store.coordinate_frame == "none":
                raise StoreError(f"{path}: it has no 3D poses, so it has no limbs to give")
            store.require_labelled("a donor")
            if store.skeleton != source.skeleton:
                raise InputError(
                    f"{path} has skeleton {store.skeleton.name}, {source.path} has {source.skeleton.name}: convert one of them by `evolift data select`"
                )
            donors.append(Donor(path.name, len(store)))
    return donors


def write_donors(paths: Sequence[Path], source: PoseStore, limits: JointLimits, folder: WorkFolder) -> None:
    """Put the genes of donors that keep the limits into the work folder.

    Raises:
        InputError: a store has none.
    """
    if paths:
        folder.write_donors(_donors(paths, sum(donor.poses for donor in source.provenance.donors), limits))


def _donors(
    paths: Sequence[Path], start: int, limits: JointLimits
) -> Iterator[tuple[Float32[np.ndarray, "kept genes"], Int64[np.ndarray, "kept"]]]:
    for path in paths:
        found = 0
        # Directions in frames of the body are the same whatever frame the joints are in.
        with PoseStore(path, validate=False) as store:
            for poses in store.batches(READ_ROWS):
                assert poses.joints_3d is not None  # checked
                with one_thread():
                    measured = to_local(limits.tree, torch.from_numpy(poses.joints_3d))
                    kept = limits.check_measured(measured).all(-1)
                numbers = start + np.flatnonzero(kept.numpy())
                yield pack(measured[kept]).numpy(), donor_parents(numbers)
                start += len(poses)
                found += len(numbers)
        if not found:
            raise InputError(
                f"{path}: none of its poses keeps the limits {limits.name!r}, so it has no limbs to give: see `evolift limits check`, or leave it out"
            )
