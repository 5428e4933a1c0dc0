"""The detector: backbone, head, soft-argmax; and its checkpoints.

Joints are fractions of the crop's extent (see `crop`): u and v in [-1/2, 1/2], and in a volumetric detector z =
root-relative depth / 2000 mm, so that the depth bins span +-1000 mm. Sun et al. 2018, with the half pixel done right.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from evolift.detector2d.backbone import build_backbone
from evolift.detector2d.deconvolution_head import DeconvolutionHead, LightHead, levels_to
from evolift.detector2d.freezing import frozen_parts
from evolift.detector2d.regression_head import RegressionHead
from evolift.detector2d.soft_argmax import hard_argmax, soft_argmax
from evolift.posedata.errors import CheckpointError, InputError
from evolift.posedata.skeleton import H36M17, Skeleton
from evolift.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint

DEPTH_RANGE = 2000.0
"""Millimetres from the front of the first depth bin to the back of the last; the root is in the middle."""

PADDING = 1.25
"""Published factor of crops over person boxes (Sun et al. 2018, for MPII and COCO)."""

HEADS = ("deconvolution", "light", "regression")


@dataclass(frozen=True)
class DetectorSettings:
    """All that rebuilds a detector's architecture.

    Args:
        backbone: a timm name, or "alexnet".
        skeleton: of its joints.
        padding: the crop shows this many times the person box, in training as in use.
        input_width, input_height: of the crop, pixels; multiples of the backbone's coarsest stride.
        depth_bins: 1 for a 2D detector; 64 or 72 in the volumetric ones. With the regression head, any number
            above 1 means that z is regressed too.
        head: "deconvolution" (published), "light", or "regression".
        head_widths: channels of each deconvolution; the light head uses the first.
        feature_dropout, heatmap_dropout: probabilities, while training.

    Raises:
        InputError: a value is out of range.
    """

    backbone: str = "resnet50"
    skeleton: Skeleton = H36M17
    padding: float = PADDING
    input_width: int = 256
    input_height: int = 256
    depth_bins: int = 1
    head: str = "deconvolution"
    head_widths: tuple[int, ...] = (256, 256, 256)
    feature_dropout: float = 0.0
    heatmap_dropout: float = 0.0

    def __post_init__(self) -> None:
        if self.input_width < 32 or self.input_height < 32:
            raise InputError(f"input size {self.input_width}x{self.input_height} is below 32 pixels")
        if not self.padding > 0:
            raise InputError(f"padding must be positive, not {self.padding}")
        if self.depth_bins < 1:
            raise InputError(f"depth_bins must be at least 1, not {self.depth_bins}")
        if self.head not in HEADS:
            raise InputError(f"there is no head {self.head!r}: choose one of {', '.join(HEADS)}")
        if not self.head_widths or min(self.head_widths) < 1:
            raise InputError("head_widths must be one or more positive numbers")
        for name in ("feature_dropout", "heatmap_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 0 and below 1, not {getattr(self, name)}")
        if self.head == "regression" and self.heatmap_dropout:
            raise InputError("the regression head has no heatmaps: leave heatmap_dropout at 0")

    @property
    def dimensions(self) -> int:
        """2, or 3 for a volumetric detector."""
        return 2 if self.depth_bins == 1 else 3

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the crop."""
        return self.input_width, self.input_height

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON; `from_dict` is the inverse."""
        values: dict[str, Any] = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        return values | {"skeleton": self.skeleton.to_dict(), "head_widths": list(self.head_widths)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> DetectorSettings:
        """Settings from what `to_dict` gave.

        Raises:
            InputError: a key is unknown or missing, or a value is out of range.
        """
        known = {entry.name for entry in fields(cls)}
        if set(values) != known:
            raise InputError(f"detector settings must have exactly {', '.join(sorted(known))}")
        rest = {name: values[name] for name in known - {"skeleton", "head_widths"}}
        return cls(
            skeleton=Skeleton.from_dict(values["skeleton"]), head_widths=tuple(values["head_widths"]), **rest
        )


class DetectorOutput(NamedTuple):
    """What the detector says of a batch of crops.

    Args:
        joints: (u, v) or (u, v, z), fractions of the crop.
        confidence: in (0, 1], see `soft_argmax`; the regression head cannot tell and gives 1.
        heatmaps: logits; None for the regression head.
        marginals: probabilities per column, row and depth bin; empty for the regression head.
    """

    joints: Float[Tensor, "batch joints axes"]
    confidence: Float[Tensor, "batch joints"]
    heatmaps: Tensor | None
    marginals: tuple[Tensor, ...]


class DetectorModel(nn.Module):
    """Crops in, joints out.

    Args:
        settings: the architecture.
        pretrained: of the backbone, see `backbone.build_backbone`.

    Raises:
        InputError: the backbone cannot be had, or does not fit the input size.
    """

    image_mean: Tensor
    image_std: Tensor

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
        self._frozen: list[nn.Module] = []

    def scale_images(
        self, images: UInt8[Tensor, "batch height width 3"]
    ) -> Float[Tensor, "batch 3 height width"]:
        """RGB pictures 0-255 in the input scaling of the backbone."""
        scaled = (images.to(self.image_mean.dtype) / 255 - self.image_mean) / self.image_std
        return scaled.permute(0, 3, 1, 2)

    def forward(self, images: Float[Tensor, "batch 3 height width"], *, hard: bool = False) -> DetectorOutput:
        """Joints in each crop.

        Args:
            images: in the model's own scaling (`scale_images`).
            hard: largest cell instead of the expectation; for evaluation.

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
        heatmaps = self.heatmap_dropout(self.head(features))
        find = hard_argmax if hard else soft_argmax
        found = find(heatmaps, self.settings.dimensions)
        return DetectorOutput(found.positions, found.confidence, heatmaps, found.marginals)

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
        was_training = self.training
        image = torch.zeros(1, 3, self.settings.input_height, self.settings.input_width)
        learning = [parameter for parameter in self.parameters() if parameter.requires_grad]
        if not learning:
            return
        self.eval()
        joints = self(image.to(self.image_mean)).joints.sum()
        for parameter, gradient in zip(
            learning, torch.autograd.grad(joints, learning, allow_unused=True), strict=True
        ):
            parameter.requires_grad_(gradient is not None)
        self.train(was_training)

    def train(self, mode: bool = True) -> DetectorModel:
        """As torch's; what is frozen stays in evaluation mode, so that BatchNorm statistics do not drift."""
        super().train(mode)
        for part in self._frozen:
            part.eval()
        return self

    def to_checkpoint(self, record: dict[str, object] | None = None) -> Checkpoint:
        """This model as a checkpoint of the stage "detector"."""
        return Checkpoint("detector", dict(self.state_dict()), self.settings.to_dict(), record or {})


def _build_head(settings: DetectorSettings, channels: tuple[int, ...], strides: tuple[int, ...]) -> nn.Module:
    joints = len(settings.skeleton)
    if settings.head == "regression":
        return RegressionHead(channels[-1], joints, settings.dimensions)
    if settings.head == "light":
        levels = levels_to(strides[-1])
        return LightHead(channels, strides, settings.head_widths[0], levels, joints, settings.depth_bins)
    return DeconvolutionHead(channels[-1], settings.head_widths, joints, settings.depth_bins)


def save_detector(
    path: Path, model: DetectorModel, record: dict[str, object] | None = None, *, overwrite: bool = False
) -> None:
    """Write a detector's checkpoint.

    Raises:
        OutputError: `path` exists and `overwrite` is False, or cannot be written.
    """
    save_checkpoint(path, model.to_checkpoint(record), overwrite=overwrite)


def load_detector(path: Path) -> DetectorModel:
    """The detector of a checkpoint, on the CPU, in evaluation mode.

    Raises:
        CheckpointError: the file is not a sound checkpoint of a detector.
    """
    checkpoint = load_checkpoint(path, "detector")
    return detector_from_checkpoint(checkpoint, path)


def detector_from_checkpoint(checkpoint: Checkpoint, path: Path) -> DetectorModel:
    """As `load_detector`, from a checkpoint in memory; `path` is for messages."""
    try:
        model = DetectorModel(DetectorSettings.from_dict(checkpoint.settings))
        model.load_state_dict(checkpoint.tensors)
    except (InputError, RuntimeError, TypeError, KeyError) as error:
        raise CheckpointError(
            f"{path}: its settings and tensors do not fit this evolift ({str(error).splitlines()[0]})"
        ) from error
    return model.eval()
