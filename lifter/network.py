"""What every network inside a lifter can do."""

from __future__ import annotations

import abc
from typing import cast

from jaxtyping import Float
from torch import Tensor, nn


class Network(nn.Module, abc.ABC):
    """2D joints in, 3D joints in metres out.

    Shapes:
        input (batch, joints, in_channels), output (batch, joints, out_channels).
    """

    @abc.abstractmethod
    def forward(self, inputs: Float[Tensor, "batch joints in"]) -> Float[Tensor, "batch joints out"]:
        """One value per joint and output channel."""

    @abc.abstractmethod
    def folded(self) -> Network:
        r"""A copy for inference that gives the same numbers in less time; its weights have no gradients.

        Batch norms in evaluation mode are linear maps and become part of the ones before them:

        .. math:: W' = W \gamma / \sigma, \qquad b' = (b - \mu) \gamma / \sigma + \beta
        """

    def stages(self, inputs: Float[Tensor, "batch joints in"]) -> Float[Tensor, "stages batch joints out"]:
        """The estimates that are trained: the one answer, unless the network has more."""
        return cast(Tensor, self(inputs))[None]
