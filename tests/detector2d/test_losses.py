from __future__ import annotations

import numpy as np
import pytest
import torch

from evolift.detector2d.losses import detection_losses, heatmap_loss, joint_loss, spread_loss
from evolift.detector2d.model import DetectorModel
from evolift.detector2d.settings import DetectorSettings, DetectorTrainingSettings
from evolift.detector2d.soft_argmax import axis_marginals, soft_argmax
from evolift.posedata.bone_loss import bone_loss
from evolift.posedata.skeleton import H36M17


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


@pytest.mark.parametrize("depth", [(), (4,)])
def test_heatmap_loss_against_its_definition(depth: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(2)
    heatmaps = torch.randn(2, 17, *depth, 6, 8, dtype=torch.float64, generator=generator) * 3
    target = torch.rand(2, 17, 3, dtype=torch.float64, generator=generator) - 0.5
    target[1, 2, 0] = 0.51  # outside: does not count
    weight = torch.zeros(2, 17, 3, dtype=torch.float64)
    weight[1, 4], weight[0, 3], weight[1, 2], weight[0, 0, 0] = 1, 1, 1, 1  # of the last only u is known
    expected = 0.0
    for b, j in ((1, 4), (0, 3)):
        p = heatmaps[b, j].flatten().softmax(0).reshape(-1, 6, 8).sum(0).numpy()
        u, v = (target[b, j, :2].numpy() + 0.5) * (8, 6) - 0.5
        rows, columns = np.mgrid[:6, :8]
        q = np.exp(-((rows - v) ** 2 + (columns - u) ** 2) / (2 * 1.5**2))
        q /= q.sum()
        expected += float(np.sum(q * np.log(q / p)))
    assert heatmap_loss(heatmaps, target, weight).item() == pytest.approx(expected / 2)
    assert torch.autograd.gradcheck(
        lambda maps: heatmap_loss(maps, target, weight), (heatmaps.requires_grad_(),)
    )


def test_heatmap_loss_of_maps_far_off_is_finite_and_so_is_its_gradient() -> None:
    heatmaps = torch.zeros(1, 17, 64, 64)
    heatmaps[..., 0, 0] = 500
    heatmaps.requires_grad_()
    heatmap_loss(heatmaps, torch.full((1, 17, 3), 0.45), torch.ones(1, 17, 3)).backward()
    assert heatmaps.grad is not None
    assert bool(heatmaps.grad.isfinite().all())


def test_parts_of_the_loss_have_their_weights_and_the_decoding_says_what_teaches_the_joints() -> None:
    settings = DetectorSettings(
        backbone="test_resnet", input_width=64, input_height=64, head="light", decoding="mode"
    )
    output = DetectorModel(settings)(torch.randn(2, 3, 64, 64))
    target, weight = torch.rand(2, 17, 3) - 0.5, torch.ones(2, 17, 3)
    training = DetectorTrainingSettings(bone_weight=5, spread_weight=7)
    parts = detection_losses(output, target, weight, settings, training)
    expected = soft_argmax(output.heatmaps).positions
    assert not torch.allclose(expected, output.joints)
    torch.testing.assert_close(parts["heatmap_loss"], heatmap_loss(output.heatmaps, target, weight))
    torch.testing.assert_close(parts["spread_loss"], 7 * spread_loss(output.marginals, target, weight))
    bones = bone_loss(expected, target[..., :2], H36M17, weight[..., :2]).mean()
    torch.testing.assert_close(parts["bone_loss"], 5 * bones)
    assert set(parts) == {"heatmap_loss", "bone_loss", "spread_loss"}
    of_expectation = settings.replaced(decoding="expectation")
    only = detection_losses(output, target, weight, of_expectation, DetectorTrainingSettings())
    assert set(only) == {"joint_loss"}
    torch.testing.assert_close(only["joint_loss"], joint_loss(expected, target, weight))
