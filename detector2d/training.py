"""Training a detector on several stores at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from evolift.detector2d.augmentation import AugmentationSettings
from evolift.detector2d.backbone import InputScaling
from evolift.detector2d.crop import crop_to_image
from evolift.detector2d.image_source import ImageSource, read_source, skipped_table, without_unreadable
from evolift.detector2d.losses import bone_loss, joint_loss, spread_loss
from evolift.detector2d.model import DEPTH_RANGE, DetectorModel
from evolift.detector2d.occlusion import Occluder, OcclusionSettings, synthetic_occluders
from evolift.detector2d.samples import CropSettings, MixedBatches, batches_in_order
from evolift.posedata.errors import InputError
from evolift.posedata.keypoint_metrics import correct_keypoints, torso_diameter
from evolift.posedata.output_file import SKIPPED_IMAGES, hashes_of, write_text
from evolift.training.checkpoint import Checkpoint
from evolift.training.process_rank import is_first_process
from evolift.training.trainer import Batch, StageModule, StepData, TrainingSettings, train


@dataclass(frozen=True)
class DetectorTraining:
    """How a detector learns.

    Args:
        batch_size: crops per step and process.
        learning_rate: of Adam, for the head.
        backbone_factor: the backbone's learning rate is this many times the head's.
        weight_decay: decoupled (AdamW).
        schedule: "steps" multiplies the rate by 0.1 at each of `milestones`; "cosine" lets it fall to 0; "constant".
        milestones: as parts of the whole training (the report: 55/65 and 60/65).
        warm_up: part of the training in which the rate rises from 0.
        freeze: see `freezing.frozen_parts`.
        bone_weight: of the bone loss, 0 for none.
        spread_weight: of the heatmap regulariser, 0 for none.
        boxes: "joints" or "store", see `image_source.read_source`.
        augmentation, occlusion: None for none.
        channels_last: memory layout of pictures and weights. On a CPU, networks of depthwise convolutions train several
            times faster so.

    Raises:
        InputError: a value is out of range.
    """

    batch_size: int = 16
    learning_rate: float = 1e-3
    backbone_factor: float = 1.0
    weight_decay: float = 0.0
    schedule: str = "steps"
    milestones: tuple[float, ...] = (55 / 65, 60 / 65)
    warm_up: float = 0.0
    freeze: str = "none"
    bone_weight: float = 0.0
    spread_weight: float = 0.0
    boxes: str = "joints"
    augmentation: AugmentationSettings | None = field(default_factory=AugmentationSettings)
    occlusion: OcclusionSettings | None = None
    channels_last: bool = True

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise InputError(f"the batch size must be at least 1, not {self.batch_size}")
        if not self.learning_rate > 0 or not self.backbone_factor > 0:
            raise InputError("learning_rate and backbone_factor must be positive")
        if (
            min(self.weight_decay, self.bone_weight, self.spread_weight, self.warm_up) < 0
            or self.warm_up >= 1
        ):
            raise InputError(
                "weight_decay, bone_weight, spread_weight and warm_up (a part of 1) must not be negative"
            )
        if self.schedule not in ("steps", "cosine", "constant"):
            raise InputError(f"there is no schedule {self.schedule!r}: choose steps, cosine or constant")
        if not all(0 < milestone < 1 for milestone in self.milestones):
            raise InputError("milestones are parts of the training, between 0 and 1")

    def rate_at(self, progress: float) -> float:
        """Factor on the learning rate when `progress` (0 to 1) of the training is done."""
        if progress < self.warm_up:
            return progress / self.warm_up
        if self.schedule == "cosine":
            return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
        if self.schedule == "steps":
            return float(0.1 ** sum(progress >= milestone for milestone in self.milestones))
        return 1.0


class DetectorModule(StageModule):
    """A detector in training; validation logs `loss`, `pck` (PCK@0.2 of the torso) and, with 3D, `depth_error`.

    With several validation stores, `pck_NAME` is logged for each as well; `pck` is that of all joints together.

    Args:
        model: to train.
        training: how.
        steps: of the whole training, for the schedule.
        names: of the validation stores.
        record: what the checkpoint tells of its making.
    """

    monitor = "pck"
    monitor_mode = "max"

    def __init__(
        self,
        model: DetectorModel,
        training: DetectorTraining,
        steps: int,
        names: Sequence[str] = ("validation",),
        record: dict[str, object] | None = None,
    ) -> None:
        super().__init__()
        if training.spread_weight and model.settings.head == "regression":
            raise InputError("the regression head has no heatmaps: leave spread_weight at 0")
        self.settings, self.steps, self.names, self.record = training, steps, tuple(names), record or {}
        layout = torch.channels_last if training.channels_last else torch.contiguous_format
        self.model = model.to(memory_format=layout)
        self.model.freeze(training.freeze)
        self._layout = layout
        self._scores: list[dict[str, Tensor]] = []

    def setup(self, stage: str) -> None:
        """Lightning's hook before processes begin to train together."""
        if self.trainer.world_size > 1:
            self.model.freeze_unused()

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Every part of the loss and their sum `loss`."""
        output = self.model(batch["image"].contiguous(memory_format=self._layout))
        joints, weight = batch["joints"], batch["weight"]
        parts = {"joint_loss": joint_loss(output.joints, joints, weight)}
        total = parts["joint_loss"]
        if self.settings.bone_weight:
            parts["bone_loss"] = bone_loss(output.joints, joints, weight, self.model.settings.skeleton)
            total = total + self.settings.bone_weight * parts["bone_loss"]
        if self.settings.spread_weight and output.marginals:
            parts["spread_loss"] = spread_loss(output.marginals, joints, weight)
            total = total + self.settings.spread_weight * parts["spread_loss"]
        return parts | {"loss": total}

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Loss of one batch."""
        try:
            loss = self.losses(batch)["loss"]
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise InputError(
                "BatchNorm cannot learn from one crop whose coarsest feature map is one cell: take larger batches or crops"
            ) from None
        self.log("train_loss", loss.detach(), on_step=True, on_epoch=True, prog_bar=True, sync_dist=True)
        return loss

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Collect the scores of one batch, in pixels of the pictures."""
        output = self.model(batch["image"].contiguous(memory_format=self._layout))
        pixels = crop_to_image(output.joints, batch["image_from_crop"], self.model.settings.size)
        skeleton, visibility = self.model.settings.skeleton, batch["visibility"]
        torso = torso_diameter(batch["joints_2d"], visibility, skeleton)
        correct = correct_keypoints(pixels, batch["joints_2d"], visibility, torso)
        scores = {"correct": correct, "source": batch["source"]}
        loss = joint_loss(output.joints, batch["joints"], batch["weight"])
        scores["loss"] = loss.expand(len(correct))
        if output.joints.shape[-1] == 3:
            away = (output.joints[..., 2] - batch["joints"][..., 2]).abs() * DEPTH_RANGE
            scores["depth_error"] = torch.where(batch["weight"][..., 2] > 0, away, torch.nan)
        self._scores.append(scores)

    def on_validation_epoch_end(self) -> None:
        """Log the means of all batches."""
        scores = {name: torch.cat([part[name] for part in self._scores]) for name in self._scores[0]}
        self._scores.clear()
        correct = scores["correct"]
        if not bool(correct.isfinite().any()):
            raise InputError(
                "the validation stores label no row with left shoulder and right hip, so PCK cannot be scored: give another validation store"
            )
        self.log("loss", scores["loss"].mean(), sync_dist=True)
        self.log("pck", correct.nanmean(), prog_bar=True, sync_dist=True)
        if len(self.names) > 1:
            for number, name in enumerate(self.names):
                self.log(f"pck_{name}", correct[scores["source"] == number].nanmean(), sync_dist=True)
        if "depth_error" in scores and bool(scores["depth_error"].isfinite().any()):
            self.log("depth_error", scores["depth_error"].nanmean(), sync_dist=True)

    def configure_optimizers(self) -> Any:
        """AdamW with the schedule, stepped at every optimiser step."""
        settings = self.settings
        head = [p for p in self.model.head.parameters() if p.requires_grad]
        backbone = [p for p in self.model.backbone.parameters() if p.requires_grad]
        groups = [
            {"params": head, "lr": settings.learning_rate},
            {"params": backbone, "lr": settings.learning_rate * settings.backbone_factor},
        ]
        groups = [group for group in groups if group["params"]]
        if not groups:
            raise InputError(f"freeze {settings.freeze!r} leaves nothing to train")
        optimiser = torch.optim.AdamW(groups, weight_decay=settings.weight_decay, fused=self.may_fuse)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda step: settings.rate_at((step + 1) / (self.steps + 1))
        )
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def to_checkpoint(self) -> Checkpoint:
        """The detector as it is now."""
        return self.model.to_checkpoint({**self.record, "training": asdict(self.settings)})


def crop_settings(
    model: DetectorModel,
    training: DetectorTraining,
    *,
    augmented: bool,
    occluders: tuple[Occluder, ...] | None = None,
) -> CropSettings:
    """How rows are cropped for this model.

    Args:
        model: gives size, padding, skeleton and input scaling.
        training: gives augmentation and occlusion.
        augmented: False for validation.
        occluders: what is pasted; synthetic ones if None.
    """
    mean, std = (tuple(values.tolist()) for values in (model.image_mean, model.image_std))
    occlusion = training.occlusion if augmented else None
    if occlusion is not None and occluders is None:
        occluders = synthetic_occluders()
    return CropSettings(
        size=model.settings.size,
        skeleton=model.settings.skeleton,
        scaling=InputScaling(mean, std),
        padding=model.settings.padding,
        augmentation=training.augmentation if augmented else None,
        occlusion=occlusion,
        occluders=(occluders or ()) if occlusion is not None else (),
    )


def read_sources(
    stores: Sequence[Path],
    model: DetectorModel,
    folder: Path,
    *,
    boxes: str = "joints",
    check_images: bool = True,
) -> list[ImageSource]:
    """Sources of the stores, without rows whose pictures cannot be read.

    Args:
        stores: paths.
        model: whose skeleton is wanted.
        folder: where `skipped_images.csv` is written if there are such rows.
        boxes: see `image_source.read_source`.
        check_images: read every picture once; without, an unreadable one stops the training when it is met.

    Raises:
        InputError: a store has no usable picture.
    """
    sources, skipped = [], []
    for path in stores:
        source = read_source(path, model.settings.skeleton, boxes)
        if check_images:
            source, unreadable = without_unreadable(source)
            skipped += unreadable
        sources.append(source)
    if skipped and is_first_process():
        write_text(folder / SKIPPED_IMAGES, skipped_table(skipped))
    return sources


def train_detector(
    model: DetectorModel,
    stores: Sequence[Path],
    ratios: Sequence[float],
    validation_stores: Sequence[Path],
    folder: Path,
    training: DetectorTraining,
    settings: TrainingSettings,
    *,
    occluders: tuple[Occluder, ...] | None = None,
    check_images: bool = True,
    record: dict[str, object] | None = None,
    resume: bool = False,
) -> pd.DataFrame:
    """Train a detector; afterwards `folder` holds its checkpoints (see `evolift.training.trainer.train`).

    Args:
        model: changed by the training.
        stores: to train on.
        ratios: relative shares of the stores in each batch.
        validation_stores: scored after every `settings.validate_every` steps.
        folder: an existing run folder.
        training: how the detector learns.
        settings: how long, with which seed, on which devices.
        occluders: what is pasted when `training.occlusion` is set; synthetic ones if None.
        check_images: read every picture before training, those of the validation too; unreadable ones are left out and
            listed in `skipped_images.csv`.
        record: told in the checkpoint, beside hashes of the stores.
        resume: continue an interrupted run.

    Returns:
        History, a row per validation.

    Raises:
        InputError: a store has no usable picture, a ratio does not fit, or the loss became non-finite.
        StoreError: a store is damaged.
    """
    every = read_sources(
        [*stores, *validation_stores], model, folder, boxes=training.boxes, check_images=check_images
    )
    sources, validation = every[: len(stores)], every[len(stores) :]
    crops = crop_settings(model, training, augmented=True, occluders=occluders)
    batches = MixedBatches(sources, ratios, training.batch_size, crops, settings.seed)
    plain = crop_settings(model, training, augmented=False)
    loader = batches_in_order(validation, plain, training.batch_size * 2, settings.workers)
    names = [source.name for source in validation]
    about = {**(record or {}), "stores": hashes_of([*stores, *validation_stores])}
    module = DetectorModule(model, training, settings.steps, names, about)
    return train(module, StepData(batches, loader, settings), folder, settings, resume=resume)
