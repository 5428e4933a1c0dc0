from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from evolift.detector2d.soft_argmax import (
    CLOSE,
    Joints,
    axis_marginals,
    cell_centres,
    hard_argmax,
    mode,
    soft_argmax,
)

Find = Callable[..., Joints]


def expected_position(heatmap: np.ndarray) -> np.ndarray:
    """The defining sum over all cells in float64, axes in the order u, v[, z]."""
    heatmap = heatmap.astype(np.float64)
    probability = np.exp(heatmap - heatmap.max())
    probability /= probability.sum()
    position = np.zeros(heatmap.ndim)
    for cell in np.ndindex(*heatmap.shape):
        for axis, (index, count) in enumerate(zip(cell[::-1], heatmap.shape[::-1], strict=True)):
            position[axis] += probability[cell] * ((index + 0.5) / count - 0.5)
    return position


@pytest.mark.parametrize("shape", [(5, 7), (1, 9), (3, 4, 6)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])
def test_is_the_defining_sum(shape: tuple[int, ...], dtype: torch.dtype, tolerance: float) -> None:
    heatmaps = torch.randn(2, 3, *shape, dtype=dtype, generator=torch.Generator().manual_seed(1)) * 4
    found = soft_argmax(heatmaps, len(shape)).positions
    for batch in range(2):
        for joint in range(3):
            reference = expected_position(heatmaps[batch, joint].numpy())
            np.testing.assert_allclose(found[batch, joint].numpy(), reference, atol=tolerance)
    assert found.dtype == dtype


def test_error_of_full_size_in_float32() -> None:
    heatmaps = (
        torch.randn(1, 1, 64, 64, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(2)) * 5
    )
    exact = soft_argmax(heatmaps, 3).positions
    assert (soft_argmax(heatmaps.float(), 3).positions - exact).abs().max() < 1e-6


@pytest.mark.parametrize("shape", [(3, 5), (3, 4, 5)])
def test_gradient(shape: tuple[int, ...]) -> None:
    heatmaps = torch.randn(2, 2, *shape, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda h: axis_marginals(h, len(shape)), (heatmaps,))
    assert torch.autograd.gradcheck(lambda h: soft_argmax(h, len(shape))[:2], (heatmaps,))


def test_gradient_of_many_blocks() -> None:
    # 3 maps of 2^18 / 2 cells: two fit into a block, so that blocks of unequal size are met.
    heatmaps = torch.randn(3, 1, 32, 64, 64, generator=torch.Generator().manual_seed(3)).requires_grad_()
    weights = torch.randn(3, 1, 3, generator=torch.Generator().manual_seed(4))
    (soft_argmax(heatmaps, 3).positions * weights).sum().backward()
    again = heatmaps.detach().requires_grad_()
    probability = again.flatten(2).softmax(-1).reshape(again.shape)
    z, v, u = (cell_centres(n, again) for n in (32, 64, 64))
    plain = torch.stack(
        [
            (probability * u).sum((2, 3, 4)),
            (probability * v[:, None]).sum((2, 3, 4)),
            (probability * z[:, None, None]).sum((2, 3, 4)),
        ],
        -1,
    )
    (plain * weights).sum().backward()
    assert heatmaps.grad is not None
    torch.testing.assert_close(heatmaps.grad, again.grad, atol=1e-9, rtol=1e-4)


def test_input_is_not_changed() -> None:
    heatmaps = torch.randn(1, 2, 4, 5)
    before = heatmaps.clone()
    soft_argmax(heatmaps)
    assert torch.equal(heatmaps, before)


@given(st.integers(0, 5), st.integers(0, 3), st.floats(-50, 50))
@settings(max_examples=20, deadline=None)
def test_shift_of_the_map_shifts_the_answer_and_a_constant_does_not(
    right: int, down: int, level: float
) -> None:
    small = torch.randn(1, 1, 4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    base = torch.full((1, 1, 8, 12), -200.0, dtype=torch.float64)
    base[..., :4, :6] = small
    moved = torch.roll(base, (down, right), (2, 3)) + level
    difference = soft_argmax(moved).positions - soft_argmax(base).positions
    torch.testing.assert_close(difference[0, 0], torch.tensor([right / 12, down / 8], dtype=torch.float64))


@pytest.mark.parametrize("find", [soft_argmax, hard_argmax, mode])
def test_single_cell(find: Find) -> None:
    heatmaps = torch.zeros(1, 1, 3, 4, 5)
    heatmaps[0, 0, 2, 1, 3] = 90
    found = find(heatmaps, 3)
    expected = torch.tensor([3.5 / 5 - 0.5, 1.5 / 4 - 0.5, 2.5 / 3 - 0.5])
    torch.testing.assert_close(found.positions[0, 0], expected)
    torch.testing.assert_close(found.confidence[0, 0], torch.tensor(1.0))


def test_hard_argmax_takes_the_larger_of_two_peaks() -> None:
    heatmaps = torch.full((1, 1, 4, 8), -20.0)
    heatmaps[0, 0, 1, 1], heatmaps[0, 0, 2, 6] = 5.0, 4.0
    torch.testing.assert_close(
        hard_argmax(heatmaps).positions[0, 0], torch.tensor([1.5 / 8 - 0.5, 1.5 / 4 - 0.5])
    )


def mode_of(heatmap: np.ndarray) -> tuple[np.ndarray, float]:
    """The defining sums over all pairs of cells in float64: position (u, v[, z]) and the mass close to it."""
    probability = np.exp(heatmap.astype(np.float64) - heatmap.max())
    probability /= probability.sum()
    cells = np.indices(heatmap.shape)[::-1].reshape(heatmap.ndim, -1).T
    places = (cells + 0.5) / np.array(heatmap.shape[::-1]) - 0.5
    mass = probability.ravel()

    def closeness(place: np.ndarray) -> np.ndarray:
        return np.exp(-((places[:, :2] - place[:2]) ** 2).sum(-1) / (2 * CLOSE**2))

    start = max(places, key=lambda place: closeness(place) @ mass)
    weights = closeness(start) * mass
    position = weights @ places / weights.sum()
    return position, float(closeness(position) @ mass)


@pytest.mark.parametrize("shape", [(16, 24), (3, 12, 10)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_mode_is_the_defining_sum(shape: tuple[int, ...], dtype: torch.dtype, tolerance: float) -> None:
    heatmaps = torch.randn(2, 3, *shape, dtype=dtype, generator=torch.Generator().manual_seed(5)) * 4
    before = heatmaps.clone()
    found = mode(heatmaps, len(shape))
    for batch in range(2):
        for joint in range(3):
            position, near = mode_of(heatmaps[batch, joint].numpy())
            np.testing.assert_allclose(found.positions[batch, joint].numpy(), position, atol=tolerance)
            assert found.confidence[batch, joint].item() == pytest.approx(near, abs=tolerance)
    assert found.positions.dtype == dtype
    assert torch.equal(heatmaps, before)


@pytest.mark.parametrize("shape", [(5, 6), (3, 4, 5)])
def test_gradient_of_the_mode(shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(7)
    heatmaps = torch.randn(2, 2, *shape, dtype=torch.float64, generator=generator, requires_grad=True)
    assert torch.autograd.gradcheck(lambda h: mode(h, len(shape))[:2], (heatmaps,))


def test_a_joint_in_two_places_is_put_into_one() -> None:
    heatmaps = torch.full((1, 1, 32, 32), -20.0)
    heatmaps[0, 0, 8, 8], heatmaps[0, 0, 24, 24] = 5.0, 4.5
    here = torch.tensor([8.5 / 32 - 0.5] * 2)
    torch.testing.assert_close(mode(heatmaps).positions[0, 0], here)
    assert (soft_argmax(heatmaps).positions[0, 0] - here).norm() > 0.25
    torch.testing.assert_close(mode(heatmaps).confidence[0, 0], torch.tensor(0.5).sigmoid())


def test_mode_of_many_small_peaks_is_where_most_are() -> None:
    heatmaps = torch.full((1, 1, 32, 32), -20.0)
    heatmaps[0, 0, 4, 28] = 5.0
    heatmaps[0, 0, 20:22, 10:12] = 4.5
    assert hard_argmax(heatmaps).positions[0, 0, 0] > 0.3
    torch.testing.assert_close(
        mode(heatmaps).positions[0, 0], torch.tensor([11 / 32 - 0.5, 21 / 32 - 0.5]), atol=2e-3, rtol=0
    )


def test_confidence_is_the_expected_closeness() -> None:
    heatmaps = torch.randn(1, 1, 6, 6, dtype=torch.float64) * 3
    found = soft_argmax(heatmaps)
    columns, rows = found.marginals
    centres = cell_centres(6, heatmaps)
    u, v = found.positions[0, 0]
    kernel = [torch.exp(-((centres - at) ** 2) / (2 * CLOSE**2)) for at in (u, v)]
    expected = (columns[0, 0] @ kernel[0]) * (rows[0, 0] @ kernel[1])
    torch.testing.assert_close(found.confidence[0, 0], expected)
    flat = soft_argmax(torch.zeros(1, 1, 64, 64)).confidence
    assert flat.item() < 0.05


@pytest.mark.parametrize("low", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("find", [soft_argmax, mode])
def test_low_precision_is_computed_in_float32(find: Find, low: torch.dtype) -> None:
    heatmaps = (torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(6)) * 30 + 200).to(low)
    heatmaps.requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        found = find(heatmaps)
    assert found.positions.dtype == torch.float32
    torch.testing.assert_close(found.positions, find(heatmaps.detach().float()).positions)
    found.positions.sum().backward()
    assert heatmaps.grad is not None
    assert heatmaps.grad.dtype == low
    assert bool(heatmaps.grad.isfinite().all())


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match=r"dimensions must be 2 or 3 .got 4."):
        soft_argmax(torch.zeros(1, 1, 2, 2), 4)
    with pytest.raises(ValueError, match=r"need a joint axis and 3 more .got 3 axes."):
        soft_argmax(torch.zeros(1, 2, 2), 3)
