"""Semantic graph convolution over a fixed skeleton: the dense, batched form.

`graph_form` has the same operator as messages along the edges of a graph.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from evolift.lifter.networks.graph_convolution import GraphConvolution


class SemanticGraphConvolution(GraphConvolution):
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

    def learn_affinity(self, adjacency: Bool[Tensor, "joints joints"]) -> None:
        """Edge logits, all alike."""
        self.edge_logits = nn.Parameter(torch.ones(int(adjacency.sum())))
        self.register_buffer("adjacency", adjacency.clone(), persistent=False)
        self.register_buffer("edge_positions", adjacency.flatten().nonzero().squeeze(1), persistent=False)

    def affinity(self) -> Float[Tensor, "joints joints"]:
        """The mixing weights a; each row sums to 1 over a joint and its neighbours."""
        nowhere = self.edge_logits.new_full((self.adjacency.numel(),), -math.inf)
        logits = nowhere.index_copy(0, self.edge_positions, self.edge_logits)
        return logits.view_as(self.adjacency).softmax(-1)

    def extra_repr(self) -> str:
        """The layer's sizes as torch shows them when a module is printed."""
        return f"{super().extra_repr()}, edges={self.edge_logits.numel()}"
