"""What a detector finds in crops, alone or averaged with what it finds in their mirror images.

A file of its own, because prediction needs it and must not load what training needs.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from evolift.detector2d.model import DetectorModel


def detect_crops(
    model: DetectorModel,
    images: Float[Tensor, "batch 3 height width"],
    *,
    hard: bool = False,
    flip_test: bool = False,
) -> tuple[Tensor, Tensor]:
    """Joints (fractions) and confidence of crops, optionally averaged with their mirror images."""
    output = model(images, hard=hard)
    if not flip_test:
        return output.joints, output.confidence
    mirrored = model(images.flip(-1), hard=hard)
    order = list(model.settings.skeleton.mirror)
    if output.heatmaps is not None and mirrored.heatmaps is not None:
        # Distributions, not places: of two that disagree about left and right the mean place is neither.
        maps = (output.heatmaps, mirrored.heatmaps.flip(-1)[:, order])
        first, second = (_log_distribution(heatmaps) for heatmaps in maps)
        both = model.decoded(torch.logaddexp(first, second), hard=hard)
        return both.joints, both.confidence
    back = mirrored.joints[:, order].clone()
    back[..., 0] *= -1
    return (output.joints + back) / 2, (output.confidence + mirrored.confidence[:, order]) / 2


def _log_distribution(heatmaps: Float[Tensor, "batch joints *cells"]) -> Tensor:
    return heatmaps.flatten(2).float().log_softmax(-1).reshape(heatmaps.shape)
