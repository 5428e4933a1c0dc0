"""Sigma of lifters: the density against torch's distributions, and that it follows the noise."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from evolift.lifter.joint_uncertainty import LOG_SCALES, expected_error, laplace_loss, sigma_of_output
from evolift.lifter.model import LifterModel
from evolift.lifter.refiner import Refined, RefinerModel, RefinerSettings
from evolift.lifter.settings import LifterSettings
from evolift.lifter.straight_view import Lens
from evolift.posedata.skeleton import H36M17
from tests.lifter.networks.test_joint_order import randomised
from tests.same_answers import assert_same_answers
from tests.settled_networks import settled_lifter

ROOT, KNEE, WRIST = H36M17.root, H36M17.index("left_knee"), H36M17.index("right_wrist")
OTHERS = [joint for joint in range(17) if joint != ROOT]
SIZE = torch.tensor([[1000.0, 1000.0]])


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("axes", [1, 3])
def test_the_loss_is_that_of_torchs_distributions(axes: int) -> None:
    joints, target = 200 * drawn(4, 17, axes), 200 * drawn(4, 17, axes, seed=1)
    sigma = 100 * drawn(4, 17, seed=2).exp()
    away = (joints - target).norm(dim=-1)[:, OTHERS] / 1000
    scale = sigma[:, OTHERS] / 1000 / math.sqrt(axes + 1)
    if axes == 1:
        expected = -torch.distributions.Laplace(0.0, scale).log_prob(away) - math.log(2)
    else:  # the distance is of a Gamma distribution, and all directions are alike
        radial = torch.distributions.Gamma(3.0, 1 / scale).log_prob(away)
        expected = -(radial - (4 * math.pi * away**2).log()) - math.log(8 * math.pi)
    torch.testing.assert_close(laplace_loss(joints, sigma, target, ROOT), expected.mean())


def test_sigma_is_the_standard_deviation_along_each_axis_and_tells_the_mean_error() -> None:
    for axes in (1, 3):
        generator = torch.Generator().manual_seed(axes)
        direction = torch.nn.functional.normalize(
            torch.randn(50_000, axes, generator=generator, dtype=torch.float64), dim=-1
        )
        # The sum of k exponential numbers is of the Gamma distribution of shape k.
        away = -torch.rand(50_000, axes, generator=generator, dtype=torch.float64).log().sum(-1)
        sigma = torch.full((1,), math.sqrt(axes + 1))
        torch.testing.assert_close(
            (direction * away[:, None]).std(0), sigma.double().expand(axes), rtol=0.02, atol=0
        )
        assert expected_error(sigma, axes).item() == pytest.approx(away.mean().item(), rel=0.02)


def test_gradients_of_the_loss_are_right_with_unlabelled_joints_and_a_root_that_has_no_sigma() -> None:
    joints, output, target = drawn(2, 17, 3), drawn(2, 17, seed=1), drawn(2, 17, 3, seed=2)
    target[0, 3] = torch.nan
    target[1, 5, 0] = torch.nan
    factor = torch.ones(17, dtype=torch.float64)
    factor[ROOT] = 0

    def loss(joints: Tensor, output: Tensor) -> Tensor:
        return laplace_loss(1000 * joints, sigma_of_output(output, 3) * factor, 1000 * target, ROOT)

    inputs = (joints.requires_grad_(), output.requires_grad_())
    assert torch.autograd.gradcheck(loss, inputs)
    for gradient in torch.autograd.grad(loss(*inputs), inputs):
        assert gradient.isfinite().all()
        assert (gradient[:, ROOT] == 0).all()
        assert (gradient[0, 3] == 0).all()
        assert (gradient[1, 5] == 0).all()
        assert (gradient[1, 3] != 0).all()


def test_a_batch_without_labels_has_no_loss() -> None:
    joints = torch.zeros(2, 17, 3, requires_grad=True)
    loss = laplace_loss(joints, torch.ones(2, 17), torch.full((2, 17, 3), torch.nan), ROOT)
    loss.backward()
    assert loss.item() == 0
    assert joints.grad is not None
    assert (joints.grad == 0).all()


def test_whatever_a_network_says_sigma_stays_within_bounds_and_teachable() -> None:
    output = torch.tensor([-1e4, -8.0, 0.0, 8.0, 1e4], requires_grad=True)
    sigma = sigma_of_output(output, 3)
    low, high = (2000 * math.exp(limit) for limit in LOG_SCALES)
    torch.testing.assert_close(sigma[[0, 4]], torch.tensor([low, high]))
    assert (sigma.diff() > 0).all()
    sigma.log().sum().backward()
    assert output.grad is not None
    assert (output.grad[1:4] > 0).all()


def test_sigma_follows_the_noise() -> None:
    """Of one pose with noise of the density, five times as much on one joint, and twice as much where the first input is positive."""
    torch.manual_seed(0)
    settings = LifterSettings(architecture="martinez", hidden=32, blocks=0, dropout=0.0, uncertainty=True)
    model, steps = LifterModel(settings), 500
    generator = torch.Generator().manual_seed(1)
    pose = 300 * torch.randn(17, 3, generator=generator)
    pose = pose - pose[ROOT]
    scale = torch.full((17, 1), 20.0)
    scale[WRIST], scale[ROOT] = 100.0, 0.0
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 1e-2 * (1 - step / steps)
        inputs = torch.randn(128, 17, 2, generator=generator)
        direction = torch.nn.functional.normalize(torch.randn(128, 17, 3, generator=generator), dim=-1)
        away = -torch.rand(128, 17, 3, generator=generator).log().sum(-1, keepdim=True)
        more = torch.where(inputs[:, :1, :1] > 0, 2.0, 1.0)
        lifted = model.with_sigma(inputs)
        assert lifted.sigma is not None
        loss = laplace_loss(lifted.joints, lifted.sigma, pose + more * scale * away * direction, ROOT)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    inputs = torch.randn(1000, 17, 2, generator=generator)
    sigma = model.eval().with_sigma(inputs).sigma
    assert sigma is not None
    assert (sigma[:, ROOT] == 0).all()
    is_noisy = inputs[:, 0, 0] > 0.5
    is_calm = inputs[:, 0, 0] < -0.5
    mean = sigma[is_calm].mean(0)
    assert (mean[WRIST] / mean[KNEE]).item() == pytest.approx(5, rel=0.2)
    assert 1.2 < (sigma[is_noisy].mean(0) / mean)[KNEE].item() < 2.3
    # b is 100 mm for one half of the people and 200 mm for the other.
    assert expected_error(sigma, 3)[:, WRIST].mean().item() == pytest.approx(3 * 150, rel=0.15)


KINDS = {
    "semgcn": {},
    "ordered": {"joint_order": tuple(reversed(H36M17.joints))},
    "modulated-gcn": {"architecture": "modulated-gcn"},
    "graformer": {"architecture": "graformer"},
    "martinez": {"architecture": "martinez"},
    "cascade": {"architecture": "cascade", "stages": 3},
    "depth": {"target": "z", "input_axes": 3},
    "19 joints": {"skeleton": "COCO18_PELVIS"},
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_lifters_of_every_kind_tell_it_and_their_joints_come_from_the_same_network(kind, tmp_path) -> None:
    model = (
        randomised(LifterModel(LifterSettings(hidden=8, blocks=1, uncertainty=True, **kind))).float().eval()
    )
    root = model.skeleton.root
    model.sigma_factor *= torch.linspace(0.5, 2, len(model.skeleton))
    inputs = drawn(5, len(model.skeleton), model.settings.input_axes).float()
    joints, sigma, _ = model.with_sigma(inputs)
    assert torch.equal(joints, model(inputs))
    assert joints.shape == (5, len(model.skeleton), model.settings.target_axes)
    assert sigma is not None
    assert sigma.shape == joints.shape[:2]
    assert (sigma[:, root] == 0).all()
    others = [joint for joint in range(len(model.skeleton)) if joint != root]
    assert (sigma[:, others] > 0).all()
    assert sigma[:, others].std() > 1e-3
    stages = model.stages_with_sigma(inputs)
    assert stages.sigma is not None
    assert stages.sigma.shape == (model.settings.stage_count, *sigma.shape)
    assert_same_answers(stages.sigma[-1], sigma)
    folded = model.folded().with_sigma(inputs)
    assert folded.sigma is not None
    assert_same_answers(folded.sigma, sigma, extent=1000.0)
    model.save(tmp_path / "a.safetensors")
    again = LifterModel.load(tmp_path / "a.safetensors").with_sigma(inputs).sigma
    assert again is not None
    assert torch.equal(again, sigma)


def test_a_lifter_that_does_not_tell_says_so_and_is_what_it_was() -> None:
    model = settled_lifter()
    assert model.lift_with_sigma(500 + 100 * drawn(2, 17, 2).float(), None, SIZE).sigma is None
    assert "sigma_factor" not in model.state_dict()
    values = LifterSettings().to_dict()
    del values["uncertainty"]  # of a checkpoint from before
    assert LifterSettings.from_dict(values) == LifterSettings()


@pytest.mark.parametrize("normalisation", ["screen", "box", "camera"])
def test_a_flip_test_averages_sigma_of_the_joint_and_of_its_mirrored_one(normalisation: str) -> None:
    model = settled_lifter(normalisation=normalisation, uncertainty=True)
    joints, mirror = 500 + 100 * drawn(3, 17, 2).float(), list(H36M17.mirror)
    K = torch.tensor([[900.0, 0, 499.5], [0, 900.0, 499.5], [0, 0, 1]]).expand(3, -1, -1)
    given = (None, SIZE, Lens(K))
    flipped = torch.stack([999 - joints[..., 0], joints[..., 1]], -1)[:, mirror]
    plain, other = model.lift_with_sigma(joints, *given), model.lift_with_sigma(flipped, *given)
    both = model.lift_with_sigma(joints, *given, flip_test=True)
    assert plain.sigma is not None
    assert other.sigma is not None
    assert both.sigma is not None
    expected = (plain.sigma + other.sigma[:, mirror]) / 2
    torch.testing.assert_close(both.sigma, expected, rtol=1e-3, atol=1e-2)
    assert not torch.allclose(both.sigma, plain.sigma, rtol=1e-2)


def test_a_refiner_moves_joints_and_leaves_sigma() -> None:
    lifter = settled_lifter(normalisation="box", uncertainty=True)
    refined = Refined(lifter, randomised(RefinerModel(RefinerSettings(hidden=8, code=4))).float().eval())
    inputs = drawn(4, 17, 2).float()
    one, other = lifter.with_sigma(inputs), refined.folded().with_sigma(inputs)
    assert one.sigma is not None
    assert other.sigma is not None
    assert_same_answers(other.sigma, one.sigma, extent=1000.0)
    assert_same_answers(other.joints, refined(inputs), extent=1000.0)
    assert not torch.allclose(one.joints, other.joints, atol=1.0)
