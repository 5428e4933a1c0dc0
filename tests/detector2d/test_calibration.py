from __future__ import annotations

import numpy as np
import pytest
import torch

from evolift.detector2d.calibration import calibrate, reliability, reliability_figure
from evolift.detector2d.evaluation import Detections
from evolift.detector2d.model import DetectorModel
from evolift.detector2d.settings import DetectorSettings
from evolift.posedata.errors import InputError
from evolift.posedata.skeleton import H36M17

TINY = DetectorSettings(
    backbone="test_resnet", input_width=32, input_height=32, head="light", head_widths=(8,)
)
SLOPE, OFFSET = 1.7, -0.8


def detections(model: DetectorModel, rows: int = 4000, seed: int = 0) -> Detections:
    """Joints that are found as often as a known logistic function of their confidence says, 0.5 torsos away if not."""
    generator = torch.Generator().manual_seed(seed)
    truth = torch.zeros(rows, 17, 2)
    truth[:, H36M17.index("left_shoulder"), 1] = -100
    raw = torch.randn(rows, 17, generator=generator) * 1.5
    probability = (SLOPE * raw + OFFSET).sigmoid()
    is_right = torch.rand(rows, 17, generator=generator) < probability
    joints = truth + torch.where(is_right, 5.0, 50.0)[..., None] * torch.tensor([1.0, 0.0])
    confidence = (raw * model.confidence_slope + model.confidence_offset).sigmoid()
    visibility = torch.full((rows, 17), 2, dtype=torch.uint8)
    visibility[:, H36M17.index("nose")] = 0
    nothing = torch.zeros(rows, 17, 3)
    return Detections(
        torch.arange(rows),
        joints,
        truth,
        confidence,
        visibility,
        None,
        nothing,
        torch.zeros(rows, dtype=torch.bool),
    )


def test_confidence_becomes_the_probability_of_being_right() -> None:
    model = DetectorModel(TINY)
    found = detections(model)
    result = calibrate(model, found)
    table = result.table.set_index("name")
    assert table.loc["overall", "slope"] == pytest.approx(SLOPE, abs=0.03)
    assert table.loc["overall", "offset"] == pytest.approx(OFFSET, abs=0.03)
    assert table.loc["left_knee", "slope"] == pytest.approx(SLOPE, abs=0.2)
    assert table.loc["nose", "slope"] == table.loc["overall", "slope"]  # never labelled
    assert result.error < 0.01
    assert reliability_figure(result).shape[2] == 3
    # In use: on others, the part that is right in each range of confidence is that confidence.
    model.confidence_slope.fill_(1)
    model.confidence_offset.zero_()
    other = detections(model, seed=1)
    calibrate(model, found)
    sure = (other.confidence.logit() * model.confidence_slope + model.confidence_offset).sigmoid()
    is_right = (other.joints - other.truth).norm(dim=-1) < 20
    curve = reliability(sure.flatten().numpy(), is_right.flatten().double().numpy())
    assert (curve["confidence"] - curve["correct"]).abs().max() < 0.03


def test_a_second_calibration_changes_nothing() -> None:
    model = DetectorModel(TINY)
    calibrate(model, detections(model))
    slope, offset = model.confidence_slope.clone(), model.confidence_offset.clone()
    calibrate(model, detections(model))
    torch.testing.assert_close(model.confidence_slope, slope, atol=2e-3, rtol=0)
    torch.testing.assert_close(model.confidence_offset, offset, atol=2e-3, rtol=0)


def test_the_model_gives_calibrated_confidence_and_the_same_joints() -> None:
    torch.manual_seed(0)
    model = DetectorModel(TINY).eval()
    images = torch.randn(2, 3, 32, 32)
    before = model(images)
    model.confidence_slope.fill_(SLOPE)
    model.confidence_offset.fill_(OFFSET)
    after = model(images)
    assert torch.equal(before.joints, after.joints)
    p = before.confidence.double()
    expected = 1 / (1 + (p / (1 - p)) ** -SLOPE * np.exp(-OFFSET))
    torch.testing.assert_close(after.confidence.double(), expected, atol=1e-5, rtol=0)


def test_reliability_is_the_mean_of_each_range() -> None:
    curve = reliability(np.array([0.11, 0.19, 0.5, 1.0]), np.array([0.0, 1.0, 1.0, 1.0]))
    assert curve.to_dict("list") == {
        "confidence": [pytest.approx(0.15), 0.5, 1.0],
        "correct": [0.5, 1.0, 1.0],
        "count": [2, 1, 1],
    }


def test_what_cannot_be_calibrated_is_refused() -> None:
    model = DetectorModel(TINY)
    few = detections(model, rows=5)
    with pytest.raises(
        InputError, match=r"cannot be calibrated on 80 labelled joints of which \d+ are found"
    ):
        calibrate(model, few)
    with pytest.raises(InputError, match="the regression head has no confidence"):
        calibrate(DetectorModel(TINY.replaced(head="regression", depth_bins=1)), few)
