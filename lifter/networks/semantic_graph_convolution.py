"""Semantic graph convolution over a fixed skeleton: the dense, batched form.

Both weights are one product, whose result holds two rows per joint: what the joint gives to itself, and what it gives to
its neighbours. One small matrix per layer then mixes these rows, the same for every pose. `graph_form` has the same
operator for arbitrary graphs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

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
    off_diagonal: Tensor

    def __init__(self, in_channels: int, out_channels: int, adjacency: Bool[Tensor, "joints joints"]) -> None:
        super().__init__()
        if adjacency.ndim != 2 or not torch.equal(adjacency, adjacency.T):
            raise InputError("the adjacency of a graph convolution must be square and symmetric")
        if not bool(adjacency.diagonal().all()):
            raise InputError("the adjacency of a graph convolution must hold every joint itself")
        self.weight = nn.Parameter(torch.empty(2, in_channels, out_channels))
        self.edge_logits = nn.Parameter(torch.empty(int(adjacency.sum())))
        self.bias = nn.Parameter(torch.empty(out_channels))
        joints = len(adjacency)
        self.register_buffer("adjacency", adjacency.clone(), persistent=False)
        self.register_buffer("edge_positions", adjacency.flatten().nonzero().squeeze(1), persistent=False)
        self.register_buffer(
            "off_diagonal", 1.0 - torch.eye(joints, dtype=torch.get_default_dtype()), persistent=False
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """The published initialisation: Xavier with gain 1.414, all edges alike, small random bias."""
        # Fan in and out are those of the stacked tensor as the published code hands it to xavier_uniform_.
        nn.init.xavier_uniform_(self.weight, gain=XAVIER_GAIN)
        nn.init.ones_(self.edge_logits)
        bound = 1 / math.sqrt(self.bias.numel())
        nn.init.uniform_(self.bias, -bound, bound)

    def affinity(self) -> Float[Tensor, "joints joints"]:
        """The mixing weights a; each row sums to 1 over a joint and its neighbours."""
        return affinities([self])[0]

    def forward(
        self,
        features: Float[Tensor, "batch joints in_channels"],
        mixing: Float[Tensor, "joints twice"] | None = None,
    ) -> Float[Tensor, "batch joints out_channels"]:
        """The output y of the class's equation.

        Args:
            features: x.
            mixing: of this layer (see `mixings`), if it is known already.
        """
        batch, joints, channels = features.shape
        if mixing is None:
            mixing = mixings([self])[0]
        projected = features.reshape(batch * joints, channels) @ side_by_side(self.weight)
        projected = projected.view(batch, 2 * joints, -1)
        return torch.bmm(mixing.expand(batch, -1, -1), projected) + self.bias

    def extra_repr(self) -> str:
        """Sizes, for printing."""
        _, in_channels, out_channels = self.weight.shape
        return (
            f"{in_channels}, {out_channels}, joints={len(self.adjacency)}, edges={self.edge_logits.numel()}"
        )


def affinities(layers: Sequence[SemanticGraphConvolution]) -> Float[Tensor, "layers joints joints"]:
    """The mixing weights of several layers over one skeleton, computed together."""
    first = layers[0]
    joints = len(first.adjacency)
    logits = torch.stack([layer.edge_logits for layer in layers])
    everywhere = logits.new_full((len(layers), joints * joints), -math.inf)
    everywhere = everywhere.index_copy(1, first.edge_positions, logits)
    return everywhere.view(len(layers), joints, joints).softmax(-1)


def mixings(layers: Sequence[SemanticGraphConvolution]) -> Float[Tensor, "layers joints twice"]:
    """The affinities of several layers as matrices that mix two rows per joint.

    Column 2j weighs what joint j gives to itself, and column 2j + 1 what it gives to its neighbours.
    """
    affinity, off_diagonal = affinities(layers), layers[0].off_diagonal
    return torch.stack([affinity * (1 - off_diagonal), affinity * off_diagonal], -1).flatten(-2)


def side_by_side(weight: Float[Tensor, "2 in out"]) -> Float[Tensor, "in twice"]:
    """Both weights of a layer as one matrix, whose product with x is (..., self then neighbours)."""
    return weight.transpose(0, 1).flatten(1)
