"""A cascade of multi-layer perceptrons, each correcting the estimate of the one before (Li et al. 2020)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from evolift.lifter.network import Network
from evolift.lifter.networks.martinez import Martinez, with_folded_layers


class Cascade(Network):
    r"""Stages :math:`y_1 = f_1(x)`, :math:`y_{n+1} = y_n + f_{n+1}(x, y_n)`.

    Each f is a residual perceptron (`martinez`). From `stages` no gradient flows from a stage into the one before:
    training on the losses of all stages together trains each to correct what the earlier ones leave.

    Args:
        joints: number of joints.
        in_channels, out_channels: per joint.
        stages: how many, at least 1.
        hidden, blocks, dropout: of each stage.

    Shapes:
        input (batch, joints, in_channels), output (batch, joints, out_channels).
    """

    def __init__(
        self,
        joints: int,
        in_channels: int,
        out_channels: int,
        *,
        stages: int = 2,
        hidden: int = 1024,
        blocks: int = 2,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        widths = [in_channels] + [in_channels + out_channels] * (stages - 1)
        self.parts = nn.ModuleList(
            Martinez(joints, width, out_channels, hidden=hidden, blocks=blocks, dropout=dropout)
            for width in widths
        )

    def stages(self, inputs: Float[Tensor, "batch joints in"]) -> Float[Tensor, "stages batch joints out"]:
        """The estimates after each stage of the cascade, along the first axis."""
        estimates: list[Tensor] = [self.parts[0](inputs)]
        for part in self.parts[1:]:
            last = estimates[-1].detach()
            estimates.append(last + part(torch.cat([inputs, last], -1)))
        return torch.stack(estimates)

    def forward(self, inputs: Float[Tensor, "batch joints in"]) -> Float[Tensor, "batch joints out"]:
        """The estimate after the last stage; unlike `stages`, differentiable through all of them."""
        estimate: Tensor = self.parts[0](inputs)
        for part in self.parts[1:]:
            estimate = estimate + part(torch.cat([inputs, estimate], -1))
        return estimate

    def folded(self) -> Network:
        """A copy for inference, see `Network.folded`."""
        return with_folded_layers(self)
