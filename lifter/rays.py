"""Poses moved sideways, so that each joint lies where its camera saw it.

A lifter says x, y and depth; x and y of a joint that was seen follow from its depth and the distance of the person, by the lens. The
distance is what brings the joints nearest to the lifter's own answer: a pose is placed before its camera so as to project onto its
2D joints, as Mehta et al. (VNect, 2017) place theirs, and then its joints are taken from the rays.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from evolift.lifter.straight_view import Lens, exact_dtype
from evolift.posedata.camera import unproject

_MIN_DEPTH = 100.0  # mm; a joint nearer than this, or behind the camera, was not seen by it
_MIN_SPREAD = 1e-10  # of rays, squared tangents: a hundredth of a pixel at a focal length of 1,000


def on_rays(
    joints: Float[Tensor, "batch joints 3"],
    pixels: Float[Tensor, "batch joints axes"],
    visibility: UInt8[Tensor, "batch joints"] | None,
    lens: Lens,
    root: int,
) -> Float[Tensor, "batch joints 3"]:
    r"""The same depths, with x and y of the labelled joints on the rays of their pixels.

    With the lifter's x and z of joint j, its ray r (x and y at depth 1), and the place :math:`(t, Z)` of the root,

    .. math:: \min_{t, Z} \sum_j \lVert x_j + t - r_j (z_j + Z) \rVert^2

    over the labelled joints. Unlabelled joints keep x and y relative to that root. A person whose 2D joints do not tell a distance, or tell
    one that puts a joint behind the camera, stays as the lifter says.

    Args:
        joints: root-relative, camera frame, mm.
        pixels: (x, y) of each joint first.
        visibility: 0 marks unlabelled joints; None if all are labelled.
        lens: of each person's camera.
        root: index of the root joint.
    """
    kind = exact_dtype(joints.device)
    plane, depth = joints[..., :2].to(kind), joints[..., 2:].to(kind)
    labelled = torch.ones_like(depth, dtype=torch.bool) if visibility is None else (visibility > 0)[..., None]
    seen = labelled.to(kind)
    count = seen.sum(1, keepdim=True).clamp(min=1)
    distortion = None if lens.distortion is None else lens.distortion.to(kind)
    at = torch.where(labelled, pixels[..., :2].to(kind), 0.0)
    ray = unproject(at, torch.ones_like(at[..., 0]), lens.intrinsics.to(kind), distortion)[..., :2]
    beside = torch.where(labelled, ray * depth - plane, 0.0)  # which is t - r Z
    spread = seen * (ray - (ray * seen).sum(1, keepdim=True) / count)
    squares = (spread * spread).sum((1, 2), keepdim=True)
    distance = -(spread * beside).sum((1, 2), keepdim=True) / squares.clamp(min=_MIN_SPREAD)
    place = (beside + seen * ray * distance).sum(1, keepdim=True) / count
    placed = torch.where(labelled, ray * (depth + distance), plane + place)
    moved = torch.cat([placed - placed[:, root : root + 1], depth], -1)
    is_before = ((depth + distance > _MIN_DEPTH) | ~labelled).all(1, keepdim=True)
    is_told = is_before & (squares > _MIN_SPREAD)
    return torch.where(is_told, moved.to(joints.dtype), joints)
