from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from torch import Tensor

from evolift.posedata.procrustes import optimal_rotation, procrustes_align, scale_align


def reference_alignment(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """One pose, by the singular value decomposition with the sign of Kabsch and Umeyama."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    x_centred, y_centred = x - x.mean(0), y - y.mean(0)
    U, S, Vt = np.linalg.svd(y_centred.T @ x_centred)
    D = np.diag([1, 1, np.sign(np.linalg.det(U @ Vt))])
    scale = np.trace(np.diag(S) @ D) / (x_centred**2).sum()
    return scale * x_centred @ (U @ D @ Vt).T + y.mean(0)


def poses(seed: int, rows: int, joints: int = 17, *, spread: float = 300.0) -> Tensor:
    return spread * torch.randn(
        rows, joints, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )


@pytest.mark.parametrize("noise", [0.0, 1e-6, 1.0, 50.0, 1000.0])
@pytest.mark.parametrize("joints", [3, 4, 17])
def test_agrees_with_the_svd_pose_by_pose(noise: float, joints: int) -> None:
    x, rotation = poses(1, 100, joints), Rotation.random(100, rng=np.random.default_rng(2)).as_matrix()
    y = 1.7 * x @ torch.from_numpy(rotation).transpose(-1, -2) + 400 + noise / 300 * poses(3, 100, joints)
    expected = np.stack([reference_alignment(a, b) for a, b in zip(x.numpy(), y.numpy(), strict=True)])
    np.testing.assert_allclose(procrustes_align(x, y).numpy(), expected, atol=1e-6, rtol=0)


def test_blocks_are_joined_in_order_and_batch_shape_is_kept() -> None:
    x, y = poses(1, 9000, 5), poses(2, 9000, 5)
    whole = procrustes_align(x.reshape(3, 3000, 5, 3), y.reshape(3, 3000, 5, 3)).reshape(9000, 5, 3)
    for row in (0, 8191, 8192, 8999):
        assert torch.allclose(whole[row], procrustes_align(x[row], y[row]), atol=1e-9)
    assert procrustes_align(x[:0], y[:0]).shape == (0, 5, 3)


@given(st.integers(0, 2**31), st.floats(0.01, 100), st.floats(-1e4, 1e4))
@settings(max_examples=40, deadline=None)
def test_a_similarity_of_the_prediction_does_not_matter(seed: int, scale: float, shift: float) -> None:
    x, y = poses(seed, 4), poses(seed + 1, 4)
    rotation = torch.from_numpy(Rotation.random(rng=np.random.default_rng(seed)).as_matrix())
    moved = scale * x @ rotation.T + shift
    assert torch.allclose(procrustes_align(moved, y), procrustes_align(x, y), atol=1e-5)


@given(st.integers(0, 2**31))
@settings(max_examples=40, deadline=None)
def test_a_similarity_of_the_truth_is_found_exactly(seed: int) -> None:
    x = poses(seed, 4)
    rotation = torch.from_numpy(Rotation.random(rng=np.random.default_rng(seed)).as_matrix())
    y = 0.3 * x @ rotation.T - 1000
    assert torch.allclose(procrustes_align(x, y), y, atol=1e-7)


@given(st.integers(0, 2**31))
@settings(max_examples=40, deadline=None)
def test_no_small_turn_or_scaling_of_the_result_is_better(seed: int) -> None:
    x, y = poses(seed, 8), poses(seed + 1, 8)
    aligned = procrustes_align(x, y)
    centred, target = aligned - aligned.mean(-2, keepdim=True), y - y.mean(-2, keepdim=True)
    best = ((centred - target) ** 2).sum()
    nudge = torch.from_numpy(Rotation.from_rotvec(0.01 * np.eye(3)[seed % 3]).as_matrix())
    for moved in (centred @ nudge.T, centred @ nudge, 1.01 * centred, 0.99 * centred):
        assert ((moved - target) ** 2).sum() >= best


def test_a_mirror_image_is_not_aligned_away() -> None:
    x = poses(5, 50)
    mirrored = x * torch.tensor([-1.0, 1, 1])
    rotation = optimal_rotation(mirrored.transpose(-1, -2) @ x)
    assert torch.allclose(torch.linalg.det(rotation), torch.ones(50, dtype=torch.float64))
    error = (procrustes_align(x, mirrored) - mirrored).norm(dim=-1).mean(-1)
    assert (error > 30).all()


@given(st.integers(0, 2**31), st.floats(-12, 0))
@settings(max_examples=100, deadline=None)
def test_rotations_stay_proper_and_best_for_nearly_degenerate_matrices(seed: int, exponent: float) -> None:
    rng = np.random.default_rng(seed)
    U, V = Rotation.random(2, rng=rng).as_matrix()
    signs = np.array([1.0, 1.0, rng.choice([-1.0, 1.0])])
    S = np.array([1.0, *(10.0**exponent * rng.random(2))]) * signs
    S = np.diag(S)
    H = torch.from_numpy(U @ S @ V.T)
    R = optimal_rotation(H)
    assert torch.allclose(R @ R.T, torch.eye(3, dtype=torch.float64), atol=1e-6)
    values = np.sort(np.linalg.svd(H.numpy())[1])[::-1]
    best = values[0] + values[1] + np.sign(np.linalg.det(H.numpy())) * values[2]
    assert float((R * H).sum()) == pytest.approx(best, abs=1e-9)


LINE = torch.linspace(0, 1600, 17, dtype=torch.float64)[:, None] * torch.tensor([0.1, 0.2, 0.97])
POINT = torch.full((17, 3), 250.0, dtype=torch.float64)
PLANE = poses(9, 1)[0] * torch.tensor([1.0, 1, 0])
WHOLE = poses(10, 1)[0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("x", "y", "error"),
    [
        (POINT, WHOLE, None), (WHOLE, POINT, 0.0), (POINT, POINT, 0.0), (LINE, LINE, 0.0), (-LINE, LINE, 0.0),
        (LINE, WHOLE, None), (WHOLE, LINE, None), (PLANE, PLANE, 0.0), (0 * POINT, WHOLE, None),
    ],
)  # fmt: skip
def test_degenerate_poses_have_a_value_and_a_finite_gradient(
    x: Tensor, y: Tensor, error: float | None, dtype: torch.dtype
) -> None:
    x = x.to(dtype, copy=True).requires_grad_()
    y = y.to(dtype, copy=True).requires_grad_()
    aligned = procrustes_align(x, y)
    distance = (aligned - y).norm(dim=-1).mean()
    distance.backward()
    assert aligned.isfinite().all()
    assert aligned.dtype == dtype
    if error is not None:
        assert float(distance.detach()) == pytest.approx(error, abs=1e-3)
    assert x.grad is not None
    assert x.grad.isfinite().all()
    assert y.grad is not None
    assert y.grad.isfinite().all()


def test_joints_in_one_place_go_to_the_centre_of_the_truth() -> None:
    assert torch.allclose(procrustes_align(POINT, WHOLE), WHOLE.mean(0).expand(17, 3))


def test_a_pose_that_is_not_finite_changes_only_itself() -> None:
    x, y = poses(1, 3), poses(2, 3)
    broken = x.clone()
    broken[1, 4, 0] = torch.nan
    broken.requires_grad_()
    aligned = procrustes_align(broken, y)
    assert aligned[1].isnan().all()
    assert torch.allclose(aligned[[0, 2]], procrustes_align(x, y)[[0, 2]])
    aligned[[0, 2]].sum().backward()
    assert broken.grad is not None
    assert broken.grad[[0, 2]].isfinite().all()


def test_gradients_are_those_of_finite_differences() -> None:
    x, y = (poses(seed, 3, 6, spread=1.0).requires_grad_() for seed in (1, 2))
    assert torch.autograd.gradcheck(procrustes_align, (x, y))
    mirrored = (x.detach() * torch.tensor([-1.0, 1, 1])).requires_grad_()
    assert torch.autograd.gradcheck(procrustes_align, (x, mirrored))
    assert torch.autograd.gradcheck(scale_align, (x, y))


def test_scale_alignment_is_the_best_scale() -> None:
    x, y = poses(1, 10), poses(2, 10) + poses(1, 10)
    scaled = scale_align(x, y)
    best = ((scaled - y) ** 2).sum((-1, -2))
    for factor in (0.99, 1.01):
        assert (((factor * scaled - y) ** 2).sum((-1, -2)) > best).all()
    assert torch.allclose(scale_align(x, 2.5 * x), 2.5 * x)
    assert scale_align(torch.zeros(2, 17, 3), torch.ones(2, 17, 3)).eq(0).all()
