"""The detector: backbone, head, soft-argmax; and its checkpoints.

Joints are fractions of the crop's extent (see `crop`): u and v in [-1/2, 1/2], and in a volumetric detector z =
root-relative depth / 2000 mm, so that the depth bins span +-1000 mm. Sun et al. 2018, with the half pixel done right.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from evolift.detector2d.backbone import InputScaling, build_backbone
from evolift.detector2d.deconvolution_head import DeconvolutionHead, LightHead, levels_to
from evolift.detector2d.freezing import frozen_parts
from evolift.detector2d.regression_head import RegressionHead
from evolift.detector2d.settings import Decoding, DetectorSettings
from evolift.detector2d.soft_argmax import hard_argmax, mode, soft_argmax
from evolift.posedata.errors import InputError
from evolift.training.checkpoint import CheckpointedModel

DEPTH_RANGE = 2000.0
"""Millimetres from the front of the first depth bin to the back of the last; the root is in the middle."""


class DetectorOutput(NamedTuple):
    """What the detector says of a batch of crops.

    Args:
        joints: (u, v) or (u, v, z), fractions of the crop.
        confidence: in (0, 1], of how sharp the heatmap is (`soft_argmax`), or after `calibration` the probability that the joint
            is found; the regression head cannot tell and gives 1.
        heatmaps: logits; None for the regression head.
        marginals: probabilities per column, row and depth bin; empty for the regression head.
    """

    joints: Float[Tensor, "batch joints axes"]
    confidence: Float[Tensor, "batch joints"]
    heatmaps: Tensor | None
    marginals: tuple[Tensor, ...]


class DetectorModel(CheckpointedModel):
    """Crops in, joints out.

    Args:
        settings: the architecture.
        pretrained: of the backbone, see `backbone.build_backbone`.

    Raises:
        InputError: the backbone cannot be had, or does not fit the input size.
    """

    stage = "detector"
    settings_class = DetectorSettings
    settings: DetectorSettings
    image_mean: Tensor
    image_std: Tensor
    confidence_slope: Tensor
    confidence_offset: Tensor
    confidence_extent: Tensor

    def __init__(self, settings: DetectorSettings, pretrained: str = "none") -> None:
        super().__init__()
        self.settings = settings
        self.backbone = build_backbone(settings.backbone, pretrained, settings.size)
        self.backbone.check_input(settings.input_width, settings.input_height)
        self.head = _build_head(settings, self.backbone.channels, self.backbone.strides)
        self.feature_dropout = nn.Dropout(settings.feature_dropout)
        self.heatmap_dropout = nn.Dropout(settings.heatmap_dropout)
        # Buffers, so that a checkpoint carries the scaling its weights were trained with.
        self.register_buffer("image_mean", torch.tensor(self.backbone.scaling.mean))
        self.register_buffer("image_std", torch.tensor(self.backbone.scaling.std))
        # What `calibration` makes of the sharpness of a heatmap.
        self.register_buffer("confidence_slope", torch.ones(len(settings.skeleton)))
        self.register_buffer("confidence_offset", torch.zeros(len(settings.skeleton)))
        self.register_buffer("confidence_extent", torch.zeros(len(settings.skeleton)))
        self._frozen: list[nn.Module] = []

    def adapted(
        self,
        *,
        input_width: int | None = None,
        input_height: int | None = None,
        decoding: Decoding | None = None,
    ) -> DetectorModel:
        """A copy of this network with settings that its weights do not depend on: for crops of another size, or another decoding.

        Training first on small crops and then on larger ones reaches the same accuracy in less time (Howard 2018).

        Args:
            input_width, input_height: of the crops, pixels.
            decoding: of the heatmaps.
            Any of them as it is if None.

        Raises:
            InputError: the backbone does not take the size, or its weights belong to one; or there are no heatmaps to decode.
        """
        changes = {"input_width": input_width, "input_height": input_height, "decoding": decoding}
        settings = self.settings.replaced(
            **{name: value for name, value in changes.items() if value is not None}
        )
        other = DetectorModel(settings)
        try:
            other.load_state_dict(self.state_dict())
        except RuntimeError:
            raise InputError(
                f"the weights of {settings.backbone} belong to crops of {self.settings.input_width} x {self.settings.input_height} pixels: leave `input_width` and `input_height` out"
            ) from None
        other.origin = self.origin
        return other

    @property
    def scaling(self) -> InputScaling:
        """Of its input."""
        mean, std = (tuple(values.tolist()) for values in (self.image_mean, self.image_std))
        return InputScaling(mean, std)

    def scale_images(
        self, images: UInt8[Tensor, "batch height width 3"]
    ) -> Float[Tensor, "batch 3 height width"]:
        """RGB images 0-255 in the input scaling of the backbone."""
        scaled = (images.to(self.image_mean.dtype) / 255 - self.image_mean) / self.image_std
        return scaled.permute(0, 3, 1, 2)

    def forward(self, images: Float[Tensor, "batch 3 height width"], *, hard: bool = False) -> DetectorOutput:
        """Joints in each crop.

        Args:
            images: in the model's own scaling (`scale_images`).
            hard: largest cell instead of what the settings' `decoding` says; for evaluation.

        Raises:
            InputError: `hard` with the regression head.
        """
        features = self.backbone(images)
        features = [*features[:-1], self.feature_dropout(features[-1])]
        if isinstance(self.head, RegressionHead):
            if hard:
                raise InputError("the regression head has no heatmaps whose largest cell could be taken")
            joints = self.head(features).float()
            return DetectorOutput(joints, torch.ones_like(joints[..., 0]), None, ())
        return self.decoded(self.heatmap_dropout(self.head(features)), hard=hard)

    def decoded(
        self, heatmaps: Float[Tensor, "batch joints *cells"], *, hard: bool = False
    ) -> DetectorOutput:
        """Joints of heatmaps, by the decoding of the settings.

        Args:
            heatmaps: logits.
            hard: largest cell instead; for evaluation.
        """
        decode = {"expectation": soft_argmax, "mode": mode}[self.settings.decoding]
        found = (hard_argmax if hard else decode)(heatmaps, self.settings.dimensions)
        confidence = self._calibrated(found.confidence, found.positions)
        return DetectorOutput(found.positions, confidence, heatmaps, found.marginals)

    def _calibrated(
        self, confidence: Float[Tensor, "batch joints"], positions: Float[Tensor, "batch joints axes"]
    ) -> Float[Tensor, "batch joints"]:
        logit = self.confidence_slope * logit_of_confidence(confidence) + self.confidence_offset
        return (logit + self.confidence_extent * log_extent(positions)[:, None]).sigmoid()

    def freeze(self, what: str) -> None:
        """Fix a part of the weights (see `freezing.frozen_parts`) and let the rest learn.

        Raises:
            InputError: there is no such part.
        """
        self._frozen = frozen_parts(self.backbone, self.head, what)
        self.requires_grad_(True)
        for part in self._frozen:
            part.requires_grad_(False)
        self.train(self.training)

    def freeze_unused(self) -> None:
        """Fix the parameters that no joint depends on, like HRNet's branches whose maps no head takes.

        Alone they do no harm, but processes that train together would wait for their gradients.
        """
        image = torch.zeros(1, 3, self.settings.input_height, self.settings.input_width)
        learning = [parameter for parameter in self.parameters() if parameter.requires_grad]
        if not learning:
            return
        training = [module for module in self.modules() if module.training]
        self.eval()
        joints = self(image.to(self.image_mean)).joints.sum()
        for parameter, gradient in zip(
            learning, torch.autograd.grad(joints, learning, allow_unused=True), strict=True
        ):
            parameter.requires_grad_(gradient is not None)
        # Not `self.train()`, which would also begin to learn the statistics that a training keeps.
        for module in training:
            module.training = True

    def train(self, mode: bool = True) -> DetectorModel:
        """As torch's; what is frozen stays in evaluation mode, so that BatchNorm statistics do not drift."""
        super().train(mode)
        for part in self._frozen:
            part.eval()
        return self


def logit_of_confidence(confidence: Tensor) -> Tensor:
    """Logit of a confidence, which float32 keeps away from 0 and 1 by a millionth."""
    return confidence.logit(1e-6)


def log_extent(positions: Float[Tensor, "batch joints axes"]) -> Float[Tensor, "batch"]:
    """Logarithm of the diagonal of the joints' bounds, in sides of the crop; at least that of a hundredth."""
    sides = positions[..., :2].amax(1) - positions[..., :2].amin(1)
    return sides.square().sum(-1).clamp_min(1e-4).log() / 2


def _build_head(settings: DetectorSettings, channels: tuple[int, ...], strides: tuple[int, ...]) -> nn.Module:
    joints = len(settings.skeleton)
    if settings.head == "regression":
        return RegressionHead(channels[-1], joints, settings.dimensions)
    if settings.head == "light":
        levels = levels_to(strides[-1])
        return LightHead(channels, strides, settings.head_widths[0], levels, joints, settings.depth_bins)
    return DeconvolutionHead(channels[-1], settings.head_widths, joints, settings.depth_bins)
