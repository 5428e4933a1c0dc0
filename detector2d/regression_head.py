"""The head without heatmaps: joints as a linear function of the pooled features (row R of the report's table)."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

INITIAL_SPREAD = 0.001


class RegressionHead(nn.Module):
    """Global mean of the coarsest feature map, then one linear layer.

    Args:
        channels: of the coarsest feature map.
        joints: how many.
        dimensions: 2, or 3 with depth.
    """

    def __init__(self, channels: int, joints: int, dimensions: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, joints * dimensions)
        self.joints, self.dimensions = joints, dimensions
        nn.init.normal_(self.linear.weight, std=INITIAL_SPREAD)
        nn.init.zeros_(self.linear.bias)

    def forward(self, features: list[Tensor]) -> Float[Tensor, "batch joints axes"]:
        """Joints in fractions of the crop (see `crop`); before training, all in its middle."""
        pooled = features[-1].mean((2, 3))
        joints: Tensor = self.linear(pooled).reshape(-1, self.joints, self.dimensions)
        return joints
