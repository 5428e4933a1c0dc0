from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from evolift.posedata.object_keypoint_similarity import (
    AREA_OF_BOX,
    average_precision,
    average_precisions,
    coco_sigmas,
    keypoint_similarity,
)
from evolift.posedata.skeleton import COCO17, H36M17, MPII16, Skeleton

# cocodataset.org/#keypoints-eval, in the order of COCO's joints.
PUBLISHED = [0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107]
PUBLISHED += [0.087, 0.087, 0.089, 0.089]


def people(
    skeleton: Skeleton, rows: int = 60, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Detections from good to bad, labels, visibility, confidence that partly tells which are good, and boxes."""
    generator = np.random.default_rng(seed)
    size = generator.uniform(60, 300, rows)
    truth = generator.uniform(0, 1, (rows, len(skeleton), 2)) * size[:, None, None]
    noise = generator.uniform(0, 0.25, rows)
    found = truth + generator.normal(size=truth.shape) * (noise * size)[:, None, None]
    visibility = generator.integers(0, 3, (rows, len(skeleton))).astype(np.uint8)
    visibility[5] = 0
    confidence = np.clip(1 - noise[:, None] * 3 + generator.normal(0, 0.2, truth.shape[:2]), 0.01, 1)
    box = np.stack([np.zeros(rows), np.zeros(rows), size, size * 1.3], 1)
    return tuple(torch.from_numpy(values) for values in (found, truth, visibility, confidence, box))  # type: ignore[return-value]


def slow_similarity(
    found: np.ndarray, truth: np.ndarray, visibility: np.ndarray, area: float, sigmas: list[float]
) -> float:
    above, below = 0.0, 0
    for joint, sigma in enumerate(sigmas):
        if visibility[joint] > 0 and not math.isnan(sigma):
            d2 = (found[joint, 0] - truth[joint, 0]) ** 2 + (found[joint, 1] - truth[joint, 1]) ** 2
            above += math.exp(-d2 / (2 * area * (2 * sigma) ** 2))
            below += 1
    return above / below if below else math.nan


def slow_precision(similarity: list[float], score: list[float], threshold: float) -> float:
    known = [number for number, value in enumerate(similarity) if not math.isnan(value)]
    ranked = sorted(known, key=lambda number: -score[number])
    total = 0.0
    for step in range(101):
        best = 0.0
        for end in range(1, len(ranked) + 1):
            right = sum(similarity[number] >= threshold for number in ranked[:end])
            if right / len(ranked) >= step / 100:
                best = max(best, right / end)
        total += best
    return total / 101


def test_sigmas_are_the_published_ones_and_other_joints_have_none() -> None:
    assert coco_sigmas(COCO17).tolist() == PUBLISHED
    for skeleton, scored in ((H36M17, 12), (MPII16, 12)):
        sigmas = coco_sigmas(skeleton)
        assert int(sigmas.isfinite().sum()) == scored
        for joint, sigma in zip(skeleton.joints, sigmas.tolist(), strict=True):
            if joint in COCO17.joints and joint != "nose":
                assert sigma == PUBLISHED[COCO17.index(joint)]
            else:
                assert math.isnan(sigma)  # the nose of a skeleton without eyes is none


@pytest.mark.parametrize("skeleton", [COCO17, H36M17], ids=lambda one: one.name)
def test_against_a_slow_loop_of_the_published_formula(skeleton: Skeleton) -> None:
    found, truth, visibility, confidence, box = people(skeleton)
    sigmas = coco_sigmas(skeleton)
    slow = [
        slow_similarity(
            found[row].numpy(),
            truth[row].numpy(),
            visibility[row].numpy(),
            AREA_OF_BOX * float(box[row, 2] * box[row, 3]),
            sigmas.tolist(),
        )
        for row in range(len(found))
    ]
    area = AREA_OF_BOX * box[:, 2] * box[:, 3]
    similarity = keypoint_similarity(found, truth, visibility, area, sigmas)
    np.testing.assert_allclose(similarity.numpy(), slow, rtol=1e-12)
    assert math.isnan(slow[5])
    scored = [joint for joint, sigma in enumerate(sigmas.tolist()) if not math.isnan(sigma)]
    score = confidence[:, scored].mean(1).tolist()
    each = [slow_precision(slow, score, 0.5 + 0.05 * step) for step in range(10)]
    got = average_precisions(found, truth, visibility, confidence, box, skeleton)
    assert got["oks_ap50"] == pytest.approx(each[0], abs=1e-9)
    assert got["oks_ap75"] == pytest.approx(each[5], abs=1e-9)
    assert got["oks_ap"] == pytest.approx(sum(each) / 10, abs=1e-9)
    assert 0.05 < got["oks_ap"] < got["oks_ap50"] < 0.95


def test_perfect_detections_and_nobody() -> None:
    found, truth, visibility, confidence, box = people(COCO17)
    perfect = average_precisions(truth, truth, visibility, confidence, box, COCO17)
    assert set(perfect.values()) == {1.0}
    nobody = average_precisions(found, truth, torch.zeros_like(visibility), confidence, box, COCO17)
    assert all(math.isnan(value) for value in nobody.values())
    without_box = average_precisions(found, truth, visibility, confidence, box * torch.nan, COCO17)
    assert all(math.isnan(value) for value in without_box.values())


def test_a_wrong_one_that_is_sure_costs_more_than_one_that_is_not() -> None:
    similarity = torch.tensor([0.9, 0.9, 0.1], dtype=torch.float64)
    sure, unsure = (torch.tensor([0.5, 0.4, score]) for score in (0.9, 0.1))
    # Recall 2/3 is reached at best: 67 of 101 recalls, with precision 2/3 or 1.
    assert average_precision(similarity, sure, 0.5) == pytest.approx(67 / 101 * 2 / 3)
    assert average_precision(similarity, unsure, 0.5) == pytest.approx(67 / 101)
