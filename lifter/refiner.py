"""A denoising autoencoder that mends 3D poses, on top of any lifter (after Ghosh et al. 2017).

It has seen clean poses with noise and masked joints and learnt to give the clean ones back, so it moves what a
lifter says towards what bodies do. In and out: root-relative joints in the camera frame, mm.
"""

from __future__ import annotations

from itertools import pairwise
from typing import cast

from jaxtyping import Float
from torch import Tensor, nn

from evolift.lifter.joint_uncertainty import LiftedJoints
from evolift.lifter.lifter import FoldedLifter, Lifter
from evolift.lifter.networks.martinez import DenseLayer, with_folded_layers
from evolift.lifter.normalisation import MM_PER_M
from evolift.lifter.settings import RefinerSettings
from evolift.posedata.errors import InputError
from evolift.posedata.skeleton import Skeleton
from evolift.training.checkpoint import CheckpointedModel


class DenoisingAutoencoder(nn.Module):
    r"""A correction through a narrow code, added to the input.

    .. math:: y = x + d(e(x))

    with e and d of linear layers, each with batch norm, ReLU and dropout. The last layer begins at 0 and the
    network so as the identity.

    Args:
        joints: number of joints.
        hidden, layers, code, dropout: see `RefinerSettings`.

    Shapes:
        input and output (batch, joints, 3), metres.
    """

    def __init__(self, joints: int, *, hidden: int, layers: int, code: int, dropout: float) -> None:
        super().__init__()
        widths = [joints * 3, *[hidden] * layers, code, *[hidden] * layers]
        last = nn.Linear(widths[-1], joints * 3)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        inner = (DenseLayer(before, after, dropout) for before, after in pairwise(widths))
        self.layers = nn.Sequential(*inner, last)

    def forward(self, joints: Float[Tensor, "batch joints 3"]) -> Float[Tensor, "batch joints 3"]:
        """The output y of the class's equation."""
        return joints + cast(Tensor, self.layers(joints.flatten(1))).view_as(joints)


class RefinerModel(CheckpointedModel):
    """A refiner of poses.

    Args:
        settings: what to build.
    """

    stage = "refiner"
    settings_class = RefinerSettings
    settings: RefinerSettings

    def __init__(self, settings: RefinerSettings) -> None:
        super().__init__()
        self.settings = settings
        self.network = DenoisingAutoencoder(
            len(settings.skeleton),
            hidden=settings.hidden,
            layers=settings.layers,
            code=settings.code,
            dropout=settings.dropout,
        )

    @property
    def skeleton(self) -> Skeleton:
        """The skeleton of the poses that are refined."""
        return self.settings.skeleton

    def forward(self, joints: Float[Tensor, "batch joints 3"]) -> Float[Tensor, "batch joints 3"]:
        """Mended poses.

        Args:
            joints: in the camera frame, mm, root-relative.

        Returns:
            Of the same kind; the root is exactly 0.

        Raises:
            InputError: the number of joints is another one.
        """
        if joints.shape[1] != len(self.skeleton):
            raise InputError(
                f"this refiner takes {len(self.skeleton)} joints of {self.skeleton.name}, got {joints.shape[1]}"
            )
        root = self.skeleton.root
        metres: Tensor = self.network(joints / MM_PER_M)
        return (metres - metres[:, root : root + 1]) * MM_PER_M


class Refined(Lifter):
    """A lifter with a refiner on its output, used like the lifter itself.

    Args:
        lifter: of target `xyz`.
        refiner: of the same skeleton.

    Raises:
        InputError: they do not fit.
    """

    def __init__(self, lifter: Lifter, refiner: RefinerModel) -> None:
        super().__init__()
        if lifter.skeleton != refiner.skeleton:
            raise InputError(
                f"the lifter gives {lifter.skeleton.name} and the refiner takes {refiner.skeleton.name}: use two of the same skeleton"
            )
        if lifter.settings.target != "xyz":
            raise InputError(
                "this lifter gives depth alone (target z): put the refiner on a lifter of target xyz"
            )
        self.settings = lifter.settings
        self.lifter, self.refiner = lifter, refiner

    def forward(self, inputs: Float[Tensor, "batch joints axes"]) -> Float[Tensor, "batch joints 3"]:
        """Root-relative joints in the camera frame, mm, from input as the lifter takes it."""
        refined: Tensor = self.refiner(self.lifter(inputs))
        return refined

    def with_sigma(self, inputs: Float[Tensor, "batch joints axes"]) -> LiftedJoints:
        """As `forward`; how sure the lifter is of a joint stays what it was before the refiner."""
        lifted = self.lifter.with_sigma(inputs)
        return lifted._replace(joints=self.refiner(lifted.joints))

    def folded(self) -> FoldedLifter:
        """A copy for inference, of folded lifter and refiner."""
        return FoldedLifter(Refined(self.lifter.folded(), with_folded_layers(self.refiner)))
