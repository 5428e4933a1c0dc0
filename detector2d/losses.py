"""What a detector is trained to make small. All masked by weights: 1 where a coordinate is known, else 0."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from evolift.detector2d.soft_argmax import cell_centres, expectation
from evolift.posedata.bone_loss import bone_loss

if TYPE_CHECKING:
    from evolift.detector2d.model import DetectorOutput
    from evolift.detector2d.settings import DetectorSettings, DetectorTrainingSettings


def detection_losses(
    output: DetectorOutput,
    target: Float[Tensor, "batch joints 3"],
    weight: Float[Tensor, "batch joints 3"],
    detector: DetectorSettings,
    training: DetectorTrainingSettings,
) -> dict[str, Tensor]:
    """The parts of a detector's loss by their names, each times its weight in the settings; those of weight 0 are left out.

    The joints of a detector that says the expectation of its heatmaps are taught by `joint_loss`, those of one that says their mode
    by `heatmap_loss`; the mode's own gradient knows nothing of what lies elsewhere in the map. Bones are those of the expectation.

    Args:
        output: of the detector.
        target, weight: as in batches.
        detector, training: its settings.
    """
    joints = expectation(output.marginals) if output.marginals else output.joints
    parts = {}
    if detector.decoding == "mode" and output.heatmaps is not None:
        parts["heatmap_loss"] = heatmap_loss(output.heatmaps, target, weight)
    else:
        parts["joint_loss"] = joint_loss(joints, target, weight)
    if training.bone_weight:
        axes = joints.shape[-1]
        bones = bone_loss(joints, target[..., :axes], detector.skeleton, weight[..., :axes])
        parts["bone_loss"] = training.bone_weight * bones.mean()
    if training.spread_weight and output.marginals:
        parts["spread_loss"] = training.spread_weight * spread_loss(output.marginals, target, weight)
    return parts


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


def heatmap_loss(
    heatmaps: Float[Tensor, "batch joints *cells"],
    target: Float[Tensor, "batch joints 3"],
    weight: Float[Tensor, "batch joints 3"],
    cells: float = 1.5,
) -> Float[Tensor, ""]:
    r"""Kullback-Leibler divergence of each heatmap's softmax from a Gaussian around the truth.

    .. math:: L_H = \frac{1}{B} \sum_{b, j} w_{bj} \, KL(N(p_{bj}, \sigma^2) \,\|\, \mathrm{softmax}(h_{bj}))

    A joint that may be in two places, the left or the right knee, gets a heatmap with both: the divergence asks for how probable each
    place is, where L1 on the expectation asks for something between. Volumes are summed over their depth. Joints outside of
    the crop do not count: no heatmap has a cell for them.

    Args:
        heatmaps: logits, (batch, joints[, depth], height, width).
        target, weight: as in batches.
        cells: the standard deviation, in heatmap cells.
    """
    with torch.autocast(heatmaps.device.type, enabled=False):
        logits = heatmaps if heatmaps.dtype == torch.float64 else heatmaps.float()
        return _heatmap_loss(logits if logits.ndim == 4 else logits.logsumexp(2), target, weight, cells)


def _heatmap_loss(logits: Tensor, target: Tensor, weight: Tensor, cells: float) -> Tensor:
    log_found = logits.flatten(2).log_softmax(-1).reshape(logits.shape)
    known = weight[..., 0] * weight[..., 1] * (target[..., :2].abs() < 0.5).all(-1)
    columns, rows = (
        (-0.5 * ((cell_centres(count, logits) - target[..., axis, None]) * count / cells) ** 2).softmax(-1)
        for axis, count in enumerate((logits.shape[3], logits.shape[2]))
    )
    cross_entropy = -((rows[..., None, :] @ log_found).squeeze(-2) * columns).sum(-1)
    entropy = -torch.special.xlogy(columns, columns).sum(-1) - torch.special.xlogy(rows, rows).sum(-1)
    total: Tensor = ((cross_entropy - entropy) * known).sum() / target.shape[0]
    return total


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
