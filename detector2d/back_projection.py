"""3D poses of a volumetric detector in the camera frame, as Sun et al. (2018) score them, and without the labels' help.

The detector finds pixels and root-relative depth. With z = root depth + relative depth, (x, y, z) is where the ray of
the pixel has that depth. The published evaluation takes the depth of the root from the labels, so its scores say
nothing about finding it; otherwise it is the one at which the person has the size of a mean adult.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from evolift.detector2d.image_source import joints_in_camera
from evolift.posedata.camera import unproject
from evolift.posedata.camera_rig import CameraBatch
from evolift.posedata.errors import InputError
from evolift.posedata.joint_mapping import VISIBLE, mapping_between
from evolift.posedata.mean_lengths import MEAN_LENGTHS
from evolift.posedata.skeleton import H36M17, Skeleton
from evolift.posedata.store import PoseStore

NEAREST_ROOT = 300.0
"""Millimetres; nobody is sought nearer to the camera."""
_NEWTON_STEPS = 30


def back_projected(
    store: Path,
    rows: Int64[Tensor, "rows"],
    pixels: Float[Tensor, "rows joints 2"],
    depth: Float[Tensor, "rows joints"],
    skeleton: Skeleton,
    *,
    root_from_labels: bool = True,
) -> tuple[Float[Tensor, "rows joints 3"], Bool[Tensor, "rows"]]:
    """Root-relative poses, mm, in the camera frame.

    Args:
        store: with 3D joints and cameras.
        rows: of the store.
        pixels: of the store's images.
        depth: relative to the root, mm.
        skeleton: of the joints.
        root_from_labels: the depth of the root is that of the labels, as published; else `depth_of_an_adult`.

    Returns:
        The poses, minus their own root joint, and which rows have a camera and a labelled root; 0 in the others.

    Raises:
        StoreError: the store is damaged.
        InputError: the root's depth is to be found for a skeleton that shares no bone with H36M17.
    """
    with PoseStore(store, validate=False) as opened:
        poses = opened.read(rows.numpy())
        in_camera = joints_in_camera(poses, opened)
        cameras, from_store = opened.cameras, opened.skeleton
    result = torch.zeros(*pixels.shape[:2], 3)
    if in_camera is None or poses.camera is None or not cameras:
        return result, torch.zeros(len(rows), dtype=torch.bool)
    given = np.isfinite(in_camera).all(-1).astype(np.uint8) * VISIBLE
    converted, labelled = mapping_between(from_store, skeleton).convert(np.nan_to_num(in_camera), given)
    root = skeleton.root
    known = (labelled[:, root] > 0) & (poses.camera >= 0)
    chosen = torch.from_numpy(known)
    of_rows = CameraBatch.of(cameras)[torch.from_numpy(poses.camera[known]).long()]
    distortion = None if of_rows.distortion is None else of_rows.distortion.double()
    rays = unproject(
        pixels[chosen].double(), torch.ones(*depth[chosen].shape).double(), of_rows.K.double(), distortion
    )
    relative = depth[chosen].double()
    if root_from_labels:
        root_depth = torch.from_numpy(converted[known, root, 2]).double()
    else:
        root_depth = depth_of_an_adult(rays, relative, skeleton)
    points = rays * (relative + root_depth[:, None])[..., None]
    result[chosen] = (points - points[:, root : root + 1]).float()
    return result, chosen


def depth_of_an_adult(
    rays: Float[Tensor, "rows joints 3"], relative: Float[Tensor, "rows joints"], skeleton: Skeleton
) -> Float[Tensor, "rows"]:
    r"""Depth of the root, mm, at which the bones together are as long as those of a mean adult (`acting.bodies`).

    With rays :math:`r` (z = 1) and relative depths :math:`d`, bone k from joint p to c is
    :math:`B_k(Z) = (Z + d_c) r_c - (Z + d_p) r_p`, and :math:`\sum_k \|B_k(Z)\| = L` is solved for Z. The sum is convex
    in Z, so Newton's method from a Z that is too large comes down to the largest solution.

    Args:
        rays: of the joints.
        relative: their depths minus that of the root, mm.
        skeleton: of the joints; those of its bones count that H36M17 has.

    Returns:
        Depths; where even the depths alone make the bones too long, the one with the shortest bones.

    Raises:
        InputError: the skeleton shares no bone with H36M17.
    """
    known = {(H36M17.joints[parent], H36M17.joints[child]) for parent, child in H36M17.bones}
    bones = [(p, c) for p, c in skeleton.bones if (skeleton.joints[p], skeleton.joints[c]) in known]
    if not bones:
        raise InputError(
            f"skeleton {skeleton.name} shares no bone with H36M17, so the depth of its root cannot be told from its size"
        )
    names = [skeleton.joints[child].removeprefix("left_").removeprefix("right_") for _, child in bones]
    total = sum(MEAN_LENGTHS[name] for name in names)
    parents, children = (list(ends) for ends in zip(*bones, strict=True))
    slope = rays[:, children] - rays[:, parents]
    start = relative[:, children, None] * rays[:, children] - relative[:, parents, None] * rays[:, parents]
    root: Tensor = (total + start.norm(dim=-1).sum(-1)) / slope.norm(dim=-1).sum(-1).clamp(min=1e-9)
    for _ in range(_NEWTON_STEPS):
        bone = slope * root[:, None, None] + start
        length = bone.norm(dim=-1)
        growth = ((bone * slope).sum(-1) / length.clamp(min=1e-9)).sum(-1)
        step = (length.sum(-1) - total).clamp(min=0) / growth.clamp(min=1e-9)
        root = torch.where(growth > 0, (root - step).clamp(min=NEAREST_ROOT), root)
    return root
