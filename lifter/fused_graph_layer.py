"""Graph convolution, batch norm and ReLU as one differentiable operation, for training.

Composed of separate operations, a layer of SemGCN spends about as long on passes over its activations as on its
matrix products. Here each activation is read and written as few times as possible: both products accumulate into
one result, ReLU works in place, sums of gradients happen inside the products, and nothing is computed for the
bias, whose gradient is known to be 0.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


def fused_graph_layer(
    features: Float[Tensor, "joints batch in"],
    affinity: Float[Tensor, "joints joints"],
    weight: Float[Tensor, "2 in out"],
    bias: Float[Tensor, "out"],
    norm: nn.BatchNorm1d,
) -> Float[Tensor, "joints batch out"]:
    r"""ReLU(BN(graph convolution)) of the batch, with the norm's statistics moved as in training.

    .. math:: y_i = a_{ii} x_i W_0 + \sum_{j \ne i} a_{ij} x_j W_1 + b, \qquad
              z = \mathrm{ReLU}\Big(\gamma \frac{y - \mu}{\sigma} + \beta\Big)

    with mean and deviation over joints and batch. The gradient of b is exactly 0, because the mean is taken away.
    First derivatives only.

    Args:
        features: x.
        affinity: a, of the layer (`SemanticGraphConvolution.affinity`).
        weight, bias: W and b of the layer.
        norm: batch norm with affine parameters and running statistics.
    """
    if norm.num_batches_tracked is not None:
        norm.num_batches_tracked.add_(1)
    out: Tensor = _FusedGraphLayer.apply(
        features,
        affinity,
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
        affinity: Tensor,
        weight: Tensor,
        bias: Tensor,
        gamma: Tensor,
        beta: Tensor,
        running_mean: Tensor,
        running_var: Tensor,
        momentum: float,
        eps: float,
    ) -> Tensor:
        joints, batch, _ = x.shape
        x = x.contiguous()
        own = affinity.diagonal()
        itself = (x * own[:, None, None]).view(joints * batch, -1)
        neighbours = ((affinity - torch.diag(own)) @ x.view(joints, -1)).view(joints * batch, -1)
        y = torch.addmm(bias, neighbours, weight[1]).addmm_(itself, weight[0])
        z, mean, inverse_deviation = torch.native_batch_norm(
            y, gamma, beta, running_mean, running_var, True, momentum, eps
        )
        z.relu_()
        ctx.eps = eps
        ctx.save_for_backward(x, itself, neighbours, y, z, affinity, weight, gamma, mean, inverse_deviation)
        return z.view(joints, batch, -1)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor):  # type: ignore[no-untyped-def]  # torch's context
        x, itself, neighbours, y, z, affinity, weight, gamma, mean, inverse_deviation = ctx.saved_tensors
        joints, batch, channels = x.shape
        own = affinity.diagonal()
        to_y = torch.ops.aten.threshold_backward(gradient.reshape(z.shape), z, 0)
        to_y, to_gamma, to_beta = torch.ops.aten.native_batch_norm_backward(
            to_y, y, gamma, None, None, mean, inverse_deviation, True, ctx.eps, [True, True, True]
        )
        to_weight = torch.stack([itself.T @ to_y, neighbours.T @ to_y])
        flat = x.view(joints, batch * channels)
        to_itself = (to_y @ weight[0].T).view(joints, -1)
        to_neighbours = (to_y @ weight[1].T).view(joints, -1)
        to_affinity = to_neighbours @ flat.T
        to_affinity.diagonal().copy_(torch.bmm(to_itself[:, None], flat[:, :, None])[:, 0, 0])
        to_x = None
        if ctx.needs_input_grad[0]:
            to_x = to_itself.mul_(own[:, None]).addmm_((affinity - torch.diag(own)).T, to_neighbours)
            to_x = to_x.view(joints, batch, channels)
        return (
            to_x, to_affinity, to_weight, torch.zeros_like(gamma), to_gamma, to_beta, None, None, None, None
        )  # fmt: skip
