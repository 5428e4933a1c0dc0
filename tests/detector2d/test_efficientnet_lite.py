from __future__ import annotations

import pytest
import timm
import torch
from torch import Tensor, nn

from evolift.detector2d.backbone import build_backbone
from evolift.detector2d.efficientnet_lite import WIDTH_AND_DEPTH, EfficientNetLite, SameConv2d


@pytest.mark.parametrize("name", WIDTH_AND_DEPTH)
def test_weights_are_named_and_begin_as_those_of_timm(name: str) -> None:
    ours, theirs = EfficientNetLite(name), timm.create_model(name, features_only=True)
    expected = theirs.state_dict()
    assert list(ours.state_dict()) == list(expected)
    for key, value in ours.state_dict().items():
        assert value.shape == expected[key].shape
        if value.dim() == 4 and value.numel() > 1000:
            assert float(value.std()) == pytest.approx(float(expected[key].std()), rel=0.1)
        elif value.dim() < 2:
            assert torch.equal(value, expected[key])
    assert list(ours.channels) == theirs.feature_info.channels()
    assert list(ours.strides) == theirs.feature_info.reduction()


@pytest.mark.parametrize("size", [(64, 96), (47, 33)])  # (height, width); odd ones pad on both sides
@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "tf_efficientnet_lite2"])
def test_maps_and_gradients_are_those_of_timm(name: str, size: tuple[int, int]) -> None:
    ours, theirs = EfficientNetLite(name), timm.create_model(name, features_only=True)
    ours.load_state_dict(theirs.state_dict())
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))

    def run(model: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
        model.train()(images)  # moves the statistics of the batch norms
        maps = model.eval()(images)
        loss = sum(one.square().mean() for one in maps)
        assert isinstance(loss, Tensor)
        return maps, list(torch.autograd.grad(loss, list(model.parameters())))

    for found, expected in zip(run(ours), run(theirs), strict=True):
        assert len(found) == len(expected)
        assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


def test_convolutions_pad_the_odd_pixel_at_right_and_bottom() -> None:
    convolution = SameConv2d(1, 1, (3, 5), stride=2, bias=False)
    nn.init.ones_(convolution.weight)
    ones = torch.ones(1, 1, 6, 5)
    # Heights 6: none above, one below. Widths 5: two on each side.
    expected = torch.tensor([[9.0, 15, 9], [9, 15, 9], [6, 10, 6]])
    assert torch.equal(convolution(ones)[0, 0], expected)


@pytest.mark.parametrize("name", WIDTH_AND_DEPTH)
@pytest.mark.parametrize(("width", "height"), [(32, 32), (96, 160)])
def test_the_declared_shapes_are_those_of_its_maps(name: str, width: int, height: int) -> None:
    backbone = build_backbone(name)
    backbone.check_input(width, height)
    with torch.no_grad():
        maps = backbone.eval()(torch.zeros(1, 3, height, width))
    assert [tuple(one.shape) for one in maps] == [
        (1, channels, height // stride, width // stride)
        for channels, stride in zip(backbone.channels, backbone.strides, strict=True)
    ]
