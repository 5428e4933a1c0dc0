from __future__ import annotations

import numpy as np
import pytest
import torch

from evolift.detector2d.losses import joint_loss, spread_loss
from evolift.detector2d.soft_argmax import axis_marginals


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    prediction, target = (torch.randn(3, 17, 3, dtype=torch.float64, generator=generator) for _ in range(2))
    weight = (torch.rand(3, 17, 3, generator=generator) < 0.6).double()
    return prediction, target, weight


@pytest.mark.parametrize("axes", [2, 3])
def test_joint_loss_is_the_plain_sum(batch: tuple[torch.Tensor, ...], axes: int) -> None:
    prediction, target, weight = batch
    expected = sum(
        float(weight[b, j, a] * abs(prediction[b, j, a] - target[b, j, a]))
        for b in range(3)
        for j in range(17)
        for a in range(axes)
    )
    assert joint_loss(prediction[..., :axes], target, weight).item() == pytest.approx(expected / 3)


def test_unknown_coordinates_have_no_gradient(batch: tuple[torch.Tensor, ...]) -> None:
    prediction, target, weight = batch
    prediction.requires_grad_()
    joint_loss(prediction, target, weight).backward()
    assert prediction.grad is not None
    assert (prediction.grad[weight == 0] == 0).all()
    assert (prediction.grad[weight > 0] != 0).any()


def test_spread_loss_against_its_definition() -> None:
    heatmaps = torch.randn(2, 17, 6, 8, dtype=torch.float64)
    target = torch.rand(2, 17, 3, dtype=torch.float64) - 0.5
    weight = torch.zeros(2, 17, 3, dtype=torch.float64)
    weight[1, 4, 0] = weight[0, 3, 1] = 1
    expected = 0.0
    for b, j, axis, cells in ((1, 4, 0, 8), (0, 3, 1, 6)):
        p = heatmaps[b, j].flatten().softmax(0).reshape(6, 8).sum(axis).numpy()
        centre = (float(target[b, j, axis]) + 0.5) * cells - 0.5
        q = np.exp(-((np.arange(cells) - centre) ** 2) / (2 * 1.5**2))
        q /= q.sum()
        m = (p + q) / 2
        expected += 0.5 * np.sum(p * np.log(p / m)) + 0.5 * np.sum(q * np.log(q / m))
    found = spread_loss(axis_marginals(heatmaps), target, weight, cells=1.5)
    assert found.item() == pytest.approx(expected / 2)


def test_spread_loss_of_a_sharp_map_is_finite_and_so_is_its_gradient() -> None:
    heatmaps = torch.zeros(1, 17, 16, 16)
    heatmaps[..., 0, 0] = 500
    heatmaps.requires_grad_()
    loss = spread_loss(axis_marginals(heatmaps), torch.full((1, 17, 3), 0.4), torch.ones(1, 17, 3))
    loss.backward()
    assert heatmaps.grad is not None
    assert loss.item() == pytest.approx(2 * 17 * np.log(2), rel=0.01)
    assert bool(heatmaps.grad.isfinite().all())
