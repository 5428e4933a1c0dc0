"""Graph networks for inference: batch norm folded into the weights, joints mixed by constants, activations kept in cache."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from evolift.lifter.network import Network

POSES_AT_ONCE = 64
"""Poses that go through the network together: their activations stay in the processor's second-level cache."""


class FoldedGraphConvolution(nn.Module):
    r"""A graph convolution whose mixing and weights are constants.

    .. math:: y_i = \sum_j \sum_t s_{ijt}\, m_{jt} \odot (x_j W_t) + b

    Args:
        mixing: s; column K j + t weighs :math:`x_j W_t`, for K terms t.
        weights: the :math:`W_t` side by side.
        bias: added per channel.
        factors: m, a row for each column of `mixing`; None for ones.

    Shapes:
        input (batch, joints, in_channels), contiguous; output (batch, joints, out_channels).
    """

    def __init__(
        self,
        mixing: Float[Tensor, "joints terms"],
        weights: Float[Tensor, "in terms_out"],
        bias: Float[Tensor, "out"],
        factors: Float[Tensor, "terms out"] | None = None,
    ) -> None:
        super().__init__()
        self.mixing = nn.Parameter(mixing, requires_grad=False)
        self.weights = nn.Parameter(weights, requires_grad=False)
        self.bias = nn.Parameter(bias, requires_grad=False)
        self.factors = None if factors is None else nn.Parameter(factors, requires_grad=False)

    def forward(self, features: Float[Tensor, "batch joints in"]) -> Float[Tensor, "batch joints out"]:
        """The output y of the class's equation."""
        batch, joints, channels = features.shape
        projected = features.view(batch * joints, channels) @ self.weights
        projected = projected.view(batch, self.mixing.shape[1], len(self.bias))
        if self.factors is not None:
            projected.mul_(self.factors)
        return torch.baddbmm(self.bias, self.mixing.expand(batch, -1, -1), projected)


class FoldedResidualBlock(nn.Module):
    """x + f(x).

    Args:
        inner: f, which gives new memory at each call.
    """

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(
        self, features: Float[Tensor, "batch joints channels"]
    ) -> Float[Tensor, "batch joints channels"]:
        """The sum, in the memory of f(x)."""
        out: Tensor = self.inner(features).add_(features)
        return out


class FoldedNetwork(Network):
    """A network's layers one after the other, some poses at a time.

    Args:
        layers: folded.
    """

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        self.layers = layers.eval().requires_grad_(False)

    def forward(self, inputs: Float[Tensor, "batch joints in"]) -> Float[Tensor, "batch joints out"]:
        """What the network that was folded gives."""
        parts = [self.layers(part) for part in torch.split(inputs.contiguous(), POSES_AT_ONCE)]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def folded(self) -> Network:
        """Itself."""
        return self
