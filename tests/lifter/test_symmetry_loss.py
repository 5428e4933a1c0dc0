from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from evolift.lifter.symmetry_loss import mirror_bones, symmetry_loss
from evolift.posedata.errors import InputError
from evolift.posedata.skeleton import COCO17, H36M16, H36M17, SKELETONS, Skeleton

EVERY = [H36M17, H36M16, COCO17]


def poses(skeleton: Skeleton, seed: int = 0, batch: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 300 * torch.randn(batch, len(skeleton), 3, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("skeleton", EVERY, ids=lambda s: s.name)
def test_symmetry_loss_is_its_sum_over_named_bones(skeleton) -> None:
    prediction = poses(skeleton)
    wanted = torch.zeros(3, dtype=torch.float64)
    for left, parent in zip(skeleton.joints, skeleton.parents, strict=True):
        if not left.startswith("left_") or parent is None:
            continue
        right, right_parent = left.replace("left_", "right_"), parent.replace("left_", "right_")
        lengths = [
            (prediction[:, skeleton.index(a)] - prediction[:, skeleton.index(b)]).norm(dim=-1)
            for a, b in ((left, parent), (right, right_parent))
        ]
        wanted += (lengths[0] - lengths[1]).abs()
    torch.testing.assert_close(symmetry_loss(prediction, skeleton), wanted)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.floats(-3000, 3000))
def test_moving_or_mirroring_a_pose_changes_nothing(seed: int, shift: float) -> None:
    prediction = poses(H36M17, seed)
    torch.testing.assert_close(symmetry_loss(prediction + shift, H36M17), symmetry_loss(prediction, H36M17))
    rotation = torch.linalg.qr(poses(H36M17, seed)[0, :3]).Q
    torch.testing.assert_close(
        symmetry_loss(prediction @ rotation, H36M17), symmetry_loss(prediction, H36M17)
    )
    mirrored = prediction[:, list(H36M17.mirror)]
    torch.testing.assert_close(symmetry_loss(mirrored, H36M17), symmetry_loss(prediction, H36M17))


def test_a_body_with_equal_sides_has_no_symmetry_loss(standing_pose) -> None:
    upright = torch.from_numpy(standing_pose)[None].double()
    assert float(symmetry_loss(upright, H36M17)) == pytest.approx(0, abs=1e-9)
    upright[0, H36M17.index("left_wrist"), 2] -= 30
    assert float(symmetry_loss(upright, H36M17)) == pytest.approx(30, abs=1)


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=lambda s: s.name)
def test_mirror_bones_are_bones_and_come_once(skeleton) -> None:
    pairs = mirror_bones(skeleton)
    bones = [bone for pair in pairs for bone in pair]
    assert set(bones) <= set(skeleton.bones)
    assert len(set(bones)) == len(bones) > 0
    assert {len({first, second}) for first, second in pairs} == {2}


def test_gradient_by_finite_differences() -> None:
    prediction = poses(H36M16, batch=2).requires_grad_()
    assert torch.autograd.gradcheck(lambda p: symmetry_loss(p, H36M16), (prediction,))


def test_bones_without_length_have_a_finite_gradient() -> None:
    prediction = torch.zeros(1, 17, 3, requires_grad=True)
    symmetry_loss(prediction, H36M17).sum().backward()
    assert bool(prediction.grad.isfinite().all())


def test_a_body_of_one_side_has_no_symmetry() -> None:
    snake = Skeleton("snake", ("a", "b", "c"), (None, "a", "b"))
    with pytest.raises(InputError, match="snake has no bones on both sides: train without a symmetry loss"):
        symmetry_loss(torch.zeros(1, 3, 3), snake)
