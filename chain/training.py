"""Fine-tuning of detector and lifter end to end."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Literal

import pandas as pd
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from evolift.chain.model import ChainModel, ChainOutput, lens_of
from evolift.chain.settings import ChainTrainingSettings
from evolift.detector2d.depthwise import speed_up_depthwise
from evolift.detector2d.drop_path import drop_paths
from evolift.detector2d.losses import detection_losses
from evolift.detector2d.occluder_choice import Occluders, chosen_occluders, told_occluders
from evolift.detector2d.samples import MixedBatches, batches_in_order, crop_settings
from evolift.detector2d.training import read_sources
from evolift.lifter.joint_uncertainty import laplace_loss
from evolift.lifter.normalisation import MM_PER_M
from evolift.posedata.bone_loss import bone_loss
from evolift.posedata.errors import InputError
from evolift.posedata.input_file import FilePath, as_path, as_paths
from evolift.posedata.metrics import joint_errors
from evolift.posedata.settings import require_settings
from evolift.posedata.skeleton import Skeleton
from evolift.training.batch_norm import settled_batch_norms
from evolift.training.learning_rate import with_schedule
from evolift.training.run_folder import checkpoint_record, run_folder, run_record
from evolift.training.trainer import Batch, StageModule, StepData, train

_log = logging.getLogger(__name__)


class ChainModule(StageModule):
    """The chain in training; validation logs `mpjpe` (mm, root-relative; depth alone for target `z`).

    Args:
        model: to train.
        training: how.
        record: what the checkpoint tells of its making.
    """

    monitor = "mpjpe"
    monitor_mode: Literal["min", "max"] = "min"
    model: ChainModel

    def __init__(
        self, model: ChainModel, training: ChainTrainingSettings, record: dict[str, object] | None = None
    ) -> None:
        super().__init__()
        self.model, self.settings, self.record = model, training, record or {}
        self._settled = settled_batch_norms(model) if training.batch_norm == "keep" else []
        self._layout = torch.channels_last if training.channels_last else torch.contiguous_format
        model.detector.to(memory_format=self._layout)
        model.detector.freeze(training.freeze)
        drop_paths(model.detector.backbone, training.drop_path)
        if training.precision == "bf16-mixed":
            speed_up_depthwise(model.detector)
        model.lifter.requires_grad_(training.lifter_learning_rate > 0)
        self._errors: list[Tensor] = []
        self.train()  # loaded checkpoints come in evaluation mode

    def setup(self, stage: str) -> None:
        """Lightning's hook before processes begin to train together."""
        if self.trainer.world_size > 1:
            self.model.detector.freeze_unused()

    def train(self, mode: bool = True) -> ChainModule:
        """As torch's; a frozen lifter, and BatchNorm that is to keep its statistics, stay in evaluation mode."""
        super().train(mode)
        for layer in self._settled:
            layer.eval()
        if self.settings.lifter_learning_rate == 0:
            self.model.lifter.eval()
        return self

    def _run(self, batch: Batch) -> ChainOutput:
        images = batch["image"].contiguous(memory_format=self._layout)
        output: ChainOutput = self.model(
            images, batch["image_from_crop"], batch["image_size"], lens_of(batch)
        )
        return output

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Every part of the loss and their sum `loss`."""
        output = self._run(batch)
        skeleton, settings = self.model.skeleton, self.settings
        detector = self.model.detector.settings
        found = detection_losses(output.detection, batch["joints"], batch["weight"], detector, settings)
        parts = {f"2d_{name}": loss * settings.weight_2d for name, loss in found.items()}
        target, known = batch["joints_3d"], batch["has_3d"]
        if output.is_in_sight is not None:  # who is not has a NaN for an answer, which teaches nothing
            known = known & output.is_in_sight
            kept = torch.where(output.is_in_sight[:, None, None], output.joints_3d, 0.0)
            output = output._replace(joints_3d=kept)
        parts["3d"] = joint_loss_3d(output.joints_3d, target, known) * settings.weight_3d
        if output.sigma is not None and settings.lifter_learning_rate > 0:
            # The joints are taught by the loss above; of this one the lifter learns how far off they now are.
            parts["sigma_3d"] = sigma_loss_3d(output, target, known, skeleton.root) * settings.weight_3d
        if settings.weight_bones_3d:
            bones_3d = bone_loss_3d(output.joints_3d, target, known, skeleton)
            parts["bones_3d"] = bones_3d * settings.weight_bones_3d
        return parts | {"loss": torch.stack(list(parts.values())).sum()}

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """The loss of one training batch, a scalar that lightning minimises."""
        parts = self.losses(batch)
        for name, value in parts.items():
            called = name if name == "loss" else f"loss_{name}"
            self.log(called, value.detach(), on_epoch=True, on_step=False, sync_dist=True)
        return parts["loss"]

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Collect the 3D errors of one batch."""
        output = self._run(batch)
        known = batch["has_3d"]
        if output.is_in_sight is not None:
            lost = int((known & ~output.is_in_sight).sum())
            if lost:
                _log.warning("%d people of the validation images span more than their cameras can see: they are not scored.", lost)  # fmt: skip
            known = known & output.is_in_sight
        self._errors.append(error_3d(output.joints_3d[known], batch["joints_3d"][known]))

    def on_validation_epoch_end(self) -> None:
        """Log `mpjpe`, the mean 3D error over all validation poses, in mm."""
        errors = torch.cat(self._errors)
        self._errors.clear()
        if not len(errors):
            raise InputError("no validation sample has 3D joints: give a validation store with 3D and images")
        self.log("mpjpe", errors.mean(), sync_dist=True)

    def configure_optimizers(self) -> Any:
        """AdamW with a learning rate each for backbone, head and lifter, and one schedule for all."""
        settings, detector = self.settings, self.model.detector
        rates: list[tuple[nn.Module, float]] = [
            (detector.head, settings.learning_rate),
            (detector.backbone, settings.learning_rate * settings.backbone_factor),
            (self.model.lifter, settings.lifter_learning_rate),
        ]
        groups = [
            {"params": open_parameters, "lr": rate}
            for part, rate in rates
            if (open_parameters := [p for p in part.parameters() if p.requires_grad])
        ]
        optimiser = torch.optim.AdamW(groups, weight_decay=settings.weight_decay, fused=self.may_fuse)
        return with_schedule(
            optimiser,
            settings.schedule,
            settings.steps,
            warm_up=settings.warm_up,
            milestones=settings.milestones,
            head_start=1,
        )


def error_3d(
    prediction: Float[Tensor, "batch joints out"], target: Float[Tensor, "batch joints 3"]
) -> Float[Tensor, "batch"]:
    """MPJPE of the labelled joints of each pose, mm; the mean error of depth where only depth is predicted."""
    # Means leave out NaN, unlabelled joints; what is predicted without being a number must show.
    prediction = torch.where(prediction.isnan(), torch.inf, prediction)
    if prediction.shape[-1] == 1:
        return (prediction[..., 0] - target[..., 2]).abs().nanmean(-1)
    return joint_errors(prediction, target).nanmean(-1)


def joint_loss_3d(
    prediction: Float[Tensor, "batch joints out"],
    target: Float[Tensor, "batch joints 3"],
    known: Bool[Tensor, "batch"],
) -> Float[Tensor, ""]:
    """L1 error of root-relative joints in metres, summed over joints and axes, mean over the batch.

    Args:
        prediction: mm; (…, 1) is depth alone.
        target: mm; joints that are NaN, unlabelled ones, add nothing.
        known: which samples have 3D; the others add nothing.
    """
    axes = [2] if prediction.shape[-1] == 1 else [0, 1, 2]
    target = target[..., axes]
    target = torch.where(target.isfinite(), target, prediction.detach())
    distance = (prediction - target).abs().sum((1, 2)) / MM_PER_M
    return (distance * known).mean()


def sigma_loss_3d(
    output: ChainOutput, target: Float[Tensor, "batch joints 3"], known: Bool[Tensor, "batch"], root: int
) -> Float[Tensor, ""]:
    """`laplace_loss` of the chain's sigma alone, whose joints get no gradient; other arguments as of `joint_loss_3d`."""
    assert output.sigma is not None
    axes = [2] if output.joints_3d.shape[-1] == 1 else [0, 1, 2]
    target = torch.where(known[:, None, None], target[..., axes], torch.nan)
    return laplace_loss(output.joints_3d.detach(), output.sigma, target, root)


def bone_loss_3d(
    prediction: Float[Tensor, "batch joints out"],
    target: Float[Tensor, "batch joints 3"],
    known: Bool[Tensor, "batch"],
    skeleton: Skeleton,
) -> Float[Tensor, ""]:
    """`bone_loss` in metres, mean over the batch; arguments as of `joint_loss_3d`."""
    axes = [2] if prediction.shape[-1] == 1 else [0, 1, 2]
    target = target[..., axes]
    labelled = target.isfinite()
    target = torch.where(labelled, target, prediction.detach())
    return (bone_loss(prediction, target, skeleton, labelled.to(prediction)) / MM_PER_M * known).mean()


def finetune(
    stores: FilePath | Sequence[FilePath],
    output: FilePath,
    *,
    chain: ChainModel,
    validation: FilePath | Sequence[FilePath],
    training: ChainTrainingSettings = ChainTrainingSettings(),
    occluders: Occluders = None,
    overwrite: bool = False,
    resume: bool = False,
) -> pd.DataFrame:
    """Train a chain end to end; afterwards `output` holds its checkpoints (see `evolift.training.trainer`).

    Args:
        stores: with images; some have 3D joints, the others (photographs) keep teaching the detector.
        output: the run folder to make.
        chain: to begin with; it is changed.
        validation: stores with images and 3D joints, scored after every `training.validate_every` steps.
        training: how it learns.
        occluders: what is pasted where `training` occludes, see `evolift.detector2d.occluder_choice`.
        overwrite: replace the folder if it exists.
        resume: continue an interrupted run.

    Returns:
        History, a row per validation.

    Raises:
        InputError: a store has no usable image, none has 3D joints, or the loss became non-finite.
        StoreError: a store is damaged.
        OutputError: the folder exists and is not empty, and neither flag is given; or it cannot be made.
    """
    require_settings("training", training, ChainTrainingSettings)
    stores, validation, output = (
        as_paths(stores, "stores"),
        as_paths(validation, "validation"),
        as_path(output, "output"),
    )
    detector = chain.detector
    pasted = chosen_occluders(training.occlusion, occluders)
    record = run_record(
        "evolift finetune",
        detector.settings,
        chain.lifter.settings,
        training,
        stores=stores,
        validation=validation,
        chain=chain.origin,
        flip_test=chain.settings.flip_test,
        detector=detector.origin,
        lifter=chain.lifter.origin,
        occluders=told_occluders(occluders),
    )
    with run_folder(output, record, overwrite=overwrite, resume=resume):
        every = read_sources([*stores, *validation], detector, output, training)
        sources, validation_sources = every[: len(stores)], every[len(stores) :]
        if not any(source.known_3d.any() for source in sources):
            raise InputError(
                "none of the stores has images with 3D joints: add one, for example of rendered people"
            )
        crops = crop_settings(detector.settings, detector.scaling, training, pasted)
        batches = MixedBatches(sources, training.ratios, training.batch_size, crops, training.seed)
        plain = crop_settings(detector.settings, detector.scaling)
        loader = batches_in_order(validation_sources, plain, training.batch_size * 2, training.num_workers)
        module = ChainModule(chain, training, checkpoint_record(record, [*stores, *validation]))
        return train(module, StepData(batches, loader, training), output, training, resume=resume)
