from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from evolift.detector2d.calibration import PADDINGS, calibrate, reliability, reliability_figure
from evolift.detector2d.model import DetectorModel, DetectorOutput, log_extent
from evolift.detector2d.settings import DetectorSettings
from evolift.posedata.errors import InputError
from evolift.posedata.skeleton import H36M17

TINY = DetectorSettings(
    backbone="test_resnet", input_width=32, input_height=32, head="light", head_widths=(8,)
)
SLOPE, OFFSET, EXTENT = 1.7, -0.3, 1.2


class Known(DetectorModel):
    """Knows the labels, and errs as often as a known logistic function of its confidence and of the person's size says."""

    def __init__(self, labels: list[Tensor]) -> None:
        super().__init__(TINY)
        self.labels, self.generator = labels, torch.Generator().manual_seed(0)

    def forward(self, images: Tensor, *, hard: bool = False) -> DetectorOutput:
        del hard
        joints = torch.stack([self.labels.pop(0) for _ in images])
        extent = log_extent(joints)[:, None]
        raw = 1.5 * torch.randn(joints.shape[:2], generator=self.generator)
        probability = (SLOPE * raw + OFFSET + EXTENT * extent).sigmoid()
        is_right = torch.rand(probability.shape, generator=self.generator) < probability
        # Mistakes stay inside the bounds of the joints, whose size is told.
        middle = joints.mean(1, keepdim=True).expand_as(joints)
        return DetectorOutput(torch.where(is_right[..., None], joints, middle), raw.sigmoid(), None, ())


@pytest.fixture
def labelled(monkeypatch: pytest.MonkeyPatch) -> Known:
    """A detector of people whose labels it knows, in crops of the paddings that a calibration takes."""
    generator = torch.Generator().manual_seed(1)
    model = Known([])

    def batches(sources, crops, batch_size, workers):
        del sources, batch_size, workers
        for _ in range(60):
            side = 0.5 / crops.padding
            joints = torch.cat(
                [
                    side * torch.tensor([[1.0, 1], [-1, -1]]).repeat(16, 1, 1),
                    (side * (2 * torch.rand(16, 15, 2, generator=generator) - 1)),
                ],
                1,
            )
            joints[:, H36M17.index("left_shoulder")] = torch.tensor([0.0, -side / 2])
            joints[:, H36M17.index("right_hip")] = torch.tensor([0.0, side / 2])
            model.labels += list(joints)
            visibility = torch.full((16, 17), 2, dtype=torch.uint8)
            visibility[:, H36M17.index("nose")] = 0
            yield {
                "image": torch.zeros(16, 3, 32, 32),
                "joints_2d": (joints + 0.5) * 32 - 0.5,
                "visibility": visibility,
                "image_from_crop": torch.eye(3)[:2].repeat(16, 1, 1),
            }

    monkeypatch.setattr("evolift.detector2d.calibration.batches_in_order", batches)
    monkeypatch.setattr("evolift.detector2d.calibration.read_source", lambda *_: None)
    return model


def test_confidence_becomes_the_probability_of_being_right(labelled: Known) -> None:
    result = calibrate(labelled, "store.h5")
    table = result.table.set_index("name")
    assert table.loc["left_knee", "labelled"] == 60 * 16 * len(PADDINGS)
    for name in ("left_knee", "right_wrist"):  # joints that lie away from the middle
        found = table.loc[name, ["slope", "offset", "extent"]].to_numpy(float)
        np.testing.assert_allclose(found[0], SLOPE, atol=0.35)
        np.testing.assert_allclose(found[2], EXTENT, atol=0.6)
    overall = table.loc["overall", ["slope", "offset", "extent"]].tolist()
    assert table.loc["nose", ["slope", "offset", "extent"]].tolist() == overall  # never labelled
    assert labelled.confidence_extent[H36M17.index("nose")] == pytest.approx(overall[2], rel=1e-6)
    assert result.error < 0.02
    assert reliability_figure(result).shape[2] == 3


def test_the_model_gives_calibrated_confidence_and_the_same_joints() -> None:
    torch.manual_seed(0)
    model = DetectorModel(TINY).eval()
    images = torch.randn(2, 3, 32, 32)
    before = model(images)
    model.confidence_slope.fill_(SLOPE)
    model.confidence_offset.fill_(OFFSET)
    model.confidence_extent.fill_(EXTENT)
    after = model(images)
    assert torch.equal(before.joints, after.joints)
    p, joints = before.confidence.detach().double(), before.joints.detach().double()
    diagonal = (joints.amax(1) - joints.amin(1)).norm(dim=-1)
    expected = 1 / (1 + (p / (1 - p)) ** -SLOPE * np.exp(-OFFSET) * diagonal[:, None] ** -EXTENT)
    torch.testing.assert_close(after.confidence.detach().double(), expected, atol=1e-5, rtol=0)


def test_reliability_is_the_mean_of_each_range() -> None:
    curve = reliability(np.array([0.11, 0.19, 0.5, 1.0]), np.array([0.0, 1.0, 1.0, 1.0]))
    assert curve.to_dict("list") == {
        "confidence": [pytest.approx(0.15), 0.5, 1.0],
        "correct": [0.5, 1.0, 1.0],
        "count": [2, 1, 1],
    }


def test_what_cannot_be_calibrated_is_refused(
    photograph_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = DetectorModel(TINY)
    monkeypatch.setattr("evolift.detector2d.calibration.MIN_LABELS", 10_000)
    with pytest.raises(
        InputError, match=r"cannot be calibrated on \d+ looks at labelled joints of which \d+ are found"
    ):
        calibrate(model, photograph_store)
    with pytest.raises(InputError, match="the regression head has no confidence"):
        calibrate(DetectorModel(TINY.replaced(head="regression")), photograph_store)
