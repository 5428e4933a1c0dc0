from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from evolift.lifter.normalisation import box, normalise, screen
from evolift.posedata.errors import InputError


def people(seed: int = 0, axes: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 500 + 200 * torch.randn(6, 17, axes, generator=generator, dtype=torch.float64)


def test_screen_is_the_published_formula() -> None:
    joints, w, h = people(), 1000.0, 1002.0
    got = screen(joints, torch.tensor([[w, h]], dtype=torch.float64))
    torch.testing.assert_close(got[..., 0], joints[..., 0] / w * 2 - 1)
    torch.testing.assert_close(got[..., 1], joints[..., 1] / w * 2 - h / w)


@settings(max_examples=50, deadline=None)
@given(
    st.integers(0, 99),
    st.floats(0.01, 100),
    st.floats(-3000, 3000),
    st.floats(-3000, 3000),
    st.integers(0, 16),
)
def test_box_sees_neither_shift_nor_scale_nor_lost_joints_places(seed, scale, dx, dy, lost) -> None:
    joints = people(seed)
    seen = torch.full((6, 17), 2, dtype=torch.uint8)
    seen[:, lost] = 0
    moved = joints * scale + torch.tensor([dx, dy], dtype=torch.float64)
    moved[:, lost] = 12345.0
    torch.testing.assert_close(normalise(moved, seen, None, "box"), normalise(joints, seen, None, "box"))


def test_box_fills_the_unit_square_along_its_longer_side() -> None:
    joints = people() * torch.tensor([1.0, 0.3], dtype=torch.float64)
    boxed = normalise(joints, None, None, "box")
    torch.testing.assert_close(boxed[..., 0].amax(-1), torch.ones(6, dtype=torch.float64))
    torch.testing.assert_close(boxed[..., 0].amin(-1), -torch.ones(6, dtype=torch.float64))
    torch.testing.assert_close(boxed[..., 1].amax(-1), -boxed[..., 1].amin(-1))
    assert float(boxed[..., 1].abs().max()) < 1


def test_nobody_and_people_without_extent_become_zero() -> None:
    nobody = normalise(people(), torch.zeros(6, 17, dtype=torch.uint8), None, "box")
    point = normalise(torch.full((2, 17, 2), 7.0), None, None, "box")
    assert bool((nobody == 0).all())
    assert bool((point == 0).all())


@pytest.mark.parametrize("how", ["screen", "box"])
def test_unlabelled_joints_become_zero_and_get_no_gradient(how) -> None:
    joints = people(1, axes=3).requires_grad_()
    seen = torch.full((6, 17), 1, dtype=torch.uint8)
    seen[:, 4] = 0
    out = normalise(joints, seen, torch.tensor([[640.0, 480.0]], dtype=torch.float64), how)
    assert bool((out[:, 4] == 0).all())
    (gradient,) = torch.autograd.grad((out**2).sum(), joints)
    assert bool((gradient[:, 4] == 0).all())
    assert bool(gradient.isfinite().all())
    assert float(gradient.abs().sum()) > 0


def test_depth_becomes_metres() -> None:
    joints = people(2, axes=3)
    torch.testing.assert_close(normalise(joints, None, None, "box")[..., 2], joints[..., 2] / 1000)


def test_gradients() -> None:
    labelled = torch.ones(2, 5, dtype=torch.bool)
    labelled[0, 2] = False
    joints = torch.randn(2, 5, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: box(x, labelled), (joints,))


def test_bad_input_is_refused() -> None:
    with pytest.raises(InputError, match="needs the image size"):
        normalise(people(), None, None, "screen")
