"""SemGCN: the semantic graph convolutional network (Zhao et al. 2019), and networks that differ in the convolution alone."""

from __future__ import annotations

from typing import cast

from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from evolift.lifter.network import Network
from evolift.lifter.networks.dropout import dropout
from evolift.lifter.networks.folded_layers import FoldedNetwork, FoldedResidualBlock
from evolift.lifter.networks.graph_convolution import GraphConvolution
from evolift.lifter.networks.joint_groups import Groups
from evolift.lifter.networks.non_local import NonLocalBlock
from evolift.lifter.networks.semantic_graph_convolution import SemanticGraphConvolution

Convolution = type[GraphConvolution]


class GraphLayer(nn.Module):
    """Graph convolution, batch norm over channels, ReLU, dropout; arguments as of `SemGCN`.

    Shapes:
        input (batch, joints, in_channels), output (batch, joints, out_channels).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        adjacency: Bool[Tensor, "joints joints"],
        dropout: float,
        convolution: Convolution,
    ) -> None:
        super().__init__()
        self.convolution = convolution(in_channels, out_channels, adjacency)
        self.norm = nn.BatchNorm1d(out_channels)
        self.dropout = dropout

    def forward(self, features: Float[Tensor, "batch joints in"]) -> Float[Tensor, "batch joints out"]:
        """Convolution, batch norm, ReLU and, in training, dropout."""
        convolved: Tensor = self.convolution(features)
        out = F.relu(self.norm(convolved.flatten(0, 1))).view_as(convolved)
        return dropout(out, self.dropout) if self.dropout and self.training else out

    def folded(self) -> nn.Module:
        """For inference, see `Network.folded`."""
        return nn.Sequential(self.convolution.folded(self.norm), nn.ReLU(inplace=True))


class ResidualBlock(nn.Module):
    """x + second(first(x)), both graph layers; arguments as of `SemGCN`.

    Shapes:
        input and output (batch, joints, channels).
    """

    def __init__(
        self,
        channels: int,
        adjacency: Bool[Tensor, "joints joints"],
        dropout: float,
        convolution: Convolution,
    ) -> None:
        super().__init__()
        self.first = GraphLayer(channels, channels, adjacency, dropout, convolution)
        self.second = GraphLayer(channels, channels, adjacency, dropout, convolution)

    def forward(
        self, features: Float[Tensor, "batch joints channels"]
    ) -> Float[Tensor, "batch joints channels"]:
        """The input plus what both layers make of it."""
        return features + cast(Tensor, self.second(self.first(features)))

    def folded(self) -> nn.Module:
        """For inference, see `Network.folded`."""
        return FoldedResidualBlock(nn.Sequential(self.first.folded(), self.second.folded()))


class SemGCN(Network):
    """An input layer, residual blocks and an output convolution, with non-local blocks between if wanted.

    Args:
        in_channels, out_channels: per joint, for example 2 and 3.
        adjacency: of the skeleton, see `skeleton_graph`.
        hidden: channels inside.
        blocks: residual blocks.
        groups: of the non-local blocks; None for a network without them.
        dropout: after each ReLU.
        convolution: SemGCN's in its dense form, `graph_form.SemanticGraphMessagePassing`, or that of another network of
            this form: `modulated_graph_convolution.ModulatedGraphConvolution` makes it Modulated GCN.

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
        convolution: Convolution = SemanticGraphConvolution,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [GraphLayer(in_channels, hidden, adjacency, dropout, convolution)]
        if groups is not None:
            layers.append(NonLocalBlock(hidden, groups))
        for _ in range(blocks):
            layers.append(ResidualBlock(hidden, adjacency, dropout, convolution))
            if groups is not None:
                layers.append(NonLocalBlock(hidden, groups))
        self.body = nn.Sequential(*layers)
        self.head = convolution(hidden, out_channels, adjacency)

    def forward(self, inputs: Float[Tensor, "batch joints in"]) -> Float[Tensor, "batch joints out"]:
        """One value per joint and output channel."""
        return cast(Tensor, self.head(self.body(inputs)))

    def folded(self) -> Network:
        """A copy for inference; of both forms of the convolution the dense one."""
        layers = [cast(GraphLayer | ResidualBlock | NonLocalBlock, layer).folded() for layer in self.body]
        return FoldedNetwork(nn.Sequential(*layers, self.head.folded()))
