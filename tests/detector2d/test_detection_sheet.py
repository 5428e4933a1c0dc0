from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from evolift.detector2d.detection_sheet import TILE, detection_sheet, evenly_ranked, relative_errors
from evolift.detector2d.evaluation import Detections
from evolift.detector2d.image_source import ImageSource, read_source
from evolift.posedata.skeleton import H36M17


def detections(source: ImageSource, away: np.ndarray) -> Detections:
    truth = torch.from_numpy(source.joints_2d)
    return Detections(
        row=torch.from_numpy(source.rows),
        joints=truth + torch.from_numpy(away).float()[:, None, None],
        truth=truth,
        confidence=torch.ones(truth.shape[:2]),
        visibility=torch.from_numpy(source.visibility),
        depth=None,
        joints_3d=torch.zeros(*truth.shape[:2], 3),
        has_3d=torch.zeros(len(truth), dtype=torch.bool),
    )


def test_errors_are_parts_of_the_persons_size(image_store: Path) -> None:
    source = read_source(image_store, H36M17)
    errors = relative_errors(detections(source, np.full(12, 3.0)))
    for row in range(12):
        size = np.ptp(source.joints_2d[row], axis=0).max()
        np.testing.assert_allclose(float(errors[row]), 3 * np.sqrt(2) / size, rtol=1e-4)


def test_from_the_best_to_the_worst() -> None:
    errors = torch.tensor([0.5, torch.nan, 0.1, 0.9, 0.3, 0.2])
    assert evenly_ranked(errors, 3).tolist() == [2, 4, 3]
    assert evenly_ranked(errors, 99).tolist() == [2, 5, 4, 0, 3]


def test_the_sheet_shows_labels_beside_what_was_found(image_store: Path) -> None:
    source = read_source(image_store, H36M17)
    same = detection_sheet(detections(source, np.zeros(12)), source, H36M17, count=4)
    moved = detection_sheet(detections(source, np.full(12, 20.0)), source, H36M17, count=4)
    assert same.shape == moved.shape
    step = TILE + 8
    for pair in range(4):
        left, right = (8 + step * (2 * pair + side) for side in (0, 1))
        labelled, found = (same[8 : 8 + TILE, x : x + TILE] for x in (left, right))
        np.testing.assert_array_equal(labelled, found)
        assert (moved[8 : 8 + TILE, left : left + TILE] != moved[8 : 8 + TILE, right : right + TILE]).any()
