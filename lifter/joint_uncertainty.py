r"""How sure a lifter is of a joint: the scale of an isotropic Laplace density about the place that it says.

With k axes (3, or 1 of depth alone) and d the distance of a joint from where the lifter puts it,

.. math:: p(x) \propto b^{-k} e^{-d / b}.

Then d is of the Gamma distribution of shape k and scale b, so that its mean is :math:`k b` and the mean of its square :math:`k (k + 1) b^2`.
The k axes share the latter alike: along each the standard deviation is

.. math:: \sigma = b \sqrt{k + 1},

2 b of whole joints. Everything outside of this module speaks of sigma, in mm. The root joint, which all others are told
relative to, is where it is: its sigma is 0, and neither loss nor calibration knows of it.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from evolift.lifter.normalisation import MM_PER_M

LOG_SCALES = (-9.0, 1.0)
"""Bounds of the natural logarithm of b in metres: 0.1 mm to 2.7 m. A network begins in the middle, at 18 mm."""


class LiftedJoints(NamedTuple):
    """What a lifter says.

    Args:
        joints: root-relative, mm, in the frame that `evolift.lifter.lifter.Lifter.lift` tells.
        sigma: standard deviation of each joint along each axis, mm, the root's 0; None if the lifter does not tell.
        is_in_sight: whether one camera can see all joints of the person, without which an answer that is turned is NaN; None if nothing is
            turned.
    """

    joints: Float[Tensor, "*batch joints out"]
    sigma: Float[Tensor, "*batch joints"] | None
    is_in_sight: Bool[Tensor, "*batch"] | None = None


def sigma_of_output(output: Float[Tensor, "*batch joints"], axes: int) -> Float[Tensor, "*batch joints"]:
    """Sigma in mm from what a network says, any number, before calibration.

    The logistic function keeps the logarithm of b within `LOG_SCALES`; unlike a cut it leaves a gradient everywhere.
    """
    low, high = LOG_SCALES
    scale = (low + (high - low) * output.sigmoid()).exp()
    sigma: Tensor = scale * ((axes + 1) ** 0.5 * MM_PER_M)
    return sigma


def expected_error(sigma: Float[Tensor, "*batch joints"], axes: int) -> Float[Tensor, "*batch joints"]:
    r"""Mean distance from the truth, mm, that a sigma stands for: :math:`k b = \sigma k / \sqrt{k + 1}`."""
    error: Tensor = sigma * (axes / (axes + 1) ** 0.5)
    return error


def laplace_loss(
    joints: Float[Tensor, "*batch joints out"],
    sigma: Float[Tensor, "*batch joints"],
    target: Float[Tensor, "*batch joints out"],
    root: int,
) -> Float[Tensor, ""]:
    r"""Negative logarithm of the density of the targets, without its constant, mean over the joints that have one.

    .. math:: d / b + k \log b

    with d and b in metres. The root and joints whose target is NaN, unlabelled ones, add nothing.

    Args:
        joints: that a lifter says, mm.
        sigma: of each, mm; above 0 but for the root.
        target: mm.
        root: index of the root joint.
    """
    axes = joints.shape[-1]
    others = [joint for joint in range(joints.shape[-2]) if joint != root]
    away = (joints - target)[..., others, :] / MM_PER_M
    known = target[..., others, :].isfinite().all(-1)
    distance = torch.linalg.vector_norm(torch.where(known[..., None], away, 0.0), dim=-1)
    scale = sigma[..., others] / ((axes + 1) ** 0.5 * MM_PER_M)
    loss = torch.where(known, distance / scale + axes * scale.log(), 0.0)
    return loss.sum() / known.sum().clamp(min=1)
