"""How much of the space of poses a store covers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from evolift.evolution.kinematics.direction_cells import cell_of
from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.kinematics.local_bones import LocalBones, to_local
from evolift.evolution.operators.parent_sampling import in_torso_frame
from evolift.posedata.errors import InputError, StoreError
from evolift.posedata.poses import Poses
from evolift.posedata.progress import Progress, no_progress
from evolift.posedata.skeleton import Skeleton
from evolift.posedata.store import PoseStore

CHUNK = 4096
READ_ROWS = 65536
SIDE = 6
"""Cells along the edge of each limb's sphere for `posture_cells`: about 34 degrees each."""


def distance_to_nearest(
    probes: Float[Tensor, "probes joints 3"],
    batches: Iterable[Float[Tensor, "_n joints 3"]],
    tree: KinematicTree,
) -> Float[Tensor, "probes"]:
    """Distance of each probe to the nearest pose, mm: root mean square over joints, in the torso frame.

    Args:
        probes: poses that ought to be covered, for example of a held-out person.
        batches: joints of the poses that cover them; one batch in memory at a time.
    """
    wanted = in_torso_frame(to_local(tree, probes), tree).flatten(1)
    nearest = torch.full((len(probes),), torch.inf)
    for joints in batches:
        for part in torch.split(joints, CHUNK) if len(joints) else ():
            poses = in_torso_frame(to_local(tree, part), tree).flatten(1)
            nearest = torch.minimum(nearest, torch.cdist(wanted, poses).min(-1).values)
    scale: float = len(tree.skeleton) ** -0.5
    return nearest * scale


@dataclass(frozen=True)
class Coverage:
    """How near the poses of a store come to those of another, before and after evolution.

    Args:
        probes: poses that ought to be covered.
        before, after: mean distance of them to the nearest pose, mm (see `distance_to_nearest`).
    """

    probes: int
    before: float
    after: float


def coverage_of(probes: PoseStore, evolved: PoseStore, *, progress: Progress = no_progress) -> Coverage:
    """Coverage of a store by an evolved one and by the originals in it.

    Args:
        probes: for example of a held-out person; all of it is read into memory.
        evolved: read batch by batch.
        progress: counts poses of `evolved`.

    Raises:
        InputError: their skeletons differ.
        StoreError: one has no 3D poses.
    """
    require_probes(probes, evolved.skeleton)
    tree = KinematicTree(evolved.skeleton)
    wanted = torch.from_numpy(_joints(probes.read(), probes))
    before, after = (torch.full((len(wanted),), torch.inf) for _ in range(2))
    for poses in evolved.batches(READ_ROWS):
        joints = torch.from_numpy(_joints(poses, evolved))
        first = np.ones(len(poses), bool) if poses.lineage is None else poses.lineage.generation == 0
        originals = torch.from_numpy(first)
        distance = distance_to_nearest(wanted, [joints[originals]], tree)
        before = torch.minimum(before, distance)
        after = torch.minimum(after, distance)
        after = torch.minimum(after, distance_to_nearest(wanted, [joints[~originals]], tree))
        progress(len(poses))
    return Coverage(len(wanted), float(before.mean()), float(after.mean()))


def require_probes(probes: PoseStore, skeleton: Skeleton) -> None:
    """Refuse poses that cannot be compared, before anything is bred.

    Raises:
        InputError: they have another skeleton than the evolved ones.
        StoreError: they are not 3D.
    """
    if probes.coordinate_frame == "none":
        raise StoreError(f"{probes.path}: it has no 3D poses to compare")
    probes.require_labelled("a comparison")
    if probes.skeleton != skeleton:
        raise InputError(
            f"{probes.path} has skeleton {probes.skeleton.name}, the evolved poses have {skeleton.name}: convert one of them"
        )


def _joints(poses: Poses, store: PoseStore) -> Float[np.ndarray, "n joints 3"]:
    if poses.joints_3d is None:
        raise StoreError(f"{store.path}: it has no 3D poses to compare")
    return poses.joints_3d


def posture_cells(local: LocalBones, tree: KinematicTree) -> Int64[Tensor, "n"]:
    """A number for each pose: which coarse cells its upper arms and thighs point to, all four together.

    The number of different ones among poses tells how much of the space of postures they cover.
    """
    number = torch.zeros(len(local), dtype=torch.long)
    for bone, parent in enumerate(tree.parents):
        if parent >= 0 and tree.names[parent] in (*tree.hips, *tree.shoulders):
            number = number * SIDE**2 + cell_of(local.directions[:, bone].T, SIDE)
    return number
