"""Lifting of people seen by a camera whose intrinsics are known: pose and place in that camera's frame."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from evolift.lifter.lifter import Lifter
from evolift.lifter.straight_view import Lens
from evolift.prediction.cameras.absolute_position import absolute_position


class PlacedPose(NamedTuple):
    """People in the frame of their camera (x right, y down, z forward).

    Args:
        joints_3d: relative to the root joint, mm; NaN for people whose joints no one camera can see.
        root_3d: the root joint, mm; NaN where it is not determined, or lies behind the camera.
        sigma: how sure the lifter is of each joint, mm (see `evolift.lifter.joint_uncertainty`); None if it does not tell.
    """

    joints_3d: Float[Tensor, "batch joints 3"]
    root_3d: Float[Tensor, "batch 3"]
    sigma: Float[Tensor, "batch joints"] | None = None


def lift_in_camera(
    lifter: Lifter,
    joints_2d: Float[Tensor, "batch joints axes"],
    visibility: UInt8[Tensor, "batch joints"],
    intrinsics: Float[Tensor, "batch 3 3"],
    distortion: Float[Tensor, "batch 5"],
    image_size: Float[Tensor, "batch 2"] | None,
) -> PlacedPose:
    """Lift people seen by known cameras.

    Args:
        lifter: of target `xyz`, in evaluation mode.
        joints_2d: pixels of the true image, and root-relative depth in mm if the lifter takes it.
        visibility: 0 marks unlabelled joints.
        intrinsics: K of each person's camera.
        distortion: (k1, k2, p1, p2, k3) of its lens.
        image_size: (width, height), pixels; only `screen` needs it.
    """
    pixels = joints_2d[..., :2]
    lifted = lifter.lift_with_sigma(joints_2d, visibility, image_size, Lens(intrinsics, distortion))
    joints = lifted.joints
    root = absolute_position(joints, pixels, intrinsics, visibility=visibility, distortion=distortion)
    root = torch.where(root[..., 2:] > 0, root, torch.nan)
    return PlacedPose(joints, root, lifted.sigma)
