"""The residual multi-layer perceptron of Martinez et al. 2017, a simple and strong baseline."""

from __future__ import annotations

from typing import cast

from jaxtyping import Float
from torch import Tensor, nn


def dense_layer(in_features: int, out_features: int, dropout: float) -> nn.Sequential:
    """Linear map, batch norm, ReLU, dropout."""
    linear = nn.Linear(in_features, out_features)
    nn.init.kaiming_normal_(linear.weight)
    return nn.Sequential(linear, nn.BatchNorm1d(out_features), nn.ReLU(), nn.Dropout(dropout))


class _Block(nn.Module):
    def __init__(self, hidden: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            dense_layer(hidden, hidden, dropout), dense_layer(hidden, hidden, dropout)
        )

    def forward(self, features: Float[Tensor, "batch hidden"]) -> Float[Tensor, "batch hidden"]:
        return features + cast(Tensor, self.layers(features))


class Martinez(nn.Module):
    """All joints at once through two residual blocks of two layers (linear, batch norm, ReLU, dropout).

    Args:
        joints: number of joints.
        in_channels, out_channels: per joint.
        hidden: features inside.
        blocks: residual blocks.
        dropout: after each ReLU.

    Shapes:
        input (batch, joints, in_channels), output (batch, joints, out_channels).
    """

    def __init__(
        self,
        joints: int,
        in_channels: int,
        out_channels: int,
        *,
        hidden: int = 1024,
        blocks: int = 2,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.shape = (joints, out_channels)
        self.layers = nn.Sequential(
            dense_layer(joints * in_channels, hidden, dropout),
            *(_Block(hidden, dropout) for _ in range(blocks)),
            nn.Linear(hidden, joints * out_channels),
        )

    def forward(self, inputs: Float[Tensor, "batch joints in"]) -> Float[Tensor, "batch joints out"]:
        """One value per joint and output channel."""
        return cast(Tensor, self.layers(inputs.flatten(1))).view(-1, *self.shape)
