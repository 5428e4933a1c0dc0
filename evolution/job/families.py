"""Children beside the parents that they were crossed from, and whether they keep the bodies of these."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32

from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.kinematics.local_bones import to_local
from evolift.evolution.pose_images import facing_the_viewer
from evolift.posedata.errors import StoreError
from evolift.posedata.store import PoseStore


@dataclass(frozen=True, eq=False)
class Family:
    """A child of two parents.

    Args:
        parents: first and second, root-relative mm in the world's axes, facing -y.
        child: likewise; its body is the first parent's.
    """

    parents: Float32[np.ndarray, "2 joints 3"]
    child: Float32[np.ndarray, "joints 3"]


def families(store: PoseStore, count: int) -> Iterator[Family]:
    """Children of a crossover of two recorded poses, evenly spread over the store; fewer than asked for if there are.

    Raises:
        StoreError: the store holds no such children.
    """
    table = store.table()
    if "generation" not in table:
        raise StoreError(f"{store.path}: it holds no children, so there are no families")
    born = table["generation"].to_numpy()
    mother, father = (table[name].to_numpy() for name in ("parent_a", "parent_b"))
    children = np.flatnonzero((mother >= 0) & (father >= 0))
    children = children[(born[mother[children]] == 0) & (born[father[children]] == 0)]
    if not len(children):
        raise StoreError(f"{store.path}: it holds no children of two recorded poses")
    tree = KinematicTree(store.skeleton)
    for place in np.unique(np.linspace(0, len(children) - 1, count).round().astype(int)):
        child = children[place]
        joints = store.read(np.array([mother[child], father[child], child])).joints_3d
        assert joints is not None  # evolution works on 3D poses
        shown = facing_the_viewer(joints, tree)
        yield Family(shown[:2], shown[2])


def largest_length_change(store: PoseStore) -> float:
    """Largest difference between a child's bone length and its first parent's, mm; a mirrored child is mirrored back."""
    poses = store.read()
    if poses.joints_3d is None or poses.lineage is None:
        raise StoreError(f"{store.path}: it holds no children, so there are no families")
    tree = KinematicTree(store.skeleton)
    lengths = to_local(tree, torch.from_numpy(poses.joints_3d)).lengths
    children = torch.from_numpy(np.flatnonzero(poses.lineage.parent_a >= 0))
    parent = lengths[torch.from_numpy(poses.lineage.parent_a).long()[children]]
    child = lengths[children]
    changes = [(one - parent).abs().amax(1) for one in (child, child[:, list(tree.mirror)])]
    return float(torch.minimum(*changes).max())
