"""SemGCN: the semantic graph convolutional network (Zhao et al. 2019)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from evolift.lifter.networks.dropout import dropout
from evolift.lifter.networks.folded_semgcn import ROWS_AT_ONCE, FoldedLayer, folded
from evolift.lifter.networks.fused_graph_layer import fused_graph_layer
from evolift.lifter.networks.joint_groups import Groups
from evolift.lifter.networks.non_local import NonLocalBlock
from evolift.lifter.networks.semantic_graph_convolution import SemanticGraphConvolution, mixings


class GraphLayer(nn.Module):
    """Graph convolution, batch norm over channels, ReLU, optional dropout; (batch, joints, channels)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        adjacency: Bool[Tensor, "joints joints"],
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.convolution = SemanticGraphConvolution(in_channels, out_channels, adjacency)
        self.norm: nn.Module = nn.BatchNorm1d(out_channels)
        self.dropout = dropout

    def forward(
        self, features: Float[Tensor, "batch joints in"], mixing: Float[Tensor, "joints twice"]
    ) -> Float[Tensor, "batch joints out"]:
        """The four operations in turn; `mixing` is that of the convolution, see `mixings`."""
        layer = self.convolution
        if self.training and self._may_fuse(features):
            assert isinstance(self.norm, nn.BatchNorm1d)
            out = fused_graph_layer(features, mixing, layer.weight, layer.bias, self.norm)
        else:
            out = layer(features, mixing)
            out = F.relu(self.norm(out.flatten(0, 1)).view_as(out))
        return dropout(out, self.dropout) if self.dropout and self.training else out

    def _may_fuse(self, features: Tensor) -> bool:
        # A norm synchronised between devices, and mixed precision, need the operations one by one.
        return type(self.norm) is nn.BatchNorm1d and not torch.is_autocast_enabled(features.device.type)


class ResidualBlock(nn.Module):
    """Two graph layers with a shortcut; (batch, joints, channels)."""

    def __init__(self, channels: int, adjacency: Bool[Tensor, "joints joints"], dropout: float = 0.0) -> None:
        super().__init__()
        self.first = GraphLayer(channels, channels, adjacency, dropout)
        self.second = GraphLayer(channels, channels, adjacency, dropout)

    def forward(
        self, features: Float[Tensor, "batch joints channels"], mixing: Iterator[Tensor]
    ) -> Float[Tensor, "batch joints channels"]:
        """Features plus second(first(features)); takes two mixings."""
        inner = self.first(features, next(mixing))
        out: Tensor = features + self.second(inner, next(mixing))
        return out


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
        self.body = nn.ModuleList(layers)
        self.head = SemanticGraphConvolution(hidden, out_channels, adjacency)
        self._folded: tuple[tuple[tuple[int, int], ...], list[FoldedLayer]] | None = None

    def convolutions(self) -> list[SemanticGraphConvolution]:
        """All graph convolutions in the order of the forward pass."""
        return [module for module in self.modules() if isinstance(module, SemanticGraphConvolution)]

    def forward(self, inputs: Float[Tensor, "batch joints in"]) -> Float[Tensor, "batch joints out"]:
        """One value per joint and output channel."""
        is_plain = torch.compiler.is_compiling()  # a graph to be exported holds no Python loop over the batch
        if not (
            self.training
            or torch.is_grad_enabled()
            or torch.is_autocast_enabled(inputs.device.type)
            or is_plain
        ):
            return self._infer(inputs)
        self._folded = None
        mixing = iter(mixings(self.convolutions()).unbind())
        features = inputs
        for layer in self.body:
            if isinstance(layer, ResidualBlock):
                features = layer(features, mixing)
            elif isinstance(layer, GraphLayer):
                features = layer(features, next(mixing))
            else:
                features = layer(features)
        out: Tensor = self.head(features, next(mixing))
        return out

    def train(self, mode: bool = True) -> SemGCN:
        """Switch between training and evaluation."""
        if mode:
            self._folded = None
        return super().train(mode)

    def _infer(self, inputs: Tensor) -> Tensor:
        """`forward` in evaluation mode without gradients, some poses at a time."""
        folds = self._folds()
        parts = [self._infer_some(part, folds) for part in torch.split(inputs, ROWS_AT_ONCE)]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _infer_some(self, inputs: Tensor, folds: list[FoldedLayer]) -> Tensor:
        fold = iter(folds)
        features = inputs.contiguous()
        for layer in self.body:
            if isinstance(layer, ResidualBlock):
                inner = next(fold)(features).relu_()
                features = next(fold)(inner).relu_().add_(features)
            elif isinstance(layer, GraphLayer):
                features = next(fold)(features).relu_()
            else:
                features = layer(features)
        return next(fold)(features)

    def _folds(self) -> list[FoldedLayer]:
        # Kept as long as no parameter or statistic was replaced or written to. Torch's version counters tell, but
        # fused optimisers do not move them: so only for a frozen network, and not over a pass with gradients.
        state = [
            tensor
            for module in self.modules()
            for held in (module._parameters, module._buffers)  # parameters() and buffers() take twice as long
            for tensor in held.values()
            if tensor is not None
        ]
        frozen = not any(tensor.requires_grad or tensor.is_inference() for tensor in state)
        key = tuple((tensor.data_ptr(), tensor._version) for tensor in state) if frozen else ()
        if self._folded is None or not frozen or self._folded[0] != key:
            norms = [cast(nn.BatchNorm1d, m.norm) for m in self.modules() if isinstance(m, GraphLayer)]
            layers = self.convolutions()
            self._folded = (
                key,
                [
                    folded(layer, mixing, norm)
                    for layer, mixing, norm in zip(layers, mixings(layers), [*norms, None], strict=True)
                ],
            )
        return self._folded[1]
