"""Graph networks through time: graph convolutions in space, and dilated convolutions of each joint's features over frames.

The levels over time are the residual blocks of VideoPose3D (Pavllo et al. 2019), with a graph layer where it has a layer over
all joints at once, so that the parameters do not grow with the skeleton. Behind them the residual blocks of SemGCN, or of
Modulated GCN, work on the one frame that is left.
"""

from __future__ import annotations

from typing import cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from evolift.lifter.networks.dropout import dropout
from evolift.lifter.networks.graph_convolution import GraphConvolution
from evolift.lifter.networks.semgcn import Convolution, GraphLayer, ResidualBlock


class TemporalLevel(nn.Module):
    r"""Three frames become one.

    .. math:: y_t = x_t + g(\mathrm{ReLU}(\mathrm{BN}(W_- x_{t-s} + W_0 x_t + W_+ x_{t+s})))

    with a graph layer g and weights that all joints share; of a causal level the three frames are t - 2s, t - s and t.

    Args:
        channels: of x and y.
        adjacency: of the skeleton.
        dropout: after each ReLU.
        convolution: of the graph layer.
        causal: whether y is of the last of the three frames, not of the middle one.
    """

    def __init__(
        self,
        channels: int,
        adjacency: Bool[Tensor, "joints joints"],
        dropout: float,
        convolution: Convolution,
        *,
        causal: bool,
    ) -> None:
        super().__init__()
        self.convolution = nn.Linear(3 * channels, channels)
        self.norm: nn.Module = nn.BatchNorm1d(channels)
        self.graph: nn.Module = GraphLayer(channels, channels, adjacency, dropout, convolution)
        self.dropout, self.kept = dropout, 2 if causal else 1

    def forward(
        self, features: Float[Tensor, "batch frames joints channels"], step: int | None = None
    ) -> Float[Tensor, "batch left joints channels"]:
        """The answers of each frame, or of each third.

        Args:
            features: of the frames.
            step: frames from one of the three to the next (s above), so that `frames - 2 step` are left; None for windows of
                three frames side by side, of which a third is left. Both give the same numbers, where both answer.
        """
        frames = features.shape[1]
        if step is None:
            three = features.reshape(len(features), frames // 3, 3, *features.shape[2:])
            kept, joined = three[:, :, self.kept], three.transpose(2, 3).flatten(-2)
        else:
            parts = [features[:, at * step : frames - (2 - at) * step] for at in range(3)]
            kept, joined = parts[self.kept], torch.cat(parts, -1)
        mixed = F.relu(self.norm(self.convolution(joined).flatten(0, 2)))
        if self.dropout and self.training:
            mixed = dropout(mixed, self.dropout)
        left: Tensor = self.graph(mixed.view(-1, *kept.shape[2:]))
        answer: Tensor = kept + left.view_as(kept)
        return answer

    @torch.no_grad()
    def fold(self) -> None:
        """Make the batch norms a part of the weights (see `Network.folded`), in place."""
        norm = cast(nn.BatchNorm1d, self.norm)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        self.convolution.weight.mul_(scale[:, None])
        self.convolution.bias.copy_((self.convolution.bias - norm.running_mean) * scale + norm.bias)
        self.norm, self.graph = nn.Identity(), cast(GraphLayer, self.graph).folded()


class TemporalGraphNetwork(nn.Module):
    """An input layer, levels over time, residual blocks and an output convolution.

    Args:
        in_channels, out_channels: per joint, for example 2 and 3.
        adjacency: of the skeleton, see `skeleton_graph`.
        convolution: SemGCN's, or that of another network of its form.
        levels: over time; 3 to the power of so many frames are seen together.
        hidden: channels inside.
        blocks: residual blocks.
        dropout: after each ReLU.
        causal: whether the answer is for the last frame, not for the middle one.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        adjacency: Bool[Tensor, "joints joints"],
        convolution: Convolution,
        *,
        levels: int,
        hidden: int = 128,
        blocks: int = 4,
        dropout: float = 0.0,
        causal: bool = False,
    ) -> None:
        super().__init__()
        self.entry: nn.Module = GraphLayer(in_channels, hidden, adjacency, dropout, convolution)
        self.levels = nn.ModuleList(
            TemporalLevel(hidden, adjacency, dropout, convolution, causal=causal) for _ in range(levels)
        )
        self.blocks = nn.Sequential(
            *(ResidualBlock(hidden, adjacency, dropout, convolution) for _ in range(blocks))
        )
        self.head: nn.Module = convolution(hidden, out_channels, adjacency)

    def forward(self, windows: Float[Tensor, "batch frames joints in"]) -> Float[Tensor, "batch joints out"]:
        """One answer for each window; how it is trained.

        Args:
            windows: of exactly the frames that are seen together.
        """
        features = self._entered(windows)
        for level in self.levels:
            features = level(features)
        return cast(Tensor, self.head(self.blocks(features[:, 0])))

    def over(self, frames: Float[Tensor, "frames joints in"]) -> Float[Tensor, "left joints out"]:
        """The answers of all windows of consecutive frames, each layer computed once for each frame; how clips are lifted.

        Args:
            frames: of one clip, at least as many as are seen together; the answers are fewer by these less one.
        """
        features = self._entered(frames[None])
        for number, level in enumerate(self.levels):
            features = level(features, 3**number)
        return cast(Tensor, self.head(self.blocks(features[0])))

    def _entered(self, frames: Tensor) -> Tensor:
        entered: Tensor = self.entry(frames.flatten(0, 1).contiguous())
        return entered.view(*frames.shape[:2], *entered.shape[1:])

    def fold(self) -> None:
        """Make all batch norms a part of the weights (see `Network.folded`), in place; for inference alone."""
        self.entry = cast(GraphLayer, self.entry).folded()
        for level in self.levels:
            cast(TemporalLevel, level).fold()
        self.blocks = nn.Sequential(*(cast(ResidualBlock, block).folded() for block in self.blocks))
        self.head = cast(GraphConvolution, self.head).folded()
        self.eval().requires_grad_(False)
