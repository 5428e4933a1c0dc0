"""Graph convolution, batch norm and ReLU as one differentiable operation, for training.

Composed of separate operations, a layer of SemGCN spends about as long on passes over its activations as on its
matrix products. Here each activation is read and written as few times as possible: both weights are one product in
each direction, on a processor for as many poses at a time as fit its cache, ReLU works in place, and the bias, which
batch norm takes away again, is left out of all but the running mean.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from evolift.lifter.networks.semantic_graph_convolution import side_by_side

POSES_AT_ONCE = 64


def fused_graph_layer(
    features: Float[Tensor, "batch joints in"],
    mixing: Float[Tensor, "joints twice"],
    weight: Float[Tensor, "2 in out"],
    bias: Float[Tensor, "out"],
    norm: nn.BatchNorm1d,
) -> Float[Tensor, "batch joints out"]:
    r"""ReLU(BN(graph convolution)) of the batch, with the norm's statistics moved as in training.

    .. math:: y_i = a_{ii} x_i W_0 + \sum_{j \ne i} a_{ij} x_j W_1 + b, \qquad
              z = \mathrm{ReLU}\Big(\gamma \frac{y - \mu}{\sigma} + \beta\Big)

    with mean and deviation over batch and joints. The gradient of b is exactly 0, because the mean is taken away.
    First derivatives only.

    Args:
        features: x.
        mixing: a, of the layer, as `mixings` arranges it.
        weight, bias: W and b of the layer.
        norm: batch norm with affine parameters, running statistics and a momentum.
    """
    assert norm.num_batches_tracked is not None
    norm.num_batches_tracked.add_(1)
    out: Tensor = _FusedGraphLayer.apply(
        features,
        mixing,
        weight,
        bias,
        norm.weight,
        norm.bias,
        norm.running_mean,
        norm.running_var,
        norm.momentum,
        norm.eps,
    )
    return out


class _FusedGraphLayer(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[no-untyped-def]  # torch's context
        ctx,
        x: Tensor,
        mixing: Tensor,
        weight: Tensor,
        bias: Tensor,
        gamma: Tensor,
        beta: Tensor,
        running_mean: Tensor,
        running_var: Tensor,
        momentum: float,
        eps: float,
    ) -> Tensor:
        batch, joints, _ = x.shape
        x, both = x.contiguous(), side_by_side(weight)
        projected = x.new_empty(batch, 2 * joints, both.shape[1] // 2)
        y = x.new_empty(batch, joints, both.shape[1] // 2)
        for some in _parts(x):
            part = projected[some]
            torch.mm(x[some].flatten(0, 1), both, out=part.view(-1, both.shape[1]))
            torch.bmm(mixing.expand(len(part), -1, -1), part, out=y[some])
        y = y.flatten(0, 1)
        z, mean, inverse_deviation = torch.native_batch_norm(
            y, gamma, beta, running_mean, running_var, True, momentum, eps
        )
        running_mean.add_(bias, alpha=momentum)
        z.relu_()
        ctx.eps = eps
        ctx.save_for_backward(x, projected, y, z, mixing, both, gamma, mean, inverse_deviation)
        return z.view(batch, joints, -1)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor):  # type: ignore[no-untyped-def]  # torch's context
        x, projected, y, z, mixing, both, gamma, mean, inverse_deviation = ctx.saved_tensors
        batch, joints, channels = gradient.shape
        to_y = torch.ops.aten.threshold_backward(gradient.reshape(z.shape), z, 0)
        to_y, to_gamma, to_beta = torch.ops.aten.native_batch_norm_backward(
            to_y, y, gamma, None, None, mean, inverse_deviation, True, ctx.eps, [True, True, True]
        )
        to_y = to_y.view(batch, joints, channels)
        to_x = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        to_mixing, to_both = torch.zeros_like(mixing), torch.zeros_like(both)
        for some in _parts(x):
            part = to_y[some]
            to_mixing += torch.bmm(part, projected[some].mT).sum(0)
            to_projected = torch.bmm(mixing.T.expand(len(part), -1, -1), part).view(-1, 2 * channels)
            to_both.addmm_(x[some].flatten(0, 1).T, to_projected)
            if to_x is not None:
                torch.mm(to_projected, both.T, out=to_x[some].view(-1, x.shape[-1]))
        to_weight = to_both.view(-1, 2, channels).transpose(0, 1)
        return (
            to_x, to_mixing, to_weight, torch.zeros_like(gamma), to_gamma, to_beta, None, None, None, None
        )  # fmt: skip


def _parts(x: Float[Tensor, "batch joints channels"]) -> list[slice]:
    """Parts of a batch whose activations stay in a processor's second-level cache from one product to the next."""
    at_once = POSES_AT_ONCE if x.device.type == "cpu" else max(len(x), 1)
    return [slice(start, start + at_once) for start in range(0, len(x), at_once)]
