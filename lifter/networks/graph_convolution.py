"""Graph convolution over a fixed skeleton, dense and batched: what its kinds have in common."""

from __future__ import annotations

import abc
import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from evolift.lifter.networks.folded_layers import FoldedGraphConvolution
from evolift.posedata.errors import InputError

XAVIER_GAIN = 1.414


class GraphConvolution(nn.Module, abc.ABC):
    r"""Convolution with a separate weight for a joint itself, as in SemGCN and its successors.

    .. math:: y_i = a_{ii}\, m_i \odot (x_i W_0) + \sum_{j \ne i} a_{ij}\, m_j \odot (x_j W_1) + b

    A kind says what the affinities a are, and the modulation m if it has one.

    Args:
        in_channels, out_channels: channels of x and y.
        adjacency: which joints are neighbours, True on the diagonal.

    Shapes:
        input (batch, joints, in_channels), output (batch, joints, out_channels). Parameters: `weight` (2, in,
        out) for self and others, those of the kind, `bias` (out,).

    Raises:
        InputError: the adjacency is not square and symmetric, or its diagonal is not all True.
    """

    terms: Tensor

    def __init__(self, in_channels: int, out_channels: int, adjacency: Bool[Tensor, "joints joints"]) -> None:
        super().__init__()
        require_adjacency(adjacency)
        self.weight = nn.Parameter(torch.empty(2, in_channels, out_channels))
        self.learn_affinity(adjacency)
        self.bias = nn.Parameter(torch.empty(out_channels))
        itself = torch.eye(len(adjacency))
        self.register_buffer("terms", torch.stack([itself, 1 - itself], -1), persistent=False)
        self.reset_parameters()

    @abc.abstractmethod
    def learn_affinity(self, adjacency: Bool[Tensor, "joints joints"]) -> None:
        """Make the parameters of the kind, as they begin."""

    @abc.abstractmethod
    def affinity(self) -> Float[Tensor, "joints joints"]:
        """The mixing weights a."""

    def factors(self) -> Float[Tensor, "twice out"] | None:
        """The modulation m, two equal rows per joint; None for a kind without it."""
        return None

    def reset_parameters(self) -> None:
        """The published initialisation: Xavier with gain 1.414, small random bias."""
        # Fan in and out are those of the stacked tensor as the published code hands it to xavier_uniform_.
        nn.init.xavier_uniform_(self.weight, gain=XAVIER_GAIN)
        bound = 1 / math.sqrt(self.bias.numel())
        nn.init.uniform_(self.bias, -bound, bound)

    def forward(
        self, features: Float[Tensor, "batch joints in_channels"]
    ) -> Float[Tensor, "batch joints out_channels"]:
        """The output y of the class's equation."""
        batch, joints, channels = features.shape
        # x W_0 and x W_1 are one product, whose rows 2j and 2j + 1 are those of joint j.
        projected = features.reshape(batch * joints, channels) @ self.both_weights()
        projected = projected.view(batch, 2 * joints, len(self.bias))
        factors = self.factors()
        if factors is not None:
            projected = projected * factors.to(projected.dtype)
        # `bmm`, because `@` with one matrix for the whole batch would copy it transposed.
        return torch.bmm(self.mixing().expand(batch, -1, -1), projected) + self.bias

    def mixing(self) -> Float[Tensor, "joints twice"]:
        """The affinity for two rows per joint: column 2j weighs x_j W_0, which only j takes, and 2j + 1 weighs x_j W_1."""
        return (self.affinity()[..., None] * self.terms).flatten(-2)

    def both_weights(self) -> Float[Tensor, "in twice_out"]:
        """W_0 and W_1 side by side."""
        return self.weight.transpose(0, 1).flatten(1)

    @torch.no_grad()
    def folded(self, norm: nn.BatchNorm1d | None = None) -> FoldedGraphConvolution:
        """This convolution and the batch norm behind it, if there is one, as constants (see `Network.folded`)."""
        weights, bias = self.both_weights().clone(), self.bias.clone()
        if norm is not None:
            assert norm.running_mean is not None
            assert norm.running_var is not None
            scale = norm.weight / (norm.running_var + norm.eps).sqrt()
            weights, bias = weights * scale.repeat(2), (bias - norm.running_mean) * scale + norm.bias
        return FoldedGraphConvolution(self.mixing(), weights, bias, self.factors())

    def extra_repr(self) -> str:
        """The layer's sizes as torch shows them when a module is printed."""
        _, in_channels, out_channels = self.weight.shape
        return f"{in_channels}, {out_channels}, joints={len(self.terms)}"


def require_adjacency(adjacency: Tensor) -> None:
    """Refuse what is not the adjacency of a skeleton.

    Raises:
        InputError: it is not square and symmetric, or its diagonal is not all True.
    """
    if adjacency.ndim != 2 or not torch.equal(adjacency, adjacency.T):
        raise InputError("the adjacency of a graph convolution must be square and symmetric")
    if not bool(adjacency.diagonal().all()):
        raise InputError("the adjacency of a graph convolution must hold every joint itself")
