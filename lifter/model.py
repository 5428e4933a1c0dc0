"""The lifters that are trained, of any architecture, and their checkpoints.

The networks themselves work in metres, which keeps their numbers near one.
"""

from __future__ import annotations

import copy
import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from evolift.lifter.architecture import FORMS
from evolift.lifter.joint_uncertainty import LiftedJoints, sigma_of_output
from evolift.lifter.lifter import FoldedLifter, Lifter
from evolift.lifter.network import Network
from evolift.lifter.networks.cascade import Cascade
from evolift.lifter.networks.graformer import GraFormer
from evolift.lifter.networks.martinez import Martinez
from evolift.lifter.networks.modulated_graph_convolution import ModulatedGraphConvolution
from evolift.lifter.networks.semantic_graph_convolution import SemanticGraphConvolution
from evolift.lifter.networks.semgcn import Convolution, SemGCN
from evolift.lifter.networks.skeleton_graph import adjacency
from evolift.lifter.normalisation import MM_PER_M
from evolift.lifter.settings import LifterSettings
from evolift.posedata.errors import InputError
from evolift.training.checkpoint import CheckpointedModel


class LifterModel(Lifter, CheckpointedModel):
    """A lifter of any architecture.

    Args:
        settings: what to build.

    Attributes:
        network: the network in metres, in its own joint order; its parameters are all there are.
        sigma_factor: what the sigma of each joint is multiplied with, see `evolift.lifter.calibration`; the root's is 0. Only of
            lifters that tell a sigma.
    """

    stage = "lifter"
    settings_class = LifterSettings
    settings: LifterSettings
    order: Tensor
    place: Tensor
    sigma_factor: Tensor

    def __init__(self, settings: LifterSettings) -> None:
        super().__init__()
        self.settings = settings
        self.network = _build(settings)
        order = torch.tensor(settings.order)
        self.register_buffer("order", order, persistent=False)
        self.register_buffer("place", order.argsort(), persistent=False)
        if settings.uncertainty:
            factor = torch.ones(len(settings.skeleton))
            factor[settings.skeleton.root] = 0
            self.register_buffer("sigma_factor", factor)

    def forward(self, inputs: Float[Tensor, "batch joints axes"]) -> Float[Tensor, "batch joints out"]:
        """Root-relative joints, mm, not yet turned, from normalised input.

        Args:
            inputs: normalised by this lifter's own rule, see `lift` for pixels.

        Returns:
            (batch, joints, 3), or (batch, joints, 1) for target `z`. The root is exactly 0.

        Raises:
            InputError: the number of joints or axes is another one.
        """
        return self._lifted(self.network(self._in_order(inputs))).joints

    def with_sigma(self, inputs: Float[Tensor, "batch joints axes"]) -> LiftedJoints:
        """As `forward`, with sigma (batch, joints) in mm if `settings.uncertainty`.

        Raises:
            InputError: as of `forward`.
        """
        return self._lifted(self.network(self._in_order(inputs)))

    def stages(self, inputs: Float[Tensor, "batch joints axes"]) -> Float[Tensor, "stages batch joints out"]:
        """As `forward`, the answer of each stage of a cascade; of the other architectures the one answer."""
        return self.stages_with_sigma(inputs).joints

    def stages_with_sigma(self, inputs: Float[Tensor, "batch joints axes"]) -> LiftedJoints:
        """As `with_sigma`, (stages, batch, ...): the answer of each stage of a cascade; of the other architectures the one answer."""
        return self._lifted(self.network.stages(self._in_order(inputs)))

    def folded(self) -> FoldedLifter:
        """A copy for inference, its network folded (see `Network.folded`)."""
        result = copy.deepcopy(self)
        result.network = self.network.folded()
        return FoldedLifter(result)

    def _in_order(self, inputs: Tensor) -> Tensor:
        expected = (len(self.skeleton), self.settings.input_axes)
        if inputs.shape[1:] != expected:
            raise InputError(
                f"this lifter takes {expected[0]} joints of {self.skeleton.name} with {expected[1]} axes, got {tuple(inputs.shape[1:])}"
            )
        return inputs if self.settings.joint_order == "declared" else inputs[:, self.order]

    def _lifted(self, output: Tensor) -> LiftedJoints:
        """What the network's output says: metres, and behind them, if it tells it, how sure it is."""
        if self.settings.joint_order != "declared":
            output = output[..., self.place, :]
        axes, root, sigma = self.settings.target_axes, self.skeleton.root, None
        if self.settings.uncertainty:
            sigma = sigma_of_output(output[..., axes], axes) * self.sigma_factor
            output = output[..., :axes]
        return LiftedJoints((output - output[..., root : root + 1, :]) * MM_PER_M, sigma)


def _build(settings: LifterSettings) -> Network:
    hidden, blocks, dropout = settings.sizes
    joints = len(settings.skeleton)
    if settings.architecture == "martinez":
        return Martinez(
            joints, settings.input_axes, settings.output_axes, hidden=hidden, blocks=blocks, dropout=dropout
        )
    if settings.architecture == "cascade":
        return Cascade(
            joints,
            settings.input_axes,
            settings.output_axes,
            stages=settings.stage_count,
            hidden=hidden,
            blocks=blocks,
            dropout=dropout,
        )
    order = list(settings.order)
    neighbours = adjacency(settings.skeleton)[order][:, order]
    if settings.architecture == "graformer":
        return GraFormer(
            settings.input_axes,
            settings.output_axes,
            neighbours,
            hidden=hidden,
            blocks=blocks,
            heads=FORMS[settings.architecture].heads,
            dropout=dropout,
        )
    groups = settings.groups
    if groups is not None:
        groups = tuple(tuple(order.index(joint) for joint in group) for group in groups)
    convolution: Convolution = SemanticGraphConvolution
    if settings.architecture == "modulated-gcn":
        convolution = ModulatedGraphConvolution
    elif settings.architecture == "semgcn-graph":
        # Here, because torch-geometric is slow to load and only this architecture needs it.
        from evolift.lifter.networks.graph_form import SemanticGraphMessagePassing  # noqa: PLC0415

        convolution = SemanticGraphMessagePassing
    return SemGCN(
        settings.input_axes,
        settings.output_axes,
        neighbours,
        hidden=hidden,
        blocks=blocks,
        groups=groups,
        dropout=dropout,
        convolution=convolution,
    )


def parameter_count(model: nn.Module) -> int:
    """Number of parameters of a model, all tensors together."""
    return sum(math.prod(parameter.shape) for parameter in model.parameters())
