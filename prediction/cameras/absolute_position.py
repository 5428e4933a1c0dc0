"""Where a lifted person stands: the translation that makes a root-relative pose project onto its 2D joints."""

from __future__ import annotations

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from evolift.posedata.camera import undistort

MIN_LABELLED = 2
"""Fewer labelled joints do not determine a position."""


def absolute_position(
    relative: Float[Tensor, "*batch joints 3"],
    pixels: Float[Tensor, "*batch joints 2"],
    intrinsics: Float[Tensor, "*#batch 3 3"],
    *,
    visibility: UInt8[Tensor, "*batch joints"] | None = None,
    distortion: Float[Tensor, "*#batch 5"] | None = None,
) -> Float[Tensor, "*batch 3"]:
    r"""Position of the root in the camera frame, by linear least squares in closed form.

    With :math:`(u_j, v_j)` the pixels on the image plane at depth 1, a joint :math:`p_j + t` projects there if

    .. math:: t_x - u_j t_z = u_j p_{jz} - p_{jx}, \qquad t_y - v_j t_z = v_j p_{jz} - p_{jy}

    and t minimises the sum of the squared residuals of these equations over the labelled joints.

    Args:
        relative: root-relative joints in the camera frame, mm.
        pixels: 2D joints.
        intrinsics: K of the camera.
        visibility: 0 marks unlabelled joints; None if all are labelled.
        distortion: (k1, k2, p1, p2, k3) of the lens.

    Returns:
        t, mm. NaN where fewer than two joints are labelled or all labelled ones are in one place: no position is
        determined there.
    """
    plane = _plane(pixels.double(), intrinsics.double())
    if distortion is not None:
        plane = undistort(plane, distortion.double())
    pose = relative.double()
    labelled = torch.ones_like(pose[..., 0]) if visibility is None else (visibility > 0).double()
    weight = labelled / labelled.sum(-1, keepdim=True).clamp(min=1)
    # Centring takes t_x and t_y out of the equations: t_z is the slope of a regression line.
    middle = (weight[..., None] * plane).sum(-2, keepdim=True)
    right = plane * pose[..., 2:] - pose[..., :2]
    right_middle = (weight[..., None] * right).sum(-2, keepdim=True)
    spread = (weight[..., None] * (plane - middle) ** 2).sum((-1, -2))
    along = (weight[..., None] * (plane - middle) * (right - right_middle)).sum((-1, -2))
    determined = (labelled.sum(-1) >= MIN_LABELLED) & (spread > 0)
    depth = torch.where(determined, -along / torch.where(determined, spread, 1.0), torch.nan)
    across = right_middle[..., 0, :] + middle[..., 0, :] * depth[..., None]
    return torch.cat([across, depth[..., None]], -1).to(relative.dtype)


def _plane(pixels: Tensor, intrinsics: Tensor) -> Tensor:
    """Pixels on the image plane at depth 1, still distorted."""
    fx, skew, cx = (intrinsics[..., 0, column, None] for column in range(3))
    fy, cy = (intrinsics[..., 1, column, None] for column in (1, 2))
    y = (pixels[..., 1] - cy) / fy
    return torch.stack([(pixels[..., 0] - cx - skew * y) / fx, y], -1)
