"""Semantic graph convolution over arbitrary graphs: the torch-geometric form of the dense layer.

Graphs of a batch may be of different skeletons: they share the weights and bias of a layer and each brings the
edge logits of its own skeleton. From the same parameters both forms give the same numbers.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from lifter.semantic_graph_convolution import SemanticGraphConvolution
from lifter.skeleton_graph import edge_index
from posedata.skeleton import Skeleton

with warnings.catch_warnings():
    # torch-geometric 2.8 compiles a class with torch.jit as it is imported, which torch 2.14 warns of.
    warnings.filterwarnings("ignore", message=".*torch.jit.*", category=FutureWarning)
    warnings.filterwarnings("ignore", message=".*torch.jit.*", category=DeprecationWarning)
    from torch_geometric.nn import MessagePassing
    from torch_geometric.utils import softmax


class SemanticGraphMessagePassing(MessagePassing):  # type: ignore[misc]  # torch-geometric has no types
    """The operator of `SemanticGraphConvolution` on graphs given by their edges.

    Args:
        layer: the dense layer whose weight and bias are shared (not copied).

    Shapes:
        input x (nodes, in_channels), edge_index (2, edges) as (source, target) with one self-loop per node,
        edge_logits (edges,); output (nodes, out_channels).
    """

    def __init__(self, layer: SemanticGraphConvolution) -> None:
        super().__init__(aggr="add", node_dim=0)
        self.weight = layer.weight
        self.bias = layer.bias

    def forward(
        self,
        x: Float[Tensor, "nodes in_channels"],
        edge_index: Int64[Tensor, "2 edges"],
        edge_logits: Float[Tensor, "edges"],
    ) -> Float[Tensor, "nodes out_channels"]:
        """The output y of the class's equation, for each node."""
        affinity = softmax(edge_logits, edge_index[1], num_nodes=len(x))
        is_self = edge_index[0] == edge_index[1]
        own = affinity.new_zeros(len(x)).index_add(0, edge_index[1][is_self], affinity[is_self])
        neighbours = self.propagate(
            edge_index[:, ~is_self], x=x @ self.weight[1], affinity=affinity[~is_self], size=None
        )
        out: Tensor = own[:, None] * (x @ self.weight[0]) + neighbours + self.bias
        return out

    def message(
        self, x_j: Float[Tensor, "edges out_channels"], affinity: Float[Tensor, "edges"]
    ) -> Float[Tensor, "edges out_channels"]:
        """What a node receives along one edge."""
        return affinity[:, None] * x_j


def batch_graphs(
    skeletons: Sequence[Skeleton], edge_logits: Sequence[Float[Tensor, "_edges"]]
) -> tuple[Int64[Tensor, "2 edges"], Float[Tensor, "edges"]]:
    """Edges and logits of several bodies as one graph, nodes numbered body after body.

    Args:
        skeletons: one per body.
        edge_logits: one per body, in the order of its dense layer.
    """
    first = 0
    indices = []
    for skeleton in skeletons:
        indices.append(edge_index(skeleton) + first)
        first += len(skeleton)
    return torch.cat(indices, 1), torch.cat(list(edge_logits))
