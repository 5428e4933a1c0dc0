"""SemGCN's convolution as messages along the edges of a graph: the torch-geometric form of the dense layer.

Both forms have the same parameters, so that a checkpoint of either fits the other, and give the same numbers from them.
The dense one multiplies by a matrix of joints x joints, which for a skeleton is small; this one goes from edge to edge,
and its cost grows with the bones alone.
"""

from __future__ import annotations

import warnings
from typing import cast

from jaxtyping import Bool, Float, Int64
from torch import Tensor

from evolift.lifter.networks.semantic_graph_convolution import SemanticGraphConvolution
from evolift.lifter.networks.skeleton_graph import edge_index

with warnings.catch_warnings():
    # torch-geometric 2.8 compiles a class with torch.jit as it is imported, which torch 2.14 warns of.
    warnings.filterwarnings("ignore", message=".*torch.jit.*", category=FutureWarning)
    warnings.filterwarnings("ignore", message=".*torch.jit.*", category=DeprecationWarning)
    from torch_geometric.nn import MessagePassing
    from torch_geometric.utils import softmax


class WeightedNeighbours(MessagePassing):  # type: ignore[misc]  # torch-geometric has no types
    r""":math:`\sum_{j \in N(i)} a_{ij} x_j` for each joint i.

    Shapes:
        x (batch, joints, channels), edge_index (2, edges) as (source, target), affinity (edges,); output as x.
    """

    def __init__(self) -> None:
        super().__init__(aggr="add", node_dim=-2)

    def forward(
        self,
        x: Float[Tensor, "batch joints channels"],
        edge_index: Int64[Tensor, "2 edges"],
        affinity: Float[Tensor, "edges"],
    ) -> Float[Tensor, "batch joints channels"]:
        """The messages of all neighbours, added up."""
        return cast(Tensor, self.propagate(edge_index, x=x, affinity=affinity))

    def message(
        self, x_j: Float[Tensor, "batch edges channels"], affinity: Float[Tensor, "edges"]
    ) -> Float[Tensor, "batch edges channels"]:
        """What a joint receives along one edge."""
        return affinity[:, None] * x_j


class SemanticGraphMessagePassing(SemanticGraphConvolution):
    """The operator of `SemanticGraphConvolution`, whose arguments, shapes and parameters it has."""

    edges: Tensor
    loops: Tensor
    bones: Tensor

    def __init__(self, in_channels: int, out_channels: int, adjacency: Bool[Tensor, "joints joints"]) -> None:
        super().__init__(in_channels, out_channels, adjacency)
        source, target = edges = edge_index(adjacency)
        self.register_buffer("edges", edges, persistent=False)
        self.register_buffer("loops", (source == target).nonzero().squeeze(1), persistent=False)
        self.register_buffer("bones", (source != target).nonzero().squeeze(1), persistent=False)
        self.neighbours = WeightedNeighbours()

    def forward(
        self, features: Float[Tensor, "batch joints in_channels"]
    ) -> Float[Tensor, "batch joints out_channels"]:
        """The output y of the class's equation."""
        affinity = softmax(self.edge_logits, self.edges[1], num_nodes=len(self.adjacency))
        own = affinity[self.loops, None] * (features @ self.weight[0])
        others = self.neighbours(features @ self.weight[1], self.edges[:, self.bones], affinity[self.bones])
        return cast(Tensor, own + others + self.bias)
