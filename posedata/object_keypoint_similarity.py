r"""COCO's scores of 2D joints: object keypoint similarity (OKS), and average precision over its thresholds.

.. math:: OKS = \sum_j [v_j > 0] \, e^{-d_j^2 / (2 s^2 k_j^2)} / \sum_j [v_j > 0], \qquad k_j = 2 \sigma_j

with the distance :math:`d_j` in pixels, the area :math:`s^2` of the person, and how far people themselves are apart when they label
a joint, :math:`\sigma_j` (cocodataset.org/#keypoints-eval; Ruggero Ronchi and Perona, ICCV 2017). A detection is right if its OKS is at least a
threshold; AP is the mean of the precision at 101 recalls over the thresholds 0.50, 0.55, ..., 0.95.

Only joints that COCO has are scored: it published no sigmas for pelvis, spine, thorax and head, and the nose of a skeleton without
eyes is Human3.6M's "Neck/Nose".

**Rule.** Boxes are given, so there is one detection for each person, compared with that person only; they are ranked by the mean confidence
of the scored joints. Official figures come from boxes that a detector found, and with a person's outline for the area. A store has
boxes: their area is taken times `AREA_OF_BOX`, as AI Challenger, MMPose and Ultralytics do where there are no outlines. People without a
scored joint, and rows without a box, do not count.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from evolift.posedata.skeleton import Skeleton

AREA_OF_BOX = 0.53
THRESHOLDS = tuple(np.linspace(0.5, 0.95, 10).tolist())
RECALLS = tuple(np.linspace(0, 1, 101).tolist())
_SIGMAS = {
    "nose": 0.026,
    "eye": 0.025,
    "ear": 0.035,
    "shoulder": 0.079,
    "elbow": 0.072,
    "wrist": 0.062,
    "hip": 0.107,
    "knee": 0.087,
    "ankle": 0.089,
}


def coco_sigmas(skeleton: Skeleton) -> Float[Tensor, "joints"]:
    """Sigma of each joint, float64; NaN for those that are not COCO's."""
    parts = [joint.removeprefix("left_").removeprefix("right_") for joint in skeleton.joints]
    known = _SIGMAS if "eye" in parts else {part: sigma for part, sigma in _SIGMAS.items() if part != "nose"}
    return torch.tensor([known.get(part, np.nan) for part in parts], dtype=torch.float64)


def keypoint_similarity(
    prediction: Float[Tensor, "rows joints 2"],
    truth: Float[Tensor, "rows joints 2"],
    visibility: UInt8[Tensor, "rows joints"],
    area: Float[Tensor, "rows"],
    sigmas: Float[Tensor, "joints"],
) -> Float[Tensor, "rows"]:
    """OKS of each person, float64; NaN for those who have no scored joint or no area.

    Args:
        prediction, truth: pixels.
        visibility: of the truth; 0 does not count.
        area: of the person, square pixels.
        sigmas: of `coco_sigmas`; NaN does not count.
    """
    distance = torch.linalg.vector_norm((prediction - truth).double(), dim=-1)
    spread = 2 * (2 * sigmas) ** 2 * area.double()[:, None]
    counts = (visibility > 0) & sigmas.isfinite() & (area > 0)[:, None]
    each = torch.where(counts, torch.exp(-(distance**2) / spread), 0.0)
    number = counts.sum(1)
    return torch.where(number > 0, each.sum(1) / number.clamp(min=1), torch.nan)


def average_precision(
    similarity: Float[Tensor, "rows"], confidence: Float[Tensor, "rows"], threshold: float
) -> float:
    """Mean over `RECALLS` of the best precision at that recall or a higher one; NaN without people.

    Args:
        similarity: OKS of each person's detection; NaN does not count.
        confidence: to rank them by; equal ones keep their order.
        threshold: of the OKS.
    """
    known = similarity.isfinite()
    if not known.any():
        return float("nan")
    order = torch.sort(confidence[known], descending=True, stable=True).indices
    right = (similarity[known][order] >= threshold).double().cumsum(0).numpy()
    recall = right / len(right)
    precision = right / np.arange(1, len(right) + 1)
    best = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    return float(best[np.searchsorted(recall, RECALLS, side="left")].mean())


def average_precisions(
    prediction: Float[Tensor, "rows joints 2"],
    truth: Float[Tensor, "rows joints 2"],
    visibility: UInt8[Tensor, "rows joints"],
    confidence: Float[Tensor, "rows joints"],
    box: Float[Tensor, "rows 4"],
    skeleton: Skeleton,
) -> dict[str, float]:
    """`oks_ap`, `oks_ap50` and `oks_ap75`, 0 to 1, by the rule of this module; NaN where nobody counts.

    Args:
        prediction, truth: pixels of the images.
        visibility: of the truth.
        confidence: of the detector.
        box: of each person (left, top, width, height), pixels; NaN where there is none.
        skeleton: of the joints.
    """
    sigmas = coco_sigmas(skeleton)
    area = box[:, 2].double() * box[:, 3].double() * AREA_OF_BOX
    similarity = keypoint_similarity(prediction, truth, visibility, area, sigmas)
    rank = confidence[:, sigmas.isfinite()].double().mean(1)
    each = [average_precision(similarity, rank, threshold) for threshold in THRESHOLDS]
    return {"oks_ap": float(np.mean(each)), "oks_ap50": each[0], "oks_ap75": each[5]}
