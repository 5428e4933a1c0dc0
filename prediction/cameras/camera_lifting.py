"""Lifting of people seen by a camera whose intrinsics are known: pose and place in that camera's frame.

A lifter of normalisation `box` sees only the shape of the 2D pose, not where in the image it is, and was trained with
cameras that look about straight at the person. What it answers is the pose in the frame of a camera that does so. A
person far from the optical axis is therefore first seen by a *virtual camera*: same centre, rotated to look at the
middle of the person. Its image is a homography of the true one, so nothing has to be known of depth; lens
distortion is taken out on the way. The pose lifted from that image is rotated back into the frame of the true camera.
The virtual camera is panned about the true one's vertical axis and then tilted, so that a level camera stays level.

A lifter of normalisation `screen` sees the place in the image and answers in the frame of the true camera: nothing
is rotated there.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from evolift.lifter.lifter import Lifter
from evolift.posedata.camera import unproject
from evolift.prediction.cameras.absolute_position import absolute_position

_VIRTUAL_FOCAL = 1000.0  # px; `box` takes its scale out again
_ITERATIONS = 4
_MIN_COSINE = 0.05  # a joint nearly 90 degrees beside the virtual camera's axis has no place in its image


class PlacedPose(NamedTuple):
    """People in the frame of their camera (x right, y down, z forward).

    Args:
        joints_3d: relative to the root joint, mm; NaN for people whose joints no one camera can see.
        root_3d: the root joint, mm; NaN where it is not determined, or lies behind the camera.
    """

    joints_3d: Float[Tensor, "batch joints 3"]
    root_3d: Float[Tensor, "batch 3"]


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
        joints = _lifted_straight_on(lifter, joints_2d, visibility, intrinsics, distortion)
    else:
        joints = lifter.lift(joints_2d, visibility, image_size)
    root = absolute_position(joints, pixels, intrinsics, visibility=visibility, distortion=distortion)
    root = torch.where(root[..., 2:] > 0, root, torch.nan)
    return PlacedPose(joints, root)


def camera_from_virtual(directions: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """Rotation from the frame of a camera that looks along each direction to the frame of the true camera.

    Its columns are the axes of the virtual camera: z along the direction, x horizontal (no y component).

    Args:
        directions: in the frame of the true camera, of any length, in front of it (z > 0).
    """
    forward = torch.nn.functional.normalize(directions, dim=-1)
    down = torch.zeros_like(forward)
    down[..., 1] = 1
    right = torch.nn.functional.normalize(torch.linalg.cross(down, forward), dim=-1)
    return torch.stack([right, torch.linalg.cross(forward, right), forward], -1)


def _lifted_straight_on(
    lifter: Lifter,
    joints_2d: Float[Tensor, "batch joints axes"],
    visibility: UInt8[Tensor, "batch joints"],
    intrinsics: Float[Tensor, "batch 3 3"],
    distortion: Float[Tensor, "batch 5"],
) -> Float[Tensor, "batch joints 3"]:
    depth_one = joints_2d.new_ones(joints_2d.shape[:-1], dtype=torch.float64)
    rays = unproject(joints_2d[..., :2].double(), depth_one, intrinsics.double(), distortion.double())
    labelled = visibility > 0
    rotation = torch.eye(3, dtype=rays.dtype, device=rays.device).expand(len(rays), 3, 3)
    for _ in range(
        _ITERATIONS
    ):  # what is the middle of the person changes a little with where the camera looks
        rotation = camera_from_virtual((rotation @ _middle(rays @ rotation, labelled)[..., None])[..., 0])
    rotated = rays @ rotation
    cosine = rotated[..., 2] / rotated.norm(dim=-1)
    is_in_sight = ((cosine > _MIN_COSINE) | ~labelled).all(-1)
    plane = rotated[..., :2] / rotated[..., 2:].clamp(min=_MIN_COSINE)
    seen = torch.cat([(plane * _VIRTUAL_FOCAL).to(joints_2d.dtype), joints_2d[..., 2:]], -1)
    lifted = lifter.lift(seen, visibility, None)
    joints: Tensor = lifted @ rotation.transpose(-1, -2).to(lifted.dtype)
    return torch.where(is_in_sight[:, None, None], joints, torch.nan)


def _middle(
    rays: Float[Tensor, "batch joints 3"], labelled: Bool[Tensor, "batch joints"]
) -> Float[Tensor, "batch 3"]:
    """Ray through the middle of the bounds of the labelled joints on the plane at depth 1."""
    plane = rays / rays[..., 2:].clamp(min=_MIN_COSINE)
    low = plane.masked_fill(~labelled[..., None], torch.inf).amin(-2)
    high = plane.masked_fill(~labelled[..., None], -torch.inf).amax(-2)
    return torch.where(labelled.any(-1, keepdim=True), (low + high) / 2, rays.new_tensor([0.0, 0.0, 1.0]))
