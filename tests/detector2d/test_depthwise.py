from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from evolift.detector2d.depthwise import DepthwiseInBfloat16, speed_up_depthwise
from evolift.detector2d.efficientnet_lite import SameConv2d


class UnknownConv2d(nn.Conv2d):
    """As those of timm, which pad in a way of their own."""


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(8, 8, 3, groups=8, bias=False),
        SameConv2d(8, 8, 5, stride=2, groups=8, bias=False),
        UnknownConv2d(8, 8, 3, groups=8, bias=False, padding=1),
        nn.Conv2d(8, 4, 1),
        nn.Conv2d(4, 4, 1, groups=2),
    )


def types_of(model: nn.Module, images: torch.Tensor) -> list[torch.dtype]:
    seen = []
    hooks = [module.register_forward_hook(lambda _m, _i, out: seen.append(out.dtype)) for module in model]  # type: ignore[union-attr,operator]
    with torch.autocast("cpu", torch.bfloat16):
        model(images)
    for hook in hooks:
        hook.remove()
    return seen


def test_depthwise_convolutions_of_unknown_classes_leave_autocast() -> None:
    model, images = network(), torch.randn(2, 8, 9, 9)
    assert types_of(model, images) == [torch.bfloat16] * 5
    speed_up_depthwise(model)
    assert types_of(model, images) == [
        torch.bfloat16,
        torch.bfloat16,
        torch.float32,
        torch.bfloat16,
        torch.bfloat16,
    ]


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "side"),
    [
        (1, 1, 0, 5),
        (3, 1, 1, 8),
        (3, 2, 1, 9),
        (5, 1, 2, 9),
        (5, 2, 0, 12),
        (5, 2, 2, 10),
        (6, 2, 1, 9),
        (7, 3, 3, 10),
    ],
)
def test_values_and_gradients_are_those_of_float32(
    kernel: int, stride: int, padding: int, side: int, channels_last: bool
) -> None:
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> torch.Tensor:
        values = torch.randn(shape, generator=generator).bfloat16().float()  # the same in both types
        return values.to(memory_format=torch.channels_last) if channels_last else values

    images, weight = drawn(2, 6, side, side + 1), drawn(6, 1, kernel, kernel)
    exact = [images.clone().requires_grad_(), weight.clone().requires_grad_()]
    mixed = [images.bfloat16().requires_grad_(), weight.clone().requires_grad_()]
    out = F.conv2d(*exact, None, stride, padding, groups=6)
    fast = DepthwiseInBfloat16.apply(*mixed, (stride, stride), (padding, padding))
    gradient = drawn(*out.shape)
    out.backward(gradient)
    fast.backward(gradient.bfloat16())
    for found, expected in [(fast, out), (mixed[0].grad, exact[0].grad), (mixed[1].grad, exact[1].grad)]:
        assert found is not None
        assert expected is not None
        largest = float(expected.detach().abs().max())
        torch.testing.assert_close(found.float(), expected, rtol=0, atol=largest / 128)  # bfloat16 has 8 bits


def test_a_network_learns_alike() -> None:
    """The gradients of a network of both kinds under autocast are those of torch's own kernels but for rounding."""
    plain, fast, images = network(), network(), torch.randn(2, 8, 9, 9)
    speed_up_depthwise(fast)
    for model in (plain, fast):
        with torch.autocast("cpu", torch.bfloat16):
            model(images).float().square().sum().backward()
    for a, b in zip(plain.parameters(), fast.parameters(), strict=True):
        assert a.grad is not None
        assert b.grad is not None
        torch.testing.assert_close(b.grad, a.grad, rtol=0, atol=0.03 * float(a.grad.abs().max()))


def test_weights_that_do_not_learn_get_no_gradient() -> None:
    weight = torch.randn(6, 1, 5, 5)
    images = torch.randn(2, 6, 9, 9).bfloat16().requires_grad_()
    DepthwiseInBfloat16.apply(images, weight, (1, 1), (2, 2)).sum().backward()
    assert images.grad is not None
    assert weight.grad is None


def test_without_autocast_and_in_training_nothing_changes() -> None:
    plain, changed, images = network(), network(), torch.randn(2, 8, 9, 9)
    speed_up_depthwise(changed)
    torch.testing.assert_close(changed(images), plain(images), rtol=0, atol=0)
    for model in (plain, changed):
        model(images).sum().backward()
    for a, b in zip(plain.parameters(), changed.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=0, atol=0)
    assert plain.state_dict().keys() == changed.state_dict().keys()


def test_a_copy_computes_with_its_own_weights() -> None:
    """As the moving average of the weights, which is a deep copy."""
    model = network()
    speed_up_depthwise(model)
    other = copy.deepcopy(model)
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
    images = torch.randn(1, 8, 9, 9)
    with torch.autocast("cpu", torch.bfloat16):
        assert float(model(images).detach().abs().max()) == 0
        assert float(other(images).detach().abs().max()) > 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_on_a_gpu_nothing_changes() -> None:
    model = network().cuda()
    speed_up_depthwise(model)
    with torch.autocast("cuda", torch.bfloat16):
        assert types_of(model, torch.randn(1, 8, 9, 9, device="cuda")) == [torch.bfloat16] * 5
