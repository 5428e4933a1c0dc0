from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from evolift.posedata.camera import project
from evolift.prediction.cameras.absolute_position import absolute_position

K = torch.tensor([[1150.0, 2.0, 512.0], [0.0, 1140.0, 498.0], [0.0, 0.0, 1.0]], dtype=torch.float64)


def poses(count: int = 6, seed: int = 0) -> torch.Tensor:
    joints = 400 * torch.randn(
        count, 17, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    return joints - joints[:, :1]


def places(count: int = 6) -> torch.Tensor:
    spread = torch.randn(count, 3, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    return torch.tensor([0.0, 0.0, 5000.0], dtype=torch.float64) + 500 * spread


@pytest.mark.parametrize("coefficients", [None, [0.1, -0.05, 0.001, -0.002, 0.01]])
def test_exact_projections_give_the_exact_place(coefficients) -> None:
    distortion = None if coefficients is None else torch.tensor(coefficients, dtype=torch.float64)
    pixels = project(poses() + places()[:, None], K, distortion)
    got = absolute_position(poses(), pixels, K, distortion=distortion)
    torch.testing.assert_close(got, places(), atol=1e-2, rtol=0)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 50), st.integers(2, 16))
def test_closed_form_is_the_least_squares_solution(seed, joints) -> None:
    generator = torch.Generator().manual_seed(seed)
    pose = poses(1, seed)
    pixels = project(pose + places(1)[:, None], K) + 5 * torch.randn(1, 17, 2, generator=generator)
    seen = torch.zeros(1, 17, dtype=torch.uint8)
    seen[0, torch.randperm(17, generator=generator)[:joints]] = 2
    rows, right = [], []
    for joint in torch.nonzero(seen[0]).flatten().tolist():
        x, y, z = pose[0, joint].tolist()
        v = (float(pixels[0, joint, 1]) - 498) / 1140
        u = (float(pixels[0, joint, 0]) - 512 - 2 * v) / 1150
        rows += [[1, 0, -u], [0, 1, -v]]
        right += [u * z - x, v * z - y]
    matrix, vector = (torch.tensor(values, dtype=torch.float64) for values in (rows, right))
    wanted = torch.linalg.lstsq(matrix, vector[:, None]).solution[:, 0]
    got = absolute_position(pose, pixels, K, visibility=seen)[0]
    torch.testing.assert_close(got, wanted, rtol=1e-6, atol=1e-4)


def test_unlabelled_joints_have_no_say() -> None:
    pixels = project(poses() + places()[:, None], K)
    seen = torch.full((6, 17), 1, dtype=torch.uint8)
    seen[:, 3] = 0
    pixels[:, 3] = 0
    torch.testing.assert_close(
        absolute_position(poses(), pixels, K, visibility=seen), places(), atol=1e-4, rtol=0
    )


def test_gradients() -> None:
    pose = poses(2).requires_grad_()
    pixels = project(pose + places(2)[:, None], K).detach().requires_grad_()
    assert torch.autograd.gradcheck(lambda p, x: absolute_position(p, x, K) / 1000, (pose, pixels))


def test_an_undetermined_place_is_not_a_number() -> None:
    pixels = project(poses() + places()[:, None], K)
    seen = torch.zeros(6, 17, dtype=torch.uint8)
    seen[1:, 5] = 2
    seen[2:, 6] = 2
    got = absolute_position(poses(), pixels, K, visibility=seen)
    assert bool(got[:2].isnan().all())
    assert bool(got[2:].isfinite().all())
    same = absolute_position(poses(), torch.full_like(pixels, 7.0), K)
    assert bool(same.isnan().all())
