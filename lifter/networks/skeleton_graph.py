"""The graph that a lifter convolves over: joints, their bones, and each joint with itself."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from evolift.posedata.skeleton import Skeleton


def adjacency(skeleton: Skeleton) -> Bool[Tensor, "joints joints"]:
    """True where two joints share a bone, and on the diagonal; symmetric."""
    neighbours = torch.eye(len(skeleton), dtype=torch.bool)
    for parent, child in skeleton.bones:
        neighbours[parent, child] = neighbours[child, parent] = True
    return neighbours


def edge_index(neighbours: Bool[Tensor, "joints joints"]) -> Int64[Tensor, "2 edges"]:
    """(source, target) of every edge of an `adjacency` in torch-geometric's form, self-loops included.

    The order is that of the dense layer's edge logits: row by row of the adjacency, the row being the target.
    """
    target, source = neighbours.nonzero(as_tuple=True)
    return torch.stack([source, target])
