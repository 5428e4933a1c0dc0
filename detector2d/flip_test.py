"""What a detector finds in crops, alone or averaged with what it finds in their mirror images.

A file of its own, because prediction needs it and must not load what training needs.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from evolift.detector2d.model import DetectorModel, DetectorOutput


def detect_crops(
    model: DetectorModel,
    images: Float[Tensor, "batch 3 height width"],
    *,
    hard: bool = False,
    flip_test: bool = False,
) -> DetectorOutput:
    """What a detector says of crops, optionally averaged with what it says of their mirror images.

    Args:
        model: the detector.
        images: in its scaling.
        hard: as of the detector.
        flip_test: average; the regression head's joints, and of other heads the distributions, which the heatmaps then are logits of.
    """
    output: DetectorOutput = model(images, hard=hard)
    if not flip_test:
        return output
    # Not both in one batch: torch.export then takes the batch for a constant.
    mirrored: DetectorOutput = model(images.flip(-1), hard=hard)
    order = list(model.settings.skeleton.mirror)
    if output.heatmaps is not None and mirrored.heatmaps is not None:
        # Distributions, not places: of two that disagree about left and right the mean place is neither.
        maps = (output.heatmaps, mirrored.heatmaps.flip(-1)[:, order])
        first, second = (_log_distribution(heatmaps) for heatmaps in maps)
        return model.decoded(torch.logaddexp(first, second), hard=hard)
    back = mirrored.joints[:, order].clone()
    back[..., 0] *= -1
    confidence = (output.confidence + mirrored.confidence[:, order]) / 2
    return DetectorOutput((output.joints + back) / 2, confidence, None, ())


def _log_distribution(heatmaps: Float[Tensor, "batch joints *cells"]) -> Tensor:
    return heatmaps.flatten(2).float().log_softmax(-1).reshape(heatmaps.shape)
