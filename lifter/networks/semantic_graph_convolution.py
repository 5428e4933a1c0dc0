"""Semantic graph convolution over a fixed skeleton: the dense, batched form.

`graph_form` has the same operator as messages along the edges of a graph.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from evolift.lifter.networks.folded_semgcn import FoldedGraphConvolution
from evolift.posedata.errors import InputError

XAVIER_GAIN = 1.414


class SemanticGraphConvolution(nn.Module):
    r"""The SemGConv layer of Zhao et al. 2019, equations 2 and 3, with a separate weight for a node itself.

    .. math:: y_i = a_{ii} x_i W_0 + \sum_{j \in N(i)} a_{ij} x_j W_1 + b, \quad
              a_{ij} = \frac{e^{m_{ij}}}{\sum_{k \in N(i) \cup \{i\}} e^{m_{ik}}}

    The edge logits m are learnt, one per directed edge and per self-loop, shared by all channels.

    Args:
        in_channels, out_channels: channels of x and y.
        adjacency: which joints are neighbours, True on the diagonal.

    Shapes:
        input (batch, joints, in_channels), output (batch, joints, out_channels). Parameters: `weight` (2, in,
        out) for self and neighbours, `edge_logits` (edges,) row by row of the adjacency, `bias` (out,).

    Raises:
        InputError: the adjacency is not square and symmetric, or its diagonal is not all True.
    """

    adjacency: Tensor
    edge_positions: Tensor

    def __init__(self, in_channels: int, out_channels: int, adjacency: Bool[Tensor, "joints joints"]) -> None:
        super().__init__()
        if adjacency.ndim != 2 or not torch.equal(adjacency, adjacency.T):
            raise InputError("the adjacency of a graph convolution must be square and symmetric")
        if not bool(adjacency.diagonal().all()):
            raise InputError("the adjacency of a graph convolution must hold every joint itself")
        self.weight = nn.Parameter(torch.empty(2, in_channels, out_channels))
        self.edge_logits = nn.Parameter(torch.empty(int(adjacency.sum())))
        self.bias = nn.Parameter(torch.empty(out_channels))
        self.register_buffer("adjacency", adjacency.clone(), persistent=False)
        self.register_buffer("edge_positions", adjacency.flatten().nonzero().squeeze(1), persistent=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """The published initialisation: Xavier with gain 1.414, all edges alike, small random bias."""
        # Fan in and out are those of the stacked tensor as the published code hands it to xavier_uniform_.
        nn.init.xavier_uniform_(self.weight, gain=XAVIER_GAIN)
        nn.init.ones_(self.edge_logits)
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
        # `bmm`, because `@` with one matrix for the whole batch would copy it transposed.
        return torch.bmm(self.mixing().expand(batch, -1, -1), projected) + self.bias

    def affinity(self) -> Float[Tensor, "joints joints"]:
        """The mixing weights a; each row sums to 1 over a joint and its neighbours."""
        nowhere = self.edge_logits.new_full((self.adjacency.numel(),), -math.inf)
        logits = nowhere.index_copy(0, self.edge_positions, self.edge_logits)
        return logits.view_as(self.adjacency).softmax(-1)

    def mixing(self) -> Float[Tensor, "joints twice"]:
        """The affinity for two rows per joint: column 2j weighs x_j W_0, which only j takes, and 2j + 1 weighs x_j W_1."""
        affinity = self.affinity()
        itself = torch.eye(len(affinity), dtype=affinity.dtype, device=affinity.device)
        return torch.stack([affinity * itself, affinity * (1 - itself)], -1).flatten(-2)

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
        return FoldedGraphConvolution(self.mixing(), weights, bias)

    def extra_repr(self) -> str:
        """The layer's sizes as torch shows them when a module is printed."""
        _, in_channels, out_channels = self.weight.shape
        return (
            f"{in_channels}, {out_channels}, joints={len(self.adjacency)}, edges={self.edge_logits.numel()}"
        )
