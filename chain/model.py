"""The joint stage: detector and lifter as one network, so that the 3D error teaches the detector too.

crop -> heatmaps -> soft-argmax -> pixels of the picture -> normalisation -> lifter -> 3D, in one autograd graph.

Training crops may be turned and mirrored, which is a turn (and mirroring) of the camera about its optical axis. The
lifter must see the picture that this other camera would take, so detected joints are taken back to pixels of the
picture and then turned with the crop, about the picture's middle: exactly the 2D pose that belongs to the turned 3D
pose of `evolift.detector2d.samples`. For crops that are neither turned nor mirrored this changes nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, cast

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from evolift.detector2d.crop import crop_to_image
from evolift.detector2d.model import DEPTH_RANGE, DetectorModel, DetectorOutput, detector_from_checkpoint
from evolift.lifter.model import LifterModel, model_from_checkpoint, to_checkpoint
from evolift.posedata.errors import CheckpointError, EvoliftError, InputError
from evolift.posedata.skeleton import Skeleton
from evolift.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint

STAGE = "joint"


class JointOutput(NamedTuple):
    """What the chain says of a batch of crops.

    Args:
        joints_3d: root-relative mm in the camera frame, turned and mirrored as the crop is; only z for a lifter
            of target `z`.
        joints_2d: pixels of the picture.
        confidence: of the detector, in (0, 1].
        detection: all that the detector says.
    """

    joints_3d: Float[Tensor, "batch joints out"]
    joints_2d: Float[Tensor, "batch joints 2"]
    confidence: Float[Tensor, "batch joints"]
    detection: DetectorOutput


class JointModel(nn.Module):
    """A detector and a lifter chained.

    A lifter with three input axes is fed the depth of a volumetric detector; with two, that depth is dropped.

    Args:
        detector, lifter: the two stages, on the same skeleton.

    Raises:
        InputError: their skeletons differ, or the lifter wants depth that the detector does not give.
    """

    def __init__(self, detector: DetectorModel, lifter: LifterModel) -> None:
        super().__init__()
        if detector.settings.skeleton != lifter.skeleton:
            raise InputError(
                f"the detector finds {detector.settings.skeleton.name} and the lifter takes {lifter.skeleton.name}: chain two of the same skeleton"
            )
        if lifter.settings.input_axes == 3 and detector.settings.dimensions == 2:
            raise InputError("the lifter takes depth as third input: chain it with a volumetric detector")
        self.detector = detector
        self.lifter = lifter

    @property
    def skeleton(self) -> Skeleton:
        """Of both stages."""
        return self.lifter.skeleton

    def forward(
        self,
        images: Float[Tensor, "batch 3 height width"],
        image_from_crop: Float[Tensor, "batch 2 3"],
        image_size: Tensor,
        *,
        hard: bool = False,
    ) -> JointOutput:
        """3D joints of each crop.

        Args:
            images: crops in the detector's input scaling.
            image_from_crop: crop pixels -> picture pixels, a similarity that may mirror.
            image_size: (batch, 2) width and height of the pictures, pixels.
            hard: largest heatmap cell instead of the expectation; not differentiable.
        """
        detection = self.detector(images, hard=hard)
        pixels = crop_to_image(detection.joints, image_from_crop, self.detector.settings.size)
        size = image_size.to(pixels.dtype)
        seen = turn_with_crop(pixels, image_from_crop, size)
        if self.lifter.settings.input_axes == 3:
            seen = torch.cat([seen, detection.joints[..., 2:] * DEPTH_RANGE], -1)
        return JointOutput(self.lifter.lift(seen, None, size), pixels, detection.confidence, detection)

    def lift_labels(
        self,
        joints: Float[Tensor, "batch joints 2"],
        visibility: UInt8[Tensor, "batch joints"],
        image_from_crop: Float[Tensor, "batch 2 3"],
        image_size: Tensor,
        depth: Float[Tensor, "batch joints 1"] | None = None,
    ) -> Float[Tensor, "batch joints out"]:
        """What the lifter says of labelled 2D joints: the chain with a faultless detector.

        Args:
            joints: pixels of the pictures.
            visibility: 0 marks unlabelled joints.
            image_from_crop, image_size: as in `forward`.
            depth: root-relative mm, for a lifter with three input axes.
        """
        size = image_size.to(joints.dtype)
        seen = turn_with_crop(joints, image_from_crop, size)
        if self.lifter.settings.input_axes == 3:
            if depth is None:
                raise InputError("the lifter takes depth as third input")
            seen = torch.cat([seen, depth], -1)
        return self.lifter.lift(seen, visibility, size)

    def to_checkpoint(self, record: dict[str, object]) -> Checkpoint:
        """Both stages as one checkpoint of the stage "joint"."""
        parts = {"detector": self.detector.to_checkpoint(), "lifter": to_checkpoint(self.lifter, {})}
        tensors = {
            f"{stage}.{name}": tensor
            for stage, part in parts.items()
            for name, tensor in part.tensors.items()
        }
        settings: dict[str, object] = {stage: part.settings for stage, part in parts.items()}
        return Checkpoint(STAGE, tensors, settings, record)


def turn_with_crop(
    pixels: Float[Tensor, "batch joints 2"],
    image_from_crop: Float[Tensor, "batch 2 3"],
    image_size: Float[Tensor, "batch 2"],
) -> Float[Tensor, "batch joints 2"]:
    """Pixels in the picture of the camera that is turned and mirrored about its optical axis as the crop is.

    The optical axis is taken to pass through the middle of the picture. With M the linear part of
    `image_from_crop`, the turn is M^T / sqrt|det M|: the inverse of M without its scale.
    """
    linear = image_from_crop[:, :, :2].to(pixels.dtype)
    determinant = linear[:, 0, 0] * linear[:, 1, 1] - linear[:, 0, 1] * linear[:, 1, 0]
    turn = (linear / determinant.abs().sqrt()[:, None, None])[:, None]
    middle = (image_size[:, None] - 1) / 2
    away = pixels - middle
    # Written out, as in `crop_to_image`, so that autocast does not round pixels. Rows of M are columns of M^T.
    return turn[..., 0, :] * away[..., :1] + turn[..., 1, :] * away[..., 1:] + middle


def load_joint(path: Path) -> JointModel:
    """The chain of a joint checkpoint, on the CPU, in evaluation mode.

    Raises:
        CheckpointError: the file is no sound checkpoint of the joint stage.
    """
    detector, lifter = split_joint(load_checkpoint(path, STAGE), path)
    try:
        return JointModel(detector_from_checkpoint(detector, path), model_from_checkpoint(lifter)).eval()
    except CheckpointError:
        raise
    except EvoliftError as error:
        raise CheckpointError(f"{path}: {error}") from None


def split_joint(checkpoint: Checkpoint, path: Path) -> tuple[Checkpoint, Checkpoint]:
    """The detector's and the lifter's own checkpoints out of a joint one; `path` is for messages.

    Raises:
        CheckpointError: a part is missing.
    """
    parts = []
    for stage in ("detector", "lifter"):
        prefix = stage + "."
        settings = checkpoint.settings.get(stage)
        if not isinstance(settings, dict):
            raise CheckpointError(f"{path}: it lacks the settings of its {stage}: make it again")
        tensors = {
            name.removeprefix(prefix): tensor
            for name, tensor in checkpoint.tensors.items()
            if name.startswith(prefix)
        }
        parts.append(Checkpoint(stage, tensors, cast(dict[str, object], settings), checkpoint.record))
    return parts[0], parts[1]


def save_joint(path: Path, model: JointModel, record: dict[str, object], *, overwrite: bool = False) -> None:
    """Write a joint checkpoint.

    Raises:
        OutputError: the file exists and `overwrite` is False, or cannot be written.
    """
    save_checkpoint(path, model.to_checkpoint(record), overwrite=overwrite)
