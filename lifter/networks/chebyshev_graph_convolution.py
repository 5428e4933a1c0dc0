"""Chebyshev graph convolution over a fixed skeleton (Defferrard et al. 2016), dense and batched."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from evolift.lifter.networks.folded_layers import FoldedGraphConvolution
from evolift.lifter.networks.graph_convolution import require_adjacency

ORDER = 2
"""Highest power of the Laplacian: a joint sees as many bones far."""


class ChebyshevGraphConvolution(nn.Module):
    r"""Weights for a joint, and for what lies one and two bones away, by Chebyshev polynomials of the graph's Laplacian.

    .. math:: y = \sum_{k=0}^{2} T_k(\tilde L)\, x W_k + b, \qquad
              T_0 = I, \quad T_1 = \tilde L, \quad T_2 = 2 \tilde L^2 - I, \qquad
              \tilde L = -D^{-1/2} A D^{-1/2}

    with the adjacency A, loops included, and its row sums D; :math:`\tilde L` is the normalised Laplacian moved to
    eigenvalues from -1 to 1, where the polynomials are orthogonal.

    Args:
        in_channels, out_channels: channels of x and y.
        adjacency: which joints are neighbours, True on the diagonal.

    Shapes:
        input (batch, joints, in_channels), output (batch, joints, out_channels). Parameters: `weight` (3, in, out),
        `bias` (out,).

    Raises:
        InputError: the adjacency is not square and symmetric, or its diagonal is not all True.
    """

    mixing: Tensor

    def __init__(self, in_channels: int, out_channels: int, adjacency: Bool[Tensor, "joints joints"]) -> None:
        super().__init__()
        require_adjacency(adjacency)
        self.weight = nn.Parameter(torch.empty(ORDER + 1, in_channels, out_channels))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        for weight in self.weight:
            nn.init.xavier_normal_(weight)
        self.register_buffer("mixing", chebyshev_terms(adjacency).flatten(-2), persistent=False)

    def forward(self, features: Float[Tensor, "batch joints in"]) -> Float[Tensor, "batch joints out"]:
        """The output y of the class's equation."""
        batch, joints, channels = features.shape
        # All x W_k are one product, whose rows 3j, 3j + 1 and 3j + 2 are those of joint j.
        projected = features.reshape(batch * joints, channels) @ self._weights()
        projected = projected.view(batch, self.mixing.shape[1], len(self.bias))
        return torch.bmm(self.mixing.expand(batch, -1, -1), projected) + self.bias

    @torch.no_grad()
    def folded(self) -> FoldedGraphConvolution:
        """For inference, see `Network.folded`."""
        return FoldedGraphConvolution(self.mixing.clone(), self._weights().clone(), self.bias.clone())

    def _weights(self) -> Float[Tensor, "in terms_out"]:
        return self.weight.transpose(0, 1).flatten(1)


def chebyshev_terms(adjacency: Bool[Tensor, "joints joints"]) -> Float[Tensor, "joints joints terms"]:
    """The polynomials T_k of `ChebyshevGraphConvolution`, one after the other along the last axis."""
    weights = adjacency.double()
    scale = weights.sum(1).rsqrt()
    laplacian = -scale[:, None] * weights * scale
    terms = [torch.eye(len(weights), dtype=weights.dtype), laplacian]
    while len(terms) <= ORDER:
        terms.append(2 * laplacian @ terms[-1] - terms[-2])
    return torch.stack(terms, -1).to(torch.get_default_dtype())
