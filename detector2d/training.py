"""Training a detector on several stores at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from evolift.detector2d.crop import crop_to_image
from evolift.detector2d.depthwise import speed_up_depthwise
from evolift.detector2d.drop_path import drop_paths
from evolift.detector2d.image_source import ImageSource, read_source, skipped_table, without_unreadable
from evolift.detector2d.losses import detection_losses, joint_loss
from evolift.detector2d.model import DEPTH_RANGE, DetectorModel
from evolift.detector2d.occluder_choice import Occluders, chosen_occluders, told_occluders
from evolift.detector2d.samples import MixedBatches, batches_in_order, crop_settings
from evolift.detector2d.settings import DetectorSettings, DetectorTrainingSettings, require_fitting
from evolift.posedata.errors import InputError
from evolift.posedata.input_file import FilePath, as_path, as_paths
from evolift.posedata.keypoint_metrics import correct_keypoints, torso_diameter
from evolift.posedata.output_file import SKIPPED_IMAGES, write_text
from evolift.posedata.settings import require_settings
from evolift.training.batch_norm import settled_batch_norms
from evolift.training.learning_rate import with_schedule
from evolift.training.process_rank import is_first_process
from evolift.training.run_folder import checkpoint_record, run_folder, run_record
from evolift.training.trainer import Batch, StageModule, StepData, train


class DetectorModule(StageModule):
    """A detector in training; validation logs `validation_loss`, `pck` (PCK@0.2 of the torso) and, with 3D, `depth_error`.

    With several validation stores, `pck_NAME` is logged for each as well; `pck` is that of all joints together.

    Args:
        model: to train.
        training: how.
        names: of the validation stores.
        record: what the checkpoint tells of its making.
    """

    monitor = "pck"
    monitor_mode = "max"
    model: DetectorModel

    def __init__(
        self,
        model: DetectorModel,
        training: DetectorTrainingSettings,
        names: Sequence[str] = ("validation",),
        record: dict[str, object] | None = None,
    ) -> None:
        super().__init__()
        require_fitting(model.settings, training)
        self.settings, self.names, self.record = training, tuple(names), record or {}
        self._settled = settled_batch_norms(model) if training.batch_norm == "keep" else []
        layout = torch.channels_last if training.channels_last else torch.contiguous_format
        self.model = model.to(memory_format=layout)
        self.model.freeze(training.freeze)
        drop_paths(self.model.backbone, training.drop_path)
        if training.precision == "bf16-mixed":
            speed_up_depthwise(self.model)
        self._layout = layout
        self._scores: list[dict[str, Tensor]] = []
        self.train()  # loaded checkpoints come in evaluation mode

    def train(self, mode: bool = True) -> DetectorModule:
        """As torch's; BatchNorm that is to keep its statistics stays in evaluation mode."""
        super().train(mode)
        for layer in self._settled:
            layer.eval()
        return self

    def setup(self, stage: str) -> None:
        """Lightning's hook before processes begin to train together."""
        if self.trainer.world_size > 1:
            self.model.freeze_unused()

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Every part of the loss and their sum `loss`."""
        output = self.model(batch["image"].contiguous(memory_format=self._layout))
        parts = detection_losses(output, batch["joints"], batch["weight"], self.model.settings, self.settings)
        return parts | {"loss": torch.stack(list(parts.values())).sum()}

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """The loss of one training batch, a scalar that lightning minimises."""
        try:
            loss = self.losses(batch)["loss"]
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise InputError(
                "BatchNorm cannot learn from one crop whose coarsest feature map is one cell: take larger batches or crops"
            ) from None
        self.log("loss", loss.detach(), on_step=False, on_epoch=True, sync_dist=True)
        return loss

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Collect the scores of one batch, in pixels of the images."""
        output = self.model(batch["image"].contiguous(memory_format=self._layout))
        pixels = crop_to_image(output.joints, batch["image_from_crop"], self.model.settings.size)
        skeleton, visibility = self.model.settings.skeleton, batch["visibility"]
        torso = torso_diameter(batch["joints_2d"], visibility, skeleton)
        correct = correct_keypoints(pixels, batch["joints_2d"], visibility, torso)
        scores = {"correct": correct, "source": batch["source"]}
        loss = joint_loss(output.joints, batch["joints"], batch["weight"])  # one that compares detectors
        scores["loss"] = loss.expand(len(correct))
        if output.joints.shape[-1] == 3:
            away = (output.joints[..., 2] - batch["joints"][..., 2]).abs() * DEPTH_RANGE
            scores["depth_error"] = torch.where(batch["weight"][..., 2] > 0, away, torch.nan)
        self._scores.append(scores)

    def on_validation_epoch_end(self) -> None:
        """Log the mean scores over all validation batches."""
        scores = {name: torch.cat([part[name] for part in self._scores]) for name in self._scores[0]}
        self._scores.clear()
        correct = scores["correct"]
        if not bool(correct.isfinite().any()):
            raise InputError(
                "the validation stores label no row with left shoulder and right hip, so PCK cannot be scored: give another validation store"
            )
        self.log("validation_loss", scores["loss"].mean(), sync_dist=True)
        self.log("pck", correct.nanmean(), sync_dist=True)
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
            raise InputError(f"`freeze` {settings.freeze} leaves nothing to train")
        optimiser = torch.optim.AdamW(groups, weight_decay=settings.weight_decay, fused=self.may_fuse)
        return with_schedule(
            optimiser,
            settings.schedule,
            settings.steps,
            warm_up=settings.warm_up,
            milestones=settings.milestones,
            head_start=1,
        )


def read_sources(
    stores: Sequence[Path],
    model: DetectorModel,
    folder: Path,
    training: DetectorTrainingSettings,
) -> list[ImageSource]:
    """Sources of the stores, without rows whose images cannot be read.

    Args:
        stores: paths.
        model: whose skeleton is wanted.
        folder: where `skipped_images.csv` is written if there are such rows.
        training: says which boxes are taken, and whether every image is read once.

    Raises:
        InputError: a store has no usable image.
    """
    sources, skipped = [], []
    for path in stores:
        source = read_source(path, model.settings.skeleton, training.boxes)
        if training.check_images:
            source, unreadable = without_unreadable(source)
            skipped += unreadable
        sources.append(source)
    if skipped and is_first_process():
        write_text(folder / SKIPPED_IMAGES, skipped_table(skipped))
    return sources


def train_detector(
    stores: FilePath | Sequence[FilePath],
    output: FilePath,
    *,
    validation: FilePath | Sequence[FilePath],
    detector: DetectorSettings | DetectorModel = DetectorSettings(),
    training: DetectorTrainingSettings = DetectorTrainingSettings(),
    pretrained: str = "none",
    occluders: Occluders = None,
    overwrite: bool = False,
    resume: bool = False,
) -> pd.DataFrame:
    """Train a detector; afterwards `output` holds its checkpoints (see `evolift.training.trainer`).

    Args:
        stores: with images, to train on.
        output: the run folder to make.
        validation: stores that are scored after every `training.validate_every` steps.
        detector: what a new one is built like; or one that goes on learning, which is changed.
        training: how it learns.
        pretrained: weights of a new one's backbone, see `backbone.build_backbone`.
        occluders: what is pasted where `training` occludes, see `occluder_choice`.
        overwrite: replace the folder if it exists.
        resume: continue an interrupted run.

    Returns:
        History, a row per validation.

    Raises:
        InputError: a store has no usable image, a ratio does not fit, or the loss became non-finite.
        StoreError: a store is damaged.
        OutputError: the folder exists and is not empty, and neither flag is given; or it cannot be made.
    """
    require_settings("training", training, DetectorTrainingSettings)
    stores, validation, output = (
        as_paths(stores, "stores"),
        as_paths(validation, "validation"),
        as_path(output, "output"),
    )
    pasted = chosen_occluders(training.occlusion, occluders)
    model = _beginning(detector, pretrained, training.seed)
    record = run_record(
        "evolift detector train",
        model.settings,
        training,
        stores=stores,
        validation=validation,
        start_from=model.origin,
        pretrained=pretrained,
        occluders=told_occluders(occluders),
    )
    with run_folder(output, record, overwrite=overwrite, resume=resume):
        every = read_sources([*stores, *validation], model, output, training)
        sources, validation_sources = every[: len(stores)], every[len(stores) :]
        crops = crop_settings(model.settings, model.scaling, training, pasted)
        batches = MixedBatches(sources, training.ratios, training.batch_size, crops, training.seed)
        plain = crop_settings(model.settings, model.scaling)
        loader = batches_in_order(validation_sources, plain, training.batch_size * 2, training.num_workers)
        names = [source.name for source in validation_sources]
        about = checkpoint_record(record, [*stores, *validation])
        module = DetectorModule(model, training, names, about)
        return train(module, StepData(batches, loader, training), output, training, resume=resume)


def _beginning(detector: DetectorSettings | DetectorModel, pretrained: str, seed: int) -> DetectorModel:
    if isinstance(detector, DetectorSettings):
        torch.manual_seed(seed)  # of the initial weights
        return DetectorModel(detector, pretrained)
    if pretrained != "none":
        raise InputError(f"`pretrained` {pretrained} is for new detectors, and this one has its weights")
    return detector
