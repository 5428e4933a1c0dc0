"""What every lifter can do, whatever network is inside: normalised 2D joints in, root-relative millimetres out.

Output is in the camera frame (x right, y down, z forward), minus the root joint; that of lifters whose answer is turned
(`LifterSettings.is_turned`) and who are told no camera, in the frame of one that looks straight at the person. Target `xyz`
gives three values per joint; target `z` gives the depth alone, for chains that take x and y from the 2D input.
"""

from __future__ import annotations

import abc
import copy
from typing import cast

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from evolift.lifter.joint_uncertainty import LiftedJoints
from evolift.lifter.normalisation import normalise, turned
from evolift.lifter.rays import on_rays
from evolift.lifter.settings import CAMERA_NEEDED, LifterSettings
from evolift.lifter.straight_view import Lens
from evolift.posedata.errors import CheckpointError, InputError
from evolift.posedata.skeleton import Skeleton


class Lifter(nn.Module, abc.ABC):
    """Whatever lifts 2D joints: a `LifterModel`, or one with something on its output.

    Attributes:
        settings: of the network that takes the input.
    """

    settings: LifterSettings

    @property
    def skeleton(self) -> Skeleton:
        """The skeleton of the input joints and of the poses."""
        return self.settings.skeleton

    @abc.abstractmethod
    def forward(self, inputs: Float[Tensor, "batch joints axes"]) -> Float[Tensor, "batch joints out"]:
        """Root-relative joints, mm, from input normalised by `settings.normalisation`; not yet turned (`LifterSettings.is_turned`)."""

    def with_sigma(self, inputs: Float[Tensor, "batch joints axes"]) -> LiftedJoints:
        """As `forward`, with how sure the lifter is of each joint, if it tells (`settings.uncertainty`)."""
        return LiftedJoints(self(inputs), None)

    def lift(
        self,
        joints_2d_px: Float[Tensor, "batch joints axes"],
        visibility: UInt8[Tensor, "batch joints"] | None = None,
        image_size: Float[Tensor, "#batch 2"] | None = None,
        lens: Lens | None = None,
        *,
        flip_test: bool = False,
        rays: bool = False,
    ) -> Float[Tensor, "batch joints out"]:
        """Root-relative joints, mm, from joints in pixels (see `normalisation.normalise`).

        Args:
            joints_2d_px, visibility, image_size: as `normalise` takes them.
            lens: of each person's camera; only the normalisation `camera` and `rays` need it. A lifter whose answer is turned
                (`LifterSettings.is_turned`) answers in the frame of that camera, and NaN for people whose joints no one camera can see;
                without it in the frame of a camera that looks straight at the person.
            flip_test: average with the mirrored answer to the mirrored input.
            rays: put the joints on the rays of their pixels (see `evolift.lifter.rays`), which needs the lens: for 2D joints that are
                nearer to the truth than the lifter is.

        Raises:
            InputError: what the normalisation or `rays` need is missing, or the lifter gives depth alone.
        """
        return self.lift_with_sigma(
            joints_2d_px, visibility, image_size, lens, flip_test=flip_test, rays=rays
        ).joints

    def lift_with_sigma(
        self,
        joints_2d_px: Float[Tensor, "batch joints axes"],
        visibility: UInt8[Tensor, "batch joints"] | None = None,
        image_size: Float[Tensor, "#batch 2"] | None = None,
        lens: Lens | None = None,
        *,
        flip_test: bool = False,
        rays: bool = False,
    ) -> LiftedJoints:
        """As `lift`, with how sure the lifter is of each joint, if it tells; a flip test averages that too, `rays` leave it as it is.

        Raises:
            InputError: as of `lift`.
        """
        lifted = self._lift(joints_2d_px, visibility, image_size, lens, flip_test=flip_test)
        if not rays:
            return lifted
        if self.settings.target == "z":
            raise InputError(
                "this lifter gives depth alone (target z), and `rays` move x and y: leave them out"
            )
        if lens is None:
            raise InputError("`rays` need the camera: give its intrinsics or its focal length")
        joints = on_rays(lifted.joints, joints_2d_px, visibility, lens, self.skeleton.root)
        return lifted._replace(joints=joints)

    def _lift(
        self,
        joints_2d_px: Tensor,
        visibility: Tensor | None,
        image_size: Tensor | None,
        lens: Lens | None,
        *,
        flip_test: bool,
    ) -> LiftedJoints:
        how = self.settings.normalisation
        if how == "camera" or (self.settings.is_turned and lens is not None):
            return self._lift_turned(joints_2d_px, visibility, lens, flip_test=flip_test)
        lifted = self.with_sigma(normalise(joints_2d_px, visibility, image_size, how))
        if not flip_test:
            return lifted
        mirror = list(self.skeleton.mirror)
        width = 0.0 if image_size is None else image_size[:, None, 0]
        given = torch.cat([(width - 1 - joints_2d_px[..., 0])[..., None], joints_2d_px[..., 1:]], -1)
        seen = None if visibility is None else visibility[:, mirror]
        return self._averaged(lifted, self.with_sigma(normalise(given[:, mirror], seen, image_size, how)))

    def _lift_turned(
        self, pixels: Tensor, visibility: Tensor | None, lens: Lens | None, *, flip_test: bool
    ) -> LiftedJoints:
        if lens is None:
            raise InputError(CAMERA_NEEDED)
        inputs, rotation = turned(pixels, visibility, lens, self.settings.normalisation)
        lifted = self.with_sigma(inputs)
        if flip_test:
            # The virtual camera is upright and has no lens of its own, so its image is mirrored as it is.
            mirrored = (inputs * inputs.new_tensor([-1.0, 1.0]))[:, list(self.skeleton.mirror)]
            lifted = self._averaged(lifted, self.with_sigma(mirrored))
        # NaN times nothing is a NaN gradient, so people out of sight are turned by nothing and made NaN afterwards.
        is_in_sight = rotation[:, 0, 0].isfinite()
        rotation = torch.where(is_in_sight[:, None, None], rotation, 0.0)
        # Written out, so that autocast does not round millimetres. Sigma is the same along all axes, however they are rotated.
        joints = (lifted.joints[..., None, :] * rotation[:, None].to(lifted.joints.dtype)).sum(-1)
        return LiftedJoints(
            torch.where(is_in_sight[:, None, None], joints, torch.nan), lifted.sigma, is_in_sight
        )

    def _averaged(self, lifted: LiftedJoints, mirrored: LiftedJoints) -> LiftedJoints:
        """The mean of an answer and the one to the mirrored input."""
        mirror = list(self.skeleton.mirror)
        other = mirrored.joints[:, mirror]
        if self.settings.target == "xyz":
            other = other * other.new_tensor([-1.0, 1.0, 1.0])
        sigma = lifted.sigma
        if sigma is not None and mirrored.sigma is not None:
            sigma = (sigma + mirrored.sigma[:, mirror]) / 2
        return LiftedJoints((lifted.joints + other) / 2, sigma)

    def folded(self) -> FoldedLifter:
        """A copy for inference: the same answers, faster where the lifter can be made faster."""
        return FoldedLifter(copy.deepcopy(self))

    def require_normalisation(self, given: str) -> None:
        """Refuse input that was normalised by another rule.

        Raises:
            CheckpointError: `given` is not this lifter's rule.
        """
        if given != self.settings.normalisation:
            raise CheckpointError(
                f"this lifter was trained on input normalised by {self.settings.normalisation!r}, the input given is normalised by {given!r}: normalise it by {self.settings.normalisation!r} or use another checkpoint"
            )


class FoldedLifter(Lifter):
    """A lifter for inference alone, made by `Lifter.folded`.

    Args:
        lifter: of which nobody else has use; it is frozen.
    """

    def __init__(self, lifter: Lifter) -> None:
        super().__init__()
        self.settings = lifter.settings
        self.lifter = lifter.requires_grad_(False)
        self.eval()

    def forward(self, inputs: Float[Tensor, "batch joints axes"]) -> Float[Tensor, "batch joints out"]:
        """Root-relative joints, mm, not yet turned; without a gradient.

        Raises:
            InputError: a gradient of the inputs is asked for.
        """
        self._refuse_gradient(inputs)
        with torch.no_grad():
            return cast(Tensor, self.lifter(inputs))

    def with_sigma(self, inputs: Float[Tensor, "batch joints axes"]) -> LiftedJoints:
        """As `forward`, with how sure the lifter is of each joint, if it tells.

        Raises:
            InputError: a gradient of the inputs is asked for.
        """
        self._refuse_gradient(inputs)
        with torch.no_grad():
            return self.lifter.with_sigma(inputs)

    def _refuse_gradient(self, inputs: Tensor) -> None:
        if torch.is_grad_enabled() and inputs.requires_grad:
            raise InputError("a folded lifter gives no gradients: use the lifter that it was folded from")

    def folded(self) -> FoldedLifter:
        """Itself."""
        return self

    def train(self, mode: bool = True) -> FoldedLifter:
        """Stay in evaluation mode.

        Raises:
            InputError: training is asked for.
        """
        if mode:
            raise InputError("a folded lifter cannot be trained: train the lifter that it was folded from")
        return super().train(False)
