from __future__ import annotations

import pytest
import torch
from torch import nn

from evolift.detector2d.folded_detector import folded
from evolift.detector2d.model import DetectorModel
from tests.same_answers import assert_same_answers
from tests.settled_networks import settled_detector


def norms(model: DetectorModel) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())


@pytest.mark.parametrize(
    ("backbone", "head", "left"),
    [
        ("resnet10t", "deconvolution", 0),
        ("tf_efficientnet_lite0", "light", 0),  # ours
        ("tf_mobilenetv3_small_minimal_100", "light", 0),  # convolutions of timm that pad as TensorFlow's
        ("mobilenetv3_small_050", "light", 0),
        ("densenet121", "light", 62),  # 58 layers, 3 transitions and the end begin with a norm
        ("resnetv2_50", "light", 16),  # 16 blocks begin with a norm
        ("hrnet_w18_small", "light", 0),
        ("convnext_atto", "regression", 0),
    ],
)
def test_the_same_joints(backbone: str, head: str, left: int) -> None:
    decoding = "mode" if head == "light" else "expectation"
    model = settled_detector(backbone=backbone, head=head, head_widths=(16, 16, 16), decoding=decoding)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    fast = folded(model)
    images = torch.randn(3, 3, 64, 64)
    with torch.no_grad():
        found, expected = fast(images), model(images)
    assert_same_answers(found.joints, expected.joints, extent=1.0)
    assert_same_answers(found.confidence, expected.confidence, extent=1.0)
    assert expected.joints.std(0).max() > 0.01  # it does look at the images
    assert norms(fast) == left
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(parameter.requires_grad for parameter in fast.parameters())


class Twice(nn.Module):
    """A convolution whose result goes around its batch norm too."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        result = self.convolution(images)
        return result + self.norm(result)


def test_a_result_that_is_used_elsewhere_is_left_alone() -> None:
    model = settled_detector()
    count = norms(model)
    conv = model.backbone.body.conv1[0]
    assert isinstance(conv, nn.Conv2d)
    inner = Twice()
    nn.init.normal_(inner.norm.weight)
    assert inner.norm.running_mean is not None
    nn.init.normal_(inner.norm.running_mean)
    model.backbone.body.conv1 = nn.Sequential(inner.eval(), model.backbone.body.conv1)
    images = torch.randn(2, 3, 64, 64)
    fast = folded(model)
    with torch.no_grad():
        assert_same_answers(fast(images).joints, model(images).joints, extent=1.0)
    assert norms(fast) == 1
    assert count > 1
