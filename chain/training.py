"""Fine-tuning of detector and lifter end to end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from evolift.chain.model import JointModel, JointOutput
from evolift.detector2d.losses import bone_loss as weighted_bone_loss
from evolift.detector2d.losses import joint_loss, spread_loss
from evolift.detector2d.occlusion import Occluder
from evolift.detector2d.samples import MixedBatches, batches_in_order
from evolift.detector2d.training import DetectorTraining, crop_settings, read_sources
from evolift.lifter.bone_losses import bone_loss
from evolift.lifter.normalisation import MM_PER_M
from evolift.posedata.errors import InputError
from evolift.posedata.metrics import mpjpe
from evolift.posedata.output_file import hashes_of
from evolift.posedata.skeleton import Skeleton
from evolift.training.checkpoint import Checkpoint
from evolift.training.trainer import Batch, StageModule, StepData, TrainingSettings, train


@dataclass(frozen=True)
class JointTraining:
    """How the chain learns.

    Args:
        crops: batch size, boxes, augmentation and occlusion of the crops; weights of the detector's own losses; memory
            layout; how much of the detector is
            frozen (`all`, `all-but-last-block` for the report's row U, `none`, ...); its learning rate, that of
            the detector's head, with the factor for its backbone; and its schedule.
        lifter_learning_rate: of the lifter; 0 freezes it.
        weight_3d: of the L1 error of 3D joints, summed over joints and axes, in metres.
        weight_2d: of the detector's own loss (fractions of the crop), on every sample with 2D labels.
        weight_bones_3d: of the L1 error of 3D bone vectors, in metres.

    Raises:
        InputError: a number is negative, or nothing is left to learn.
    """

    crops: DetectorTraining = field(default_factory=lambda: DetectorTraining(learning_rate=1e-4))
    lifter_learning_rate: float = 1e-4
    weight_3d: float = 1.0
    weight_2d: float = 1.0
    weight_bones_3d: float = 0.0

    def __post_init__(self) -> None:
        if min(self.lifter_learning_rate, self.weight_3d, self.weight_2d, self.weight_bones_3d) < 0:
            raise InputError("learning rates and loss weights must not be negative")
        if self.weight_3d == 0 and self.weight_2d == 0 and self.weight_bones_3d == 0:
            raise InputError("all loss weights are 0: there is nothing to learn")
        if self.lifter_learning_rate == 0 and self.crops.freeze == "all":
            raise InputError("detector and lifter are both frozen: there is nothing to train")


class JointModule(StageModule):
    """The chain in training; validation logs `mpjpe` (mm, root-relative; depth alone for target `z`).

    Args:
        model: to train.
        training: how.
        steps: in all, for the schedule.
        record: what the checkpoint tells of its making.
    """

    monitor = "mpjpe"
    monitor_mode: Literal["min", "max"] = "min"

    def __init__(
        self, model: JointModel, training: JointTraining, steps: int, record: dict[str, object]
    ) -> None:
        super().__init__()
        self.model, self.settings, self.steps, self.record = model, training, steps, record
        self._layout = torch.channels_last if training.crops.channels_last else torch.contiguous_format
        model.detector.to(memory_format=self._layout)
        model.detector.freeze(training.crops.freeze)
        model.lifter.requires_grad_(training.lifter_learning_rate > 0)
        self._errors: list[Tensor] = []
        self.train()  # loaded checkpoints come in evaluation mode

    def setup(self, stage: str) -> None:
        """Lightning's hook before processes begin to train together."""
        if self.trainer.world_size > 1:
            self.model.detector.freeze_unused()

    def train(self, mode: bool = True) -> JointModule:
        """As torch's; a frozen lifter stays in evaluation mode."""
        super().train(mode)
        if self.settings.lifter_learning_rate == 0:
            self.model.lifter.eval()
        return self

    def _run(self, batch: Batch) -> JointOutput:
        images = batch["image"].contiguous(memory_format=self._layout)
        output: JointOutput = self.model(images, batch["image_from_crop"], batch["image_size"])
        return output

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Every part of the loss and their sum `loss`."""
        output = self._run(batch)
        skeleton, settings = self.model.skeleton, self.settings
        joints, weight = batch["joints"], batch["weight"]
        parts = {"2d": joint_loss(output.detection.joints, joints, weight) * settings.weight_2d}
        if settings.crops.spread_weight and output.detection.marginals:
            spread = spread_loss(output.detection.marginals, joints, weight)
            parts["spread_2d"] = spread * settings.crops.spread_weight * settings.weight_2d
        if settings.crops.bone_weight:
            bones = weighted_bone_loss(output.detection.joints, joints, weight, skeleton)
            parts["bones_2d"] = bones * settings.crops.bone_weight * settings.weight_2d
        target, known = batch["joints_3d"], batch["has_3d"]
        parts["3d"] = joint_loss_3d(output.joints_3d, target, known) * settings.weight_3d
        if settings.weight_bones_3d:
            bones_3d = bone_loss_3d(output.joints_3d, target, known, skeleton)
            parts["bones_3d"] = bones_3d * settings.weight_bones_3d
        return parts | {"loss": torch.stack(list(parts.values())).sum()}

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Loss of one batch."""
        parts = self.losses(batch)
        for name, value in parts.items():
            self.log(f"train_{name}", value.detach(), on_epoch=True, on_step=False, sync_dist=True)
        return parts["loss"]

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Collect the 3D errors of one batch."""
        output = self._run(batch)
        known = batch["has_3d"]
        self._errors.append(error_3d(output.joints_3d[known], batch["joints_3d"][known]))

    def on_validation_epoch_end(self) -> None:
        """Log their mean."""
        errors = torch.cat(self._errors)
        self._errors.clear()
        if not len(errors):
            raise InputError(
                "no validation sample has 3D joints: give a validation store with 3D and pictures"
            )
        self.log("mpjpe", errors.mean(), prog_bar=True, sync_dist=True)

    def configure_optimizers(self) -> Any:
        """AdamW with a learning rate each for backbone, head and lifter, and one schedule for all."""
        crops, detector = self.settings.crops, self.model.detector
        rates: list[tuple[nn.Module, float]] = [
            (detector.head, crops.learning_rate),
            (detector.backbone, crops.learning_rate * crops.backbone_factor),
            (self.model.lifter, self.settings.lifter_learning_rate),
        ]
        groups = [
            {"params": open_parameters, "lr": rate}
            for part, rate in rates
            if (open_parameters := [p for p in part.parameters() if p.requires_grad])
        ]
        optimiser = torch.optim.AdamW(groups, weight_decay=crops.weight_decay, fused=self.may_fuse)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda step: crops.rate_at((step + 1) / (self.steps + 1))
        )
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def to_checkpoint(self) -> Checkpoint:
        """The chain as it is now."""
        return self.model.to_checkpoint({**self.record, "training": asdict(self.settings)})


def error_3d(
    prediction: Float[Tensor, "batch joints out"], target: Float[Tensor, "batch joints 3"]
) -> Float[Tensor, "batch"]:
    """MPJPE of each pose, mm; the mean error of depth where only depth is predicted."""
    if prediction.shape[-1] == 1:
        return (prediction[..., 0] - target[..., 2]).abs().mean(-1)
    return mpjpe(prediction, target)


def joint_loss_3d(
    prediction: Float[Tensor, "batch joints out"],
    target: Float[Tensor, "batch joints 3"],
    known: Bool[Tensor, "batch"],
) -> Float[Tensor, ""]:
    """L1 error of root-relative joints in metres, summed over joints and axes, mean over the batch.

    Args:
        prediction: mm; (…, 1) is depth alone.
        target: mm.
        known: which samples have 3D; the others add nothing.
    """
    axes = [2] if prediction.shape[-1] == 1 else [0, 1, 2]
    distance = (prediction - target[..., axes]).abs().sum((1, 2)) / MM_PER_M
    return (distance * known).mean()


def bone_loss_3d(
    prediction: Float[Tensor, "batch joints out"],
    target: Float[Tensor, "batch joints 3"],
    known: Bool[Tensor, "batch"],
    skeleton: Skeleton,
) -> Float[Tensor, ""]:
    """`bone_losses.bone_loss` in metres, mean over the batch; arguments as of `joint_loss_3d`."""
    axes = [2] if prediction.shape[-1] == 1 else [0, 1, 2]
    return (bone_loss(prediction, target[..., axes], skeleton) / MM_PER_M * known).mean()


def finetune(
    model: JointModel,
    stores: Sequence[Path],
    ratios: Sequence[float],
    validation_stores: Sequence[Path],
    folder: Path,
    training: JointTraining,
    settings: TrainingSettings,
    *,
    occluders: tuple[Occluder, ...] | None = None,
    record: dict[str, object] | None = None,
    resume: bool = False,
) -> pd.DataFrame:
    """Train the chain end to end; afterwards `folder` holds its joint checkpoints.

    Args:
        model: changed by the training.
        stores: with pictures; some have 3D joints, the others (photographs) keep teaching the detector.
        ratios: relative shares of the stores in each batch.
        validation_stores: with pictures and 3D joints, scored after every `settings.validate_every` steps.
        folder: an existing run folder.
        training: how the chain learns.
        settings: how long, with which seed, on which devices.
        occluders: what is pasted when `training.crops.occlusion` is set; synthetic ones if None.
        record: told in the checkpoint, beside hashes of the stores.
        resume: continue an interrupted run.

    Returns:
        History, a row per validation.

    Raises:
        InputError: a store has no usable picture, none has 3D joints, or the loss became non-finite.
        StoreError: a store is damaged.
    """
    every = read_sources([*stores, *validation_stores], model.detector, folder, boxes=training.crops.boxes)
    sources, validation = every[: len(stores)], every[len(stores) :]
    if not any(source.known_3d.any() for source in sources):
        raise InputError(
            "none of the stores has pictures with 3D joints: add one, for example of rendered people"
        )
    crops = crop_settings(model.detector, training.crops, augmented=True, occluders=occluders)
    batches = MixedBatches(sources, ratios, training.crops.batch_size, crops, settings.seed)
    plain = crop_settings(model.detector, training.crops, augmented=False)
    loader = batches_in_order(validation, plain, training.crops.batch_size * 2, settings.workers)
    about = {**(record or {}), "stores": hashes_of([*stores, *validation_stores])}
    module = JointModule(model, training, settings.steps, about)
    return train(module, StepData(batches, loader, settings), folder, settings, resume=resume)
