from __future__ import annotations

import numpy as np
import pytest
import torch

from evolift.detector2d.detection import detect_joints
from evolift.detector2d.model import DetectorModel
from evolift.detector2d.settings import DetectorSettings
from evolift.posedata.errors import InputError


def constant_model(padding: float) -> DetectorModel:
    """Every joint is always found 3/4 to the right and 1/4 down in the crop, 250 mm behind the root."""
    settings = DetectorSettings(
        backbone="test_resnet",
        padding=padding,
        input_width=64,
        input_height=96,
        depth_bins=8,
        head="regression",
    )
    model = DetectorModel(settings)
    with torch.no_grad():
        model.head.linear.bias.copy_(torch.tensor([0.25, -0.25, 0.125]).repeat(17))  # type: ignore[union-attr,operator]
        model.head.linear.weight.zero_()  # type: ignore[union-attr,operator]
    return model


@pytest.fixture
def model() -> DetectorModel:
    return constant_model(1.0)


def test_box_to_pixels(model: DetectorModel) -> None:
    image = np.zeros((300, 400, 3), np.uint8)
    found = detect_joints(model, image, [(100, 50, 64, 96)])
    assert found.joints.shape == (1, 17, 2)
    np.testing.assert_allclose(found.joints[0, 4], [100 + 48, 50 + 24], atol=1e-3)
    assert found.depth is not None
    np.testing.assert_allclose(found.depth, 250, rtol=1e-5)


def test_padding_is_about_the_middle_of_the_box() -> None:
    image = np.zeros((300, 400, 3), np.uint8)
    found = detect_joints(constant_model(2.0), image, [(100, 50, 64, 96)])
    np.testing.assert_allclose(found.joints[0, 4], [132 + 32, 98 - 48], atol=1e-3)


def test_flip_of_a_constant_answer_is_the_middle(model: DetectorModel) -> None:
    found = detect_joints(model, np.zeros((96, 64, 3), np.uint8), [(0, 0, 64, 96)], flip_test=True)
    np.testing.assert_allclose(found.joints[0, 0], [32, 24], atol=1e-3)


def test_box_without_area(model: DetectorModel) -> None:
    with pytest.raises(InputError, match="has no area"):
        detect_joints(model, np.zeros((10, 10, 3), np.uint8), [(1, 1, 0, 4)])
