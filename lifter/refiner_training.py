"""Training of a refiner on clean poses, corrupted as a lifter's predictions are."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from evolift.lifter.data.pairs import Pairs, drawn_views, fixed_views
from evolift.lifter.data.pose_source import Mixture, PosePart
from evolift.lifter.refiner import RefinerModel
from evolift.lifter.settings import PoseNoise, RefinerSettings, RefinerTrainingSettings
from evolift.lifter.training import PoseModule, open_data, started, validation_batches
from evolift.posedata.input_file import FilePath, as_path, as_paths
from evolift.posedata.metrics import joint_errors
from evolift.posedata.seeds import generator_at
from evolift.posedata.settings import require_settings
from evolift.posedata.skeleton import Skeleton
from evolift.training.run_folder import checkpoint_record, run_folder, run_record
from evolift.training.trainer import Batch, StepData, train


def corrupted(
    joints: Float[Tensor, "batch joints 3"], noise: PoseNoise, root: int, generator: torch.Generator
) -> Float[Tensor, "batch joints 3"]:
    """Root-relative poses with noise and masked joints; the root stays at 0, as in what a lifter gives."""
    deviation = joints.new_tensor([noise.noise, noise.noise, noise.depth_noise])
    noisy = joints + deviation * torch.randn(joints.shape, generator=generator)
    is_masked = torch.rand(joints.shape[:2], generator=generator) < noise.masked
    is_masked[:, root] = True
    return noisy.masked_fill(is_masked[..., None], 0.0)


def corrupted_batch(clean: Pairs, noise: PoseNoise, root: int, generator: torch.Generator) -> Batch:
    """Corrupted poses as `inputs`, clean ones as `target`."""
    target = clean.root_relative(root)
    return {"inputs": corrupted(target, noise, root, generator), "target": target}


class CorruptedPoses:
    """Training batches as a pure function of (seed, step, rank); a `evolift.training.trainer.BatchMaker`.

    Args:
        mixture: where poses come from.
        skeleton: of the poses.
        training: cameras that see them, batch size, flips, noise, and the seed of all draws.
    """

    def __init__(self, mixture: Mixture, skeleton: Skeleton, training: RefinerTrainingSettings) -> None:
        self.mixture, self.skeleton, self.training = mixture, skeleton, training

    def __call__(self, step: int, rank: int, world_size: int) -> Batch:
        """`inputs` and `target`, both (batch, joints, 3), mm."""
        training = self.training
        generator = generator_at(training.seed, step, rank)
        clean = drawn_views(self.mixture, training.views, self.skeleton, step, training.seed, generator)
        return corrupted_batch(clean, training.pose_noise, self.skeleton.root, generator)


class RefinerModule(PoseModule):
    """A refiner in training; validation logs `mpjpe` of mended and `mpjpe_given` of corrupted poses, mm."""

    model: RefinerModel

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the errors of one batch, before and after."""
        super().validation_step(batch, batch_idx)
        given = joint_errors(batch["inputs"], batch["target"]).nanmean()
        self.log(
            "mpjpe_given",
            given,
            on_step=False,
            on_epoch=True,
            sync_dist=True,
            batch_size=len(batch["inputs"]),
        )


def train_refiner(
    stores: FilePath | Sequence[FilePath],
    output: FilePath,
    *,
    validation: FilePath | Sequence[FilePath] = (),
    refiner: RefinerSettings = RefinerSettings(),
    training: RefinerTrainingSettings = RefinerTrainingSettings(),
    start_from: FilePath | None = None,
    overwrite: bool = False,
    resume: bool = False,
) -> pd.DataFrame:
    """Train a refiner; `output` then holds best.safetensors, last.safetensors, history.csv and settings.json.

    Args:
        stores: of 3D poses.
        output: the run folder to make.
        validation: validate on all poses of these stores, instead of on a split of `stores`.
        refiner: what to build.
        training: how, and on what of the stores.
        start_from: a refiner checkpoint whose weights to begin with; it must have the settings of `refiner`.
        overwrite: replace the folder if it exists.
        resume: continue an interrupted run in it.

    Returns:
        A row per validation with `step`, `loss`, `mpjpe` and `mpjpe_given`.

    Raises:
        InputError: the data do not fit, there is nothing to validate on, or the loss became non-finite.
        OutputError: the folder exists, and neither flag is given.
        StoreError, CheckpointError: a file is not sound.
    """
    require_settings("refiner", refiner, RefinerSettings)
    require_settings("training", training, RefinerTrainingSettings)
    stores, validation, output = (
        as_paths(stores, "stores"),
        as_paths(validation, "validation"),
        as_path(output, "output"),
    )
    start_from = None if start_from is None else as_path(start_from, "start_from")
    record = run_record(
        "evolift lifter train-refiner",
        refiner,
        training,
        stores=stores,
        validation=validation,
        start_from=start_from,
        output=output,
    )
    with run_folder(output, record, overwrite=overwrite, resume=resume):
        skeleton = refiner.skeleton
        data = open_data(stores, skeleton, training, validation)
        torch.manual_seed(training.seed)  # of the initial weights
        model = RefinerModel(refiner) if start_from is None else started(RefinerModel, start_from, refiner)
        about = checkpoint_record(record, [*stores, *validation])
        module = RefinerModule(model, skeleton, training, about)

        def to_batch(part: PosePart, count: int, generator: torch.Generator) -> Batch:
            clean, _ = fixed_views(part, training.views, training.seed, count=count)
            return corrupted_batch(clean, training.pose_noise, skeleton.root, generator)

        batches = validation_batches(data.validation, training, to_batch)
        made = CorruptedPoses(data.mixture, skeleton, training)
        return train(module, StepData(made, batches, training), output, training, resume=resume)
