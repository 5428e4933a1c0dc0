"""SemGCN written down plainly: what ours must equal, and what its speed is measured against."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from evolift.lifter.networks.semantic_graph_convolution import SemanticGraphConvolution
from evolift.lifter.networks.semgcn import SemGCN


class StraightLayer(nn.Module):
    """The affinity rebuilt and softmaxed in each call, two products, batch first."""

    def __init__(self, inside: int, outside: int, neighbours: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(2, inside, outside))
        nn.init.xavier_uniform_(self.weight, gain=1.414)
        self.logits = nn.Parameter(torch.ones(int(neighbours.sum())))
        self.bias = nn.Parameter(torch.zeros(outside))
        self.neighbours = neighbours

    def forward(self, x: Tensor) -> Tensor:
        logits = torch.full(self.neighbours.shape, -9e15, dtype=self.logits.dtype)
        logits[self.neighbours] = self.logits
        a, identity = logits.softmax(1), torch.eye(len(logits), dtype=logits.dtype)
        own, others = x @ self.weight[0], x @ self.weight[1]
        return (a * identity) @ own + (a * (1 - identity)) @ others + self.bias


class StraightBlock(nn.Module):
    def __init__(self, inside: int, outside: int, neighbours: Tensor) -> None:
        super().__init__()
        self.layer = StraightLayer(inside, outside, neighbours)
        self.norm = nn.BatchNorm1d(outside)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.layer(x).transpose(1, 2)).transpose(1, 2))


class Straight(nn.Module):
    def __init__(self, neighbours: Tensor, hidden: int = 128, blocks: int = 4) -> None:
        super().__init__()
        self.first = StraightBlock(2, hidden, neighbours)
        self.pairs = nn.ModuleList(
            nn.Sequential(
                StraightBlock(hidden, hidden, neighbours), StraightBlock(hidden, hidden, neighbours)
            )
            for _ in range(blocks)
        )
        self.last = StraightLayer(hidden, 3, neighbours)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for pair in self.pairs:
            x = x + pair(x)
        return self.last(x)


def copy_weights(new: SemGCN, old: Straight) -> None:
    layers = [module for module in old.modules() if isinstance(module, StraightLayer)]
    with torch.no_grad():
        ours = [module for module in new.modules() if isinstance(module, SemanticGraphConvolution)]
        for mine, theirs in zip(ours, layers, strict=True):
            theirs.weight.copy_(mine.weight)
            theirs.logits.copy_(mine.edge_logits)
            theirs.bias.copy_(mine.bias)
