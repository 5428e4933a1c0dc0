"""SemGCN: the semantic graph convolutional network (Zhao et al. 2019)."""

from __future__ import annotations

from typing import cast

from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from lifter.joint_groups import Groups
from lifter.non_local import NonLocalBlock
from lifter.semantic_graph_convolution import SemanticGraphConvolution


class GraphLayer(nn.Module):
    """Graph convolution, batch norm over channels, ReLU, optional dropout; (joints, batch, channels)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        adjacency: Bool[Tensor, "joints joints"],
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.convolution = SemanticGraphConvolution(in_channels, out_channels, adjacency)
        self.norm = nn.BatchNorm1d(out_channels)
        self.dropout = dropout

    def forward(self, features: Float[Tensor, "joints batch in"]) -> Float[Tensor, "joints batch out"]:
        """The four operations in turn."""
        out = self.convolution.joints_first(features)
        out = F.relu(self.norm(out.flatten(0, 1)).view_as(out))
        return F.dropout(out, self.dropout, self.training) if self.dropout else out


class ResidualBlock(nn.Module):
    """Two graph layers with a shortcut; (joints, batch, channels)."""

    def __init__(self, channels: int, adjacency: Bool[Tensor, "joints joints"], dropout: float = 0.0) -> None:
        super().__init__()
        self.first = GraphLayer(channels, channels, adjacency, dropout)
        self.second = GraphLayer(channels, channels, adjacency, dropout)

    def forward(
        self, features: Float[Tensor, "joints batch channels"]
    ) -> Float[Tensor, "joints batch channels"]:
        """Features plus second(first(features))."""
        return features + cast(Tensor, self.second(self.first(features)))


class SemGCN(nn.Module):
    """An input layer, residual blocks and an output convolution, with non-local blocks between if wanted.

    Args:
        in_channels, out_channels: per joint, for example 2 and 3.
        adjacency: of the skeleton, see `skeleton_graph`.
        hidden: channels inside.
        blocks: residual blocks.
        groups: of the non-local blocks; None for a network without them.
        dropout: after each ReLU.

    Shapes:
        input (batch, joints, in_channels), output (batch, joints, out_channels).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        adjacency: Bool[Tensor, "joints joints"],
        *,
        hidden: int = 128,
        blocks: int = 4,
        groups: Groups | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [GraphLayer(in_channels, hidden, adjacency, dropout)]
        if groups is not None:
            layers.append(NonLocalBlock(hidden, groups))
        for _ in range(blocks):
            layers.append(ResidualBlock(hidden, adjacency, dropout))
            if groups is not None:
                layers.append(NonLocalBlock(hidden, groups))
        self.body = nn.Sequential(*layers)
        self.head = SemanticGraphConvolution(hidden, out_channels, adjacency)

    def forward(self, inputs: Float[Tensor, "batch joints in"]) -> Float[Tensor, "batch joints out"]:
        """One value per joint and output channel."""
        features = self.body(inputs.transpose(0, 1).contiguous())
        return self.head.joints_first(features).transpose(0, 1)
