"""3D poses of a volumetric detector in the camera frame, as Sun et al. (2018) score them.

The detector finds pixels and root-relative depth; the absolute depth of the root is taken from the labels, as the
published evaluation does, so the scores say nothing about finding it. With z = root depth + relative depth,
(x, y, z) is where the ray of the pixel has that depth.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from detector2d.image_source import joints_in_camera
from posedata.camera import unproject
from posedata.camera_rig import CameraBatch
from posedata.joint_mapping import mapping_between
from posedata.skeleton import Skeleton
from posedata.store import PoseStore


def back_projected(
    store: Path,
    rows: Int64[Tensor, "rows"],
    pixels: Float[Tensor, "rows joints 2"],
    depth: Float[Tensor, "rows joints"],
    skeleton: Skeleton,
) -> tuple[Float[Tensor, "rows joints 3"], Bool[Tensor, "rows"]]:
    """Root-relative poses, mm, in the camera frame.

    Args:
        store: with 3D joints and cameras.
        rows: of the store.
        pixels: of the store's pictures.
        depth: relative to the root, mm.
        skeleton: of the joints.

    Returns:
        The poses, minus their own root joint, and which rows have a camera and a labelled root; 0 in the others.

    Raises:
        StoreError: the store is damaged.
    """
    with PoseStore(store, validate=False) as opened:
        poses = opened.read(rows.numpy())
        in_camera = joints_in_camera(poses, opened)
        cameras, from_store = opened.cameras, opened.skeleton
    result = torch.zeros(*pixels.shape[:2], 3)
    if in_camera is None or poses.camera is None or not cameras:
        return result, torch.zeros(len(rows), dtype=torch.bool)
    converted, labelled = mapping_between(from_store, skeleton).convert(np.nan_to_num(in_camera))
    root = skeleton.root
    known = (labelled[:, root] > 0) & np.isfinite(in_camera).all((1, 2)) & (poses.camera >= 0)
    chosen = torch.from_numpy(known)
    root_depth = torch.from_numpy(converted[known, root, 2]).double()
    of_rows = CameraBatch.of(cameras)[torch.from_numpy(poses.camera[known]).long()]
    points = unproject(
        pixels[chosen].double(),
        depth[chosen].double() + root_depth[:, None],
        of_rows.K.double(),
        None if of_rows.distortion is None else of_rows.distortion.double(),
    )
    result[chosen] = (points - points[:, root : root + 1]).float()
    return result, chosen
