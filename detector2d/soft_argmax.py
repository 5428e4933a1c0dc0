r"""From heatmaps to joints: the expected position under a softmax, computed from its axis marginals; or its mode.

Conventions: a heatmap has its axes in the order (depth, height, width); joints are (u, v[, z]). Positions are
fractions of the crop's extent, cell i of n lying at (i + 1/2) / n - 1/2: the answer does not depend on the
resolution, -1/2 and 1/2 are the outer edges of the crop, and 0 is its middle.

Reference: Sun et al. 2018, "Integral Human Pose Regression", equations 3 to 6. The softmax is never kept: the
forward pass leaves only its marginals, the backward pass makes it again, one heatmap at a time in the cache.
Everything is computed in float32 at least, whatever autocast says.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

BLOCK_ELEMENTS = 2**18
"""Heatmap cells that are worked on together: 1 MB in float32, so that they stay in a core's cache."""
CLOSE = 0.05
"""Standard deviation, in fractions of the crop, of the kernel by which confidence counts mass as close."""


class Joints(NamedTuple):
    """What `soft_argmax`, `mode` and `hard_argmax` find.

    Args:
        positions: (u, v) or (u, v, z) in fractions of the crop.
        confidence: expected closeness of the heatmap's mass to the position, in (0, 1]; see `soft_argmax`.
        marginals: probability per column, per row and (3D) per depth bin.
    """

    positions: Float[Tensor, "*batch joints axes"]
    confidence: Float[Tensor, "*batch joints"]
    marginals: tuple[Tensor, ...]


def soft_argmax(heatmaps: Float[Tensor, "*maps"], dimensions: int = 2) -> Joints:
    r"""Expected position of each heatmap's softmax.

    .. math:: \hat p_a = \sum_i c_i\, m_a(i), \qquad m_a(i) = \sum_{p: p_a = i} e^{h(p)} / \sum_q e^{h(q)}

    with :math:`c_i = (i + 1/2)/n_a - 1/2`. Confidence is the expectation, under the same distribution, of a
    Gaussian of standard deviation `CLOSE` around the position: 1 for a single cell, near 0 for a flat map.

    Args:
        heatmaps: logits, (*batch, joints, height, width) or (*batch, joints, depth, height, width).
        dimensions: 2 or 3, the number of trailing spatial axes.

    Raises:
        ValueError: `dimensions` is not 2 or 3, or there are too few axes.
    """
    marginals = axis_marginals(heatmaps, dimensions)
    positions = expectation(marginals)
    return Joints(positions, _confidence(marginals, positions), marginals)


def expectation(marginals: tuple[Tensor, ...]) -> Float[Tensor, "*batch joints axes"]:
    """Expected positions, fractions of the crop, by the probability per column, per row and (3D) per depth bin."""
    return torch.stack([(m * cell_centres(m.shape[-1], m)).sum(-1) for m in marginals], -1)


def mode(heatmaps: Float[Tensor, "*maps"], dimensions: int = 2) -> Joints:
    r"""Where most of each heatmap's softmax is close by.

    .. math:: c = \arg\max_i \sum_j m(j)\, K(p_j - p_i), \qquad
        \hat p = \frac{\sum_j p_j\, m(j)\, K(p_j - c)}{\sum_j m(j)\, K(p_j - c)}

    over the cells of rows and columns, with a Gaussian :math:`K` of standard deviation `CLOSE`: the largest cell of the smoothed
    distribution, and from there one step of mean shift (Comaniciu and Meer 2002). The expectation of a joint that is here or
    there, as those of people seen from behind are, lies between the two; this one is here or there. Depth is expected
    under the same weights. The gradient is that of the step. Confidence is the mass that is close to the position, as counted by
    :math:`K`.

    Args, Raises: as `soft_argmax`.
    """
    with torch.autocast(heatmaps.device.type, enabled=False):
        return _mode(heatmaps.to(_working_dtype(heatmaps)), dimensions)


def _mode(heatmaps: Tensor, dimensions: int) -> Joints:
    marginals = axis_marginals(heatmaps, dimensions)
    probability = heatmaps.flatten(-dimensions).softmax(-1).reshape(heatmaps.shape)
    plane = probability if dimensions == 2 else probability.sum(-3)
    height, width = plane.shape[-2:]
    down, right = cell_centres(height, plane), cell_centres(width, plane)
    smooth = _kernel(down[:, None] - down) @ plane.detach() @ _kernel(right[:, None] - right)
    cell = smooth.flatten(-2).argmax(-1)
    rows = _kernel(down - down[cell // width][..., None])
    columns = _kernel(right - right[cell % width][..., None])
    in_columns = (rows[..., None, :] @ plane).squeeze(-2) * columns
    in_rows = (plane @ columns[..., None]).squeeze(-1) * rows
    near = in_rows.sum(-1, keepdim=True).clamp_min(torch.finfo(plane.dtype).tiny)
    found = [(in_columns * right).sum(-1, keepdim=True) / near, (in_rows * down).sum(-1, keepdim=True) / near]
    if dimensions == 3:
        weighted = (probability * (rows[..., None] * columns[..., None, :]).unsqueeze(-3)).sum((-2, -1))
        deep = cell_centres(weighted.shape[-1], weighted)
        found.append((weighted * deep).sum(-1, keepdim=True) / near)
    positions = torch.cat(found, -1)
    close_rows, close_columns = (
        _kernel(centres - positions[..., axis, None]) for axis, centres in ((1, down), (0, right))
    )
    confidence = ((close_rows[..., None, :] @ plane).squeeze(-2) * close_columns).sum(-1)
    return Joints(positions, confidence, marginals)


def _kernel(away: Tensor) -> Tensor:
    return torch.exp(-0.5 * (away / CLOSE) ** 2)


def hard_argmax(heatmaps: Float[Tensor, "*maps"], dimensions: int = 2) -> Joints:
    """Centre of each heatmap's largest cell; for evaluation, it has no gradient."""
    marginals = axis_marginals(heatmaps.detach(), dimensions)
    sizes = heatmaps.shape[-dimensions:]
    flat = heatmaps.detach().flatten(-dimensions).argmax(-1)
    cells = torch.unravel_index(flat, tuple(sizes))[::-1]
    positions = torch.stack([(c + 0.5) / n - 0.5 for c, n in zip(cells, sizes[::-1], strict=True)], -1)
    positions = positions.to(marginals[0].dtype)
    return Joints(positions, _confidence(marginals, positions), marginals)


def cell_centres(cells: int, like: Tensor) -> Float[Tensor, "cells"]:
    """Positions of the cells of one axis in fractions of the crop, in the dtype and on the device of `like`."""
    return (torch.arange(cells, dtype=like.dtype, device=like.device) + 0.5) / cells - 0.5


def axis_marginals(heatmaps: Float[Tensor, "*maps"], dimensions: int = 2) -> tuple[Tensor, ...]:
    """Marginals of the softmax of each heatmap along width, height and (3D) depth, in this order.

    Args:
        heatmaps: as `soft_argmax`.
        dimensions: 2 or 3.

    Returns:
        One tensor (*batch, joints, cells) per axis, float32 (float64 if the heatmaps are).
    """
    if dimensions not in (2, 3):
        raise ValueError(f"dimensions must be 2 or 3 (got {dimensions})")
    if heatmaps.ndim < dimensions + 1:
        raise ValueError(f"heatmaps need a joint axis and {dimensions} more (got {heatmaps.ndim} axes)")
    leading = heatmaps.shape[:-dimensions]
    depth = heatmaps.shape[-3] if dimensions == 3 else 1
    volumes = heatmaps.reshape(-1, depth, *heatmaps.shape[-2:])
    if torch.compiler.is_compiling() or torch._C._is_tracing():
        marginals = _plain_marginals(volumes)  # a graph to be exported holds no Python loop
    else:
        marginals = _AxisMarginals.apply(volumes)
    return tuple(m.reshape(*leading, m.shape[-1]) for m in marginals[:dimensions])


def _plain_marginals(volumes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    volumes = volumes if volumes.dtype == torch.float64 else volumes.float()
    probability = volumes.flatten(1).softmax(-1).reshape(volumes.shape)
    rows = probability.sum(-1)
    return probability.sum((1, 2)), rows.sum(1), rows.sum(2)


class _AxisMarginals(torch.autograd.Function):
    """Marginals of softmax(h) over (depth, height, width).

    With s = softmax(h), gradients g_a of the marginals m_a, and c = sum_a <g_a, m_a>, the backward pass is
    dL/dh(p) = s(p) (g_x(p_x) + g_y(p_y) + g_z(p_z) - c).
    """

    @staticmethod
    def forward(ctx: Any, volumes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        maps, depth, height, width = volumes.shape
        dtype = _working_dtype(volumes)
        x, y, z = (volumes.new_empty((maps, n), dtype=dtype) for n in (width, height, depth))
        log_total = volumes.new_empty((maps, 1, 1, 1), dtype=dtype)
        parts, scratch = _blocks(volumes), _scratch(volumes)
        with torch.autocast(volumes.device.type, enabled=False):
            for part in parts:
                block = volumes[part].to(dtype)
                largest = block.amax((1, 2, 3), keepdim=True)
                e = torch.sub(block, largest, out=scratch[: len(block)]).exp_()
                rows = e.sum(-1)
                sums = rows.sum(2)
                total = sums.sum(1, keepdim=True)
                x[part] = e.sum((1, 2)) / total
                y[part] = rows.sum(1) / total
                z[part] = sums / total
                log_total[part] = largest + total.log()[..., None, None]
        ctx.save_for_backward(volumes, log_total, x, y, z)
        return x, y, z

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_x: Tensor, grad_y: Tensor, grad_z: Tensor) -> Tensor:
        volumes, log_total, x, y, z = ctx.saved_tensors
        constant = (grad_x * x).sum(-1) + (grad_y * y).sum(-1) + (grad_z * z).sum(-1)
        rows = (grad_z - constant[:, None])[:, :, None] + grad_y[:, None, :]
        gradient = torch.empty_like(volumes)
        parts, scratch, factor = _blocks(volumes), _scratch(volumes), _scratch(volumes)
        with torch.autocast(volumes.device.type, enabled=False):
            for part in parts:
                block = volumes[part].to(log_total.dtype)
                probability = torch.sub(block, log_total[part], out=scratch[: len(block)]).exp_()
                torch.add(rows[part, :, :, None], grad_x[part, None, None, :], out=factor[: len(block)])
                gradient[part] = probability.mul_(factor[: len(block)])
        return gradient


def _working_dtype(volumes: Tensor) -> torch.dtype:
    return torch.float64 if volumes.dtype == torch.float64 else torch.float32


def _blocks(volumes: Tensor) -> list[slice]:
    maps, step = volumes.shape[0], _maps_per_block(volumes)
    return [slice(start, min(start + step, maps)) for start in range(0, maps, step)]


def _scratch(volumes: Tensor) -> Tensor:
    """Room for one block, allocated once: fresh memory for each would cost more than the arithmetic."""
    shape = (min(_maps_per_block(volumes), volumes.shape[0]), *volumes.shape[1:])
    return volumes.new_empty(shape, dtype=_working_dtype(volumes))


def _maps_per_block(volumes: Tensor) -> int:
    # A GPU has no cache to fit and dislikes many small kernels; memory is bounded all the same.
    limit = BLOCK_ELEMENTS if volumes.device.type == "cpu" else 32 * BLOCK_ELEMENTS
    return max(1, limit // max(1, math.prod(volumes.shape[1:])))


def _confidence(marginals: tuple[Tensor, ...], positions: Tensor) -> Tensor:
    confidence = torch.ones_like(positions[..., 0])
    for m, position in zip(marginals, positions.unbind(-1), strict=True):
        away = cell_centres(m.shape[-1], m) - position[..., None]
        confidence = confidence * (m * _kernel(away)).sum(-1)
    return confidence
