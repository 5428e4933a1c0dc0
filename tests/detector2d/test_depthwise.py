from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from evolift.detector2d.depthwise import depthwise_in_float32


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 4, 1), nn.Conv2d(4, 4, 1, groups=2))


def types_of(model: nn.Module, images: torch.Tensor) -> list[torch.dtype]:
    seen = []
    hooks = [module.register_forward_hook(lambda _m, _i, out: seen.append(out.dtype)) for module in model]  # type: ignore[union-attr,operator]
    with torch.autocast("cpu", torch.bfloat16):
        model(images)
    for hook in hooks:
        hook.remove()
    return seen


def test_only_depthwise_convolutions_leave_autocast() -> None:
    model, images = network(), torch.randn(2, 8, 6, 6)
    assert types_of(model, images) == [torch.bfloat16] * 3
    depthwise_in_float32(model)
    assert types_of(model, images) == [torch.float32, torch.bfloat16, torch.bfloat16]


def test_without_autocast_and_in_training_nothing_changes() -> None:
    plain, changed, images = network(), network(), torch.randn(2, 8, 6, 6)
    depthwise_in_float32(changed)
    torch.testing.assert_close(changed(images), plain(images), rtol=0, atol=0)
    for model in (plain, changed):
        model(images).sum().backward()
    for a, b in zip(plain.parameters(), changed.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=0, atol=0)
    assert plain.state_dict().keys() == changed.state_dict().keys()


def test_a_copy_computes_with_its_own_weights() -> None:
    """As the moving average of the weights, which is a deep copy."""
    model = network()
    depthwise_in_float32(model)
    other = copy.deepcopy(model)
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
    images = torch.randn(1, 8, 6, 6)
    assert float(model(images).detach().abs().max()) == 0
    assert float(other(images).detach().abs().max()) > 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_on_a_gpu_nothing_changes() -> None:
    model = network().cuda()
    depthwise_in_float32(model)
    with torch.autocast("cuda", torch.bfloat16):
        assert model[0](torch.randn(1, 8, 6, 6, device="cuda")).dtype == torch.bfloat16
