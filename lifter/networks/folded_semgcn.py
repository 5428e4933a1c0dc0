"""SemGCN for inference: batch norm folded into the weights, joints mixed by constants, activations kept in cache."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from evolift.lifter.networks.semantic_graph_convolution import SemanticGraphConvolution, side_by_side

ROWS_AT_ONCE = 64
"""Poses that go through the network together: their activations stay in the processor's second-level cache."""


@dataclass(frozen=True, eq=False)
class FoldedLayer:
    """A graph convolution with what follows it folded in.

    Args:
        mixing: as `mixings` arranges it, for every pose of `ROWS_AT_ONCE`.
        both: the weights side by side.
        bias: added per channel.
    """

    mixing: Float[Tensor, "rows joints twice"]
    both: Float[Tensor, "in twice_out"]
    bias: Float[Tensor, "1 1 out"]

    def __call__(self, features: Float[Tensor, "batch joints in"]) -> Float[Tensor, "batch joints out"]:
        """The convolution, without ReLU, of at most `ROWS_AT_ONCE` poses."""
        batch, joints, channels = features.shape
        projected = (features.view(batch * joints, channels) @ self.both).view(batch, 2 * joints, -1)
        return torch.baddbmm(self.bias, self.mixing[:batch], projected)


@torch.no_grad()
def folded(
    convolution: SemanticGraphConvolution,
    mixing: Float[Tensor, "joints twice"],
    norm: nn.BatchNorm1d | None,
) -> FoldedLayer:
    r"""A convolution and the batch norm behind it (in evaluation mode) as one convolution.

    .. math:: W' = W \gamma / \sigma, \qquad b' = (b - \mu) \gamma / \sigma + \beta

    Args:
        convolution: the layer.
        mixing: of it, see `mixings`.
        norm: None for none.
    """
    weight, bias = convolution.weight.detach().clone(), convolution.bias.detach().clone()
    if norm is not None:
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        weight, bias = weight * scale, (bias - norm.running_mean) * scale + norm.bias
    return FoldedLayer(
        mixing.detach().clone().expand(ROWS_AT_ONCE, -1, -1), side_by_side(weight), bias[None, None]
    )
