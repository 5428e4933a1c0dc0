from __future__ import annotations

import pytest
import torch
from torch import Tensor

from evolift.posedata.bone_loss import bone_loss
from evolift.posedata.skeleton import COCO17, H36M16, H36M17, Skeleton


def poses(skeleton: Skeleton, seed: int, axes: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 300 * torch.randn(3, len(skeleton), axes, generator=generator, dtype=torch.float64)


def weights(skeleton: Skeleton, axes: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return (torch.rand(3, len(skeleton), axes, generator=generator) < 0.6).double()


@pytest.mark.parametrize("skeleton", [H36M17, H36M16, COCO17], ids=lambda s: s.name)
@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_it_is_the_reports_double_sum(skeleton: Skeleton, axes: int, weighted: bool) -> None:
    prediction, target = poses(skeleton, 0, axes), poses(skeleton, 1, axes)
    weight = weights(skeleton, axes) if weighted else torch.ones_like(prediction)
    wanted = torch.zeros(3, dtype=torch.float64)
    for pose in range(3):
        for child, parent in enumerate(skeleton.parent_indices):
            for axis in range(axes):
                if parent >= 0 and weight[pose, parent, axis] and weight[pose, child, axis]:
                    found = prediction[pose, parent, axis] - prediction[pose, child, axis]
                    bone = target[pose, parent, axis] - target[pose, child, axis]
                    wanted[pose] += abs(found - bone)
    given = bone_loss(prediction, target, skeleton, weight if weighted else None)
    torch.testing.assert_close(given, wanted)


def test_a_shift_changes_no_bone() -> None:
    target = poses(H36M17, 0)
    torch.testing.assert_close(bone_loss(target + 0.3, target, H36M17), torch.zeros(3, dtype=torch.float64))


def test_gradient_by_finite_differences_and_none_where_nothing_is_known() -> None:
    prediction, target, weight = poses(H36M16, 0).requires_grad_(), poses(H36M16, 1), weights(H36M16)
    assert torch.autograd.gradcheck(lambda p: bone_loss(p, target, H36M16, weight), (prediction,))
    bone_loss(prediction, target, H36M16, weight).sum().backward()
    assert prediction.grad is not None
    assert (prediction.grad[weight == 0] == 0).all()


def test_bones_without_length_have_a_finite_gradient() -> None:
    prediction = torch.zeros(1, 17, 3, requires_grad=True)
    bone_loss(prediction, torch.zeros(1, 17, 3), H36M17).sum().backward()
    assert prediction.grad is not None
    assert bool(prediction.grad.isfinite().all())
