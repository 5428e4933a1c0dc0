"""What a detector is trained to make small. All masked by weights: 1 where a coordinate is known, else 0."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from evolift.detector2d.soft_argmax import cell_centres


def joint_loss(
    prediction: Float[Tensor, "batch joints axes"],
    target: Float[Tensor, "batch joints 3"],
    weight: Float[Tensor, "batch joints 3"],
) -> Float[Tensor, ""]:
    r"""L1 distance on known coordinates (Sun et al. 2018).

    .. math:: L_J = \frac{1}{B} \sum_{b, j, a} w_{bja} \, |\hat p_{bja} - p_{bja}|

    Args:
        prediction: (u, v) or (u, v, z), fractions of the crop; z of the target is not used with the former.
        target, weight: as in batches.
    """
    axes = prediction.shape[-1]
    distance = (prediction - target[..., :axes]).abs() * weight[..., :axes]
    return distance.sum() / prediction.shape[0]


def spread_loss(
    marginals: tuple[Tensor, ...],
    target: Float[Tensor, "batch joints 3"],
    weight: Float[Tensor, "batch joints 3"],
    cells: float = 1.0,
) -> Float[Tensor, ""]:
    r"""Jensen-Shannon divergence of each axis marginal from a Gaussian around the truth.

    .. math:: L_S = \frac{1}{B} \sum_{b, j, a} w_{bja} \, JS(m_{bja} \,\|\, N(p_{bja}, \sigma^2))

    The regulariser of DSNT (Nibali et al. 2018), per axis: it asks heatmaps to be small blobs where L1 on the
    expectation only asks for their mean. Useful on small data.

    Args:
        marginals: of `soft_argmax`, one (batch, joints, cells) per axis.
        target, weight: as in batches.
        cells: the standard deviation, in heatmap cells.
    """
    total = target.new_zeros(())
    for axis, marginal in enumerate(marginals):
        count = marginal.shape[-1]
        away = (cell_centres(count, marginal) - target[..., axis, None]) * count / cells
        wanted = (-0.5 * away**2).softmax(-1)
        total = total + (_jensen_shannon(marginal, wanted) * weight[..., axis]).sum()
    return total / target.shape[0]


def _jensen_shannon(p: Tensor, q: Tensor) -> Tensor:
    mean = 0.5 * (p + q)
    return 0.5 * (_kullback_leibler(p, mean) + _kullback_leibler(q, mean))


def _kullback_leibler(p: Tensor, q: Tensor) -> Tensor:
    # The floor keeps 0 log 0 = 0 and its gradient finite; it is far below float32's resolution of a share.
    floor = torch.finfo(torch.float32).tiny
    return (p * (p.clamp_min(floor).log() - q.clamp_min(floor).log())).sum(-1)
