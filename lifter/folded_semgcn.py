"""SemGCN for inference: batch norm folded into the weights, joints mixed by constants, activations kept in cache."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lifter.semantic_graph_convolution import SemanticGraphConvolution

ROWS_AT_ONCE = 128
"""Poses that go through the network together: their activations stay in the processor's second-level cache."""


@dataclass(frozen=True, eq=False)
class FoldedLayer:
    """A graph convolution with what follows it folded in.

    Args:
        own, mixing: diagonal and rest of the affinity.
        to_self, to_neighbours: the two weights.
        bias: added per channel.
    """

    own: Float[Tensor, "joints 1 1"]
    mixing: Float[Tensor, "joints joints"]
    to_self: Float[Tensor, "in out"]
    to_neighbours: Float[Tensor, "in out"]
    bias: Float[Tensor, "out"]

    def __call__(self, features: Float[Tensor, "joints batch in"]) -> Float[Tensor, "joints batch out"]:
        """The convolution, without ReLU."""
        joints, batch, channels = features.shape
        flat = features.view(joints * batch, channels)
        if self.bias.numel() < channels:
            mixed = (self.mixing @ (flat @ self.to_neighbours).view(joints, -1)).view(joints, batch, -1)
            return mixed.addcmul_((flat @ self.to_self).view(joints, batch, -1), self.own).add_(self.bias)
        neighbours = (self.mixing @ features.view(joints, -1)).view(joints * batch, channels)
        out = torch.addmm(self.bias, neighbours, self.to_neighbours)
        out.addmm_((features * self.own).view(joints * batch, channels), self.to_self)
        return out.view(joints, batch, -1)


@torch.no_grad()
def folded(
    convolution: SemanticGraphConvolution,
    affinity: Float[Tensor, "joints joints"],
    norm: nn.BatchNorm1d | None,
) -> FoldedLayer:
    r"""A convolution and the batch norm behind it (in evaluation mode) as one convolution.

    .. math:: W' = W \gamma / \sigma, \qquad b' = (b - \mu) \gamma / \sigma + \beta

    Args:
        convolution: the layer.
        affinity: its affinity.
        norm: None for none.
    """
    own = affinity.diagonal().clone()
    weight, bias = convolution.weight.detach().clone(), convolution.bias.detach().clone()
    if norm is not None:
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        weight, bias = weight * scale, (bias - norm.running_mean) * scale + norm.bias
    return FoldedLayer(own[:, None, None], affinity - torch.diag(own), weight[0], weight[1], bias)
