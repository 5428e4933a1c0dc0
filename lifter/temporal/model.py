"""The temporal lifter: 2D joints of consecutive frames in, a 3D pose for each of them out."""

from __future__ import annotations

import copy

import torch
from jaxtyping import Float
from torch import Tensor

from evolift.lifter.lifter import FoldedLifter, Lifter
from evolift.lifter.networks.modulated_graph_convolution import ModulatedGraphConvolution
from evolift.lifter.networks.semantic_graph_convolution import SemanticGraphConvolution
from evolift.lifter.networks.semgcn import Convolution
from evolift.lifter.networks.skeleton_graph import adjacency
from evolift.lifter.normalisation import MM_PER_M
from evolift.lifter.temporal.network import TemporalGraphNetwork
from evolift.lifter.temporal.settings import FRAMES, TemporalSettings
from evolift.posedata.errors import InputError
from evolift.training.checkpoint import CheckpointedModel

_CONVOLUTIONS: dict[str, Convolution] = {
    "modulated-gcn": ModulatedGraphConvolution,
    "semgcn": SemanticGraphConvolution,
}
FRAMES_AT_ONCE = 128
"""Answers of a clip that are computed together, so that memory does not grow with the clip."""


class TemporalLifter(Lifter, CheckpointedModel):
    """A lifter that sees some frames of a clip together.

    As a `Lifter` it takes for its batch the consecutive frames of one person, `settings.frames_per_second` of them a second.
    Where frames before the first or behind the last are looked at, these are repeated.

    Args:
        settings: what to build.
    """

    stage = "temporal-lifter"
    settings_class = TemporalSettings
    settings: TemporalSettings

    def __init__(self, settings: TemporalSettings) -> None:
        super().__init__()
        self.settings = settings
        hidden, blocks, dropout = settings.sizes
        self.network = TemporalGraphNetwork(
            settings.input_axes,
            settings.output_axes,
            adjacency(settings.skeleton),
            _CONVOLUTIONS[settings.architecture],
            levels=FRAMES.index(settings.frames) + 2,
            hidden=hidden,
            blocks=blocks,
            dropout=dropout,
            causal=settings.causal,
        )

    def forward(self, inputs: Float[Tensor, "frames joints axes"]) -> Float[Tensor, "frames joints 3"]:
        """Root-relative joints, mm, not yet turned, of each frame of one clip.

        Args:
            inputs: of consecutive frames, normalised by this lifter's own rule, see `lift` for pixels.

        Raises:
            InputError: the number of joints or axes is another one.
        """
        self._check(inputs)
        if not len(inputs):
            return inputs.new_zeros(0, len(self.skeleton), 3)
        padded, span = self._padded(inputs), self.settings.frames - 1
        parts = [
            self.network.over(padded[at : at + FRAMES_AT_ONCE + span])
            for at in range(0, len(inputs), FRAMES_AT_ONCE)
        ]
        return self._relative_mm(torch.cat(parts))

    def at_once(self, inputs: Float[Tensor, "frames joints axes"]) -> Float[Tensor, "frames joints 3"]:
        """As `forward`, of all frames together: at least one, and memory grows with them."""
        return self._relative_mm(self.network.over(self._padded(inputs)))

    def windows(self, inputs: Float[Tensor, "batch frames joints axes"]) -> Float[Tensor, "batch joints 3"]:
        """As `forward`, of the one frame of each window that is answered for (`settings.target_frame`); for training.

        Args:
            inputs: windows of `settings.frames` frames.

        Raises:
            InputError: the number of frames, joints or axes is another one.
        """
        self._check(inputs)
        if inputs.shape[1] != self.settings.frames:
            raise InputError(
                f"this lifter sees {self.settings.frames} frames together, got {inputs.shape[1]}"
            )
        return self._relative_mm(self.network(inputs))

    def folded(self) -> FoldedLifter:
        """A copy for inference, its batch norms a part of its weights."""
        result = copy.deepcopy(self)
        result.network.fold()
        return FoldedLifter(result)

    def _padded(self, inputs: Tensor) -> Tensor:
        """The frames that are seen for the answers to some frames."""
        target, span = self.settings.target_frame, self.settings.frames - 1
        before, behind = inputs[:1].expand(target, -1, -1), inputs[-1:].expand(span - target, -1, -1)
        return torch.cat([before, inputs, behind])

    def _check(self, inputs: Tensor) -> None:
        expected = (len(self.skeleton), self.settings.input_axes)
        if inputs.shape[-2:] != expected:
            raise InputError(
                f"this lifter takes {expected[0]} joints of {self.skeleton.name} with {expected[1]} axes, got {tuple(inputs.shape[-2:])}"
            )

    def _relative_mm(self, metres: Tensor) -> Tensor:
        root = self.skeleton.root
        relative: Tensor = (metres - metres[..., root : root + 1, :]) * MM_PER_M
        return relative
