"""The residual multi-layer perceptron of Martinez et al. 2017, a simple and strong baseline."""

from __future__ import annotations

import copy
from typing import TypeVar, cast

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_linear_bn_eval

from evolift.lifter.network import Network

_Module = TypeVar("_Module", bound=nn.Module)


class DenseLayer(nn.Sequential):
    """Linear map, batch norm, ReLU, dropout."""

    def __init__(self, in_features: int, out_features: int, dropout: float) -> None:
        linear = nn.Linear(in_features, out_features)
        nn.init.kaiming_normal_(linear.weight)
        super().__init__(linear, nn.BatchNorm1d(out_features), nn.ReLU(), nn.Dropout(dropout))


def with_folded_layers(network: _Module) -> _Module:
    """A copy for inference whose `DenseLayer`s are one linear map and ReLU (see `Network.folded`)."""
    result = copy.deepcopy(network).eval().requires_grad_(False)
    for layer in list(result.modules()):
        if isinstance(layer, DenseLayer):
            linear, norm, _, _ = layer
            assert isinstance(linear, nn.Linear)
            assert isinstance(norm, nn.BatchNorm1d)
            layer[0] = fuse_linear_bn_eval(linear, norm)
            del layer[3], layer[1]
    return result


class _Block(nn.Module):
    def __init__(self, hidden: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(DenseLayer(hidden, hidden, dropout), DenseLayer(hidden, hidden, dropout))

    def forward(self, features: Float[Tensor, "batch hidden"]) -> Float[Tensor, "batch hidden"]:
        return features + cast(Tensor, self.layers(features))


class Martinez(Network):
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
            DenseLayer(joints * in_channels, hidden, dropout),
            *(_Block(hidden, dropout) for _ in range(blocks)),
            nn.Linear(hidden, joints * out_channels),
        )

    def forward(self, inputs: Float[Tensor, "batch joints in"]) -> Float[Tensor, "batch joints out"]:
        """One value per joint and output channel."""
        return cast(Tensor, self.layers(inputs.flatten(1))).view(-1, *self.shape)

    def folded(self) -> Network:
        """A copy for inference, see `Network.folded`."""
        return with_folded_layers(self)
