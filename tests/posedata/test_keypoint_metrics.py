from __future__ import annotations

import math

import pytest
import torch

from evolift.posedata.keypoint_metrics import correct_keypoints, keypoint_table, torso_diameter
from evolift.posedata.skeleton import H36M17, LSP14


def people(rows: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    truth = torch.zeros(rows, 14, 2)
    truth[:, LSP14.index("left_shoulder")] = torch.tensor([30.0, 40.0])  # 50 px from the right hip
    return truth, torch.full((rows, 14), 2, dtype=torch.uint8)


def test_torso_is_left_shoulder_to_right_hip() -> None:
    truth, visibility = people(4)
    visibility[1, LSP14.index("right_hip")] = 0
    visibility[2, LSP14.index("left_shoulder")] = 1
    truth[3] = 0
    diameter = torso_diameter(truth, visibility, LSP14)
    assert diameter[[0, 2]].eq(50).all()
    assert diameter[[1, 3]].isnan().all()


def test_correct_within_the_fraction_and_masked_by_visibility() -> None:
    truth, visibility = people(1)
    prediction = truth.clone()
    prediction[0, 0, 0] += 10.0  # exactly 0.2 of 50
    prediction[0, 1, 0] += 10.1
    prediction[0, 2, 0] += 500.0
    visibility[0, 2] = 0
    correct = correct_keypoints(prediction, truth, visibility, torch.tensor([50.0]))
    assert correct[0, :2].tolist() == [1, 0]
    assert correct[0, 2].isnan()
    assert correct[0, 3:].eq(1).all()
    for unusable in (math.nan, 0.0, -3.0):
        assert correct_keypoints(prediction, truth, visibility, torch.tensor([unusable])).isnan().all()


def test_a_prediction_that_is_not_a_number_is_wrong_not_left_out() -> None:
    truth, visibility = people(1)
    prediction = torch.full_like(truth, torch.nan)
    assert correct_keypoints(prediction, truth, visibility, torch.tensor([50.0])).eq(0).all()


def test_table_against_counting_by_hand() -> None:
    truth, visibility = people(4)
    prediction = truth.clone()
    prediction[:, 0, 0] += torch.tensor([0.0, 9.0, 11.0, 12.0])
    visibility[3, 0] = 0
    head = torch.tensor([20.0, 20.0, 20.0, math.nan])
    table = keypoint_table(prediction, truth, visibility, LSP14, head_size=head).set_index("name")
    assert table.loc["right_ankle", "pck_0.2"] == pytest.approx(2 / 3)
    assert table.loc["right_ankle", "pckh_0.5"] == pytest.approx(2 / 3)
    assert table.loc["right_ankle", "error"] == pytest.approx(20 / 3)
    assert table.loc["right_ankle", "labelled"] == 3
    assert table.loc["overall", "pck_0.2"] == pytest.approx(54 / 55)
    assert table.loc["joint-wise mean", "pck_0.2"] == pytest.approx((2 / 3 + 13) / 14)


def test_table_without_head_sizes_or_torso_says_nan() -> None:
    truth, visibility = people()
    assert keypoint_table(truth, truth, visibility, LSP14)["pckh_0.5"].isna().all()
    table = keypoint_table(
        torch.zeros(2, 17, 2), torch.zeros(2, 17, 2), torch.zeros(2, 17, dtype=torch.uint8), H36M17
    )
    assert table["pck_0.2"].isna().all()
    assert table["labelled"].eq(0).all()
