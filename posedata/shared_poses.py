"""Which poses two stores have in common: what is scored on poses that taught tells nothing."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from jaxtyping import Bool, Float32

from evolift.posedata.store import PoseStore

READ_ROWS = 65536


def shared_poses(
    poses: Float32[np.ndarray, "n joints 3"], stores: Iterable[PoseStore]
) -> Bool[np.ndarray, "n"]:
    """Which poses are in stores too, bit for bit, in whatever row: copies, parts and selections of a store are found.

    Args:
        poses: mm, as a store keeps them.
        stores: of 3D poses; one with other joints or coordinates shares none.
    """
    keys = [pose.tobytes() for pose in poses]
    wanted, found = set(keys), set[bytes]()
    for store in stores:
        for batch in store.batches(READ_ROWS):
            if batch.joints_3d is not None:
                found |= wanted.intersection(pose.tobytes() for pose in batch.joints_3d)
    return np.array([key in found for key in keys], dtype=bool)
