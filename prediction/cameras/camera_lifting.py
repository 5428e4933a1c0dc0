"""Lifting of people seen by a camera whose intrinsics are known: pose and place in that camera's frame.

A lifter of normalisation `box` sees only the shape of the 2D pose, not where in the image it is, and was trained with
cameras that look about straight at the person. A person far from the optical axis is therefore first seen by a camera
that does (`evolift.lifter.straight_view`), and the pose is rotated back.

A lifter of normalisation `camera` does so by itself, and one of `screen` sees the place in the image: both answer in the frame of the
true camera, and nothing is rotated here.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from evolift.lifter.joint_uncertainty import LiftedJoints
from evolift.lifter.lifter import Lifter
from evolift.lifter.straight_view import Lens, seen_straight_on
from evolift.prediction.cameras.absolute_position import absolute_position

_VIRTUAL_FOCAL = 1000.0  # px; `box` takes its scale out again


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
    if lifter.settings.normalisation == "box":
        lifted = _lifted_straight_on(lifter, joints_2d, visibility, Lens(intrinsics, distortion))
    else:
        lifted = lifter.lift_with_sigma(joints_2d, visibility, image_size, Lens(intrinsics, distortion))
    joints = lifted.joints
    root = absolute_position(joints, pixels, intrinsics, visibility=visibility, distortion=distortion)
    root = torch.where(root[..., 2:] > 0, root, torch.nan)
    return PlacedPose(joints, root, lifted.sigma)


def _lifted_straight_on(
    lifter: Lifter,
    joints_2d: Float[Tensor, "batch joints axes"],
    visibility: UInt8[Tensor, "batch joints"],
    lens: Lens,
) -> LiftedJoints:
    view = seen_straight_on(joints_2d[..., :2], visibility, lens)
    seen = torch.cat([view.plane * _VIRTUAL_FOCAL, joints_2d[..., 2:]], -1)
    lifted = lifter.lift_with_sigma(seen, visibility, None)
    joints: Tensor = lifted.joints @ view.rotation.transpose(-1, -2).to(lifted.joints.dtype)
    return lifted._replace(joints=torch.where(view.is_in_sight[:, None, None], joints, torch.nan))
