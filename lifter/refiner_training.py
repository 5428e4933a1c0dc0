"""Training of a refiner on clean poses that are spoilt as a lifter spoils them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from evolift.lifter.data.pairs import Pairs, PairSettings, drawn_pairs
from evolift.lifter.data.pose_source import Mixture
from evolift.lifter.refiner import RefinerModel, RefinerSettings, refiner_to_checkpoint
from evolift.lifter.training import DataSettings, LearningSettings, PoseModule, open_data, validation_batches
from evolift.posedata.errors import InputError
from evolift.posedata.metrics import mpjpe
from evolift.posedata.output_file import hashes_of
from evolift.posedata.seeds import generator_at
from evolift.posedata.skeleton import Skeleton
from evolift.training.checkpoint import Checkpoint
from evolift.training.trainer import Batch, StepData, TrainingSettings, train


@dataclass(frozen=True)
class PoseFaults:
    """What is done to clean poses.

    Args:
        noise: standard deviation of the gaussian error of x and y of each joint, mm.
        depth_noise: of its z, mm; a lifter errs most along the line of sight.
        dropped: probability that a joint is lost; it is then at the root's place.

    Raises:
        InputError: a number is out of its range.
    """

    noise: float = 20.0
    depth_noise: float = 40.0
    dropped: float = 0.05

    def __post_init__(self) -> None:
        if self.noise < 0 or self.depth_noise < 0 or not 0 <= self.dropped < 1:
            raise InputError("noise must not be negative, dropped at least 0 and below 1")


def spoilt(
    joints: Float[Tensor, "batch joints 3"], faults: PoseFaults, root: int, generator: torch.Generator
) -> Float[Tensor, "batch joints 3"]:
    """Root-relative poses with faults; the root stays at 0, as in what a lifter gives."""
    deviation = joints.new_tensor([faults.noise, faults.noise, faults.depth_noise])
    noisy = joints + deviation * torch.randn(joints.shape, generator=generator)
    lost = torch.rand(joints.shape[:2], generator=generator) < faults.dropped
    lost[:, root] = True
    return noisy.masked_fill(lost[..., None], 0.0)


class SpoiltPoses:
    """Training batches as a pure function of (seed, step, rank); a `evolift.training.trainer.BatchMaker`.

    Args:
        mixture: where poses come from.
        pairs: cameras that see them, batch size and flips.
        faults: that are to be mended.
        skeleton: of the poses.
        seed: of all draws.
    """

    def __init__(
        self, mixture: Mixture, pairs: PairSettings, faults: PoseFaults, skeleton: Skeleton, seed: int
    ) -> None:
        self.mixture, self.pairs, self.faults = mixture, pairs, faults
        self.skeleton, self.seed = skeleton, seed

    def __call__(self, step: int, rank: int, world_size: int) -> Batch:
        """`inputs` and `target`, both (batch, joints, 3), mm."""
        generator = generator_at(self.seed, step, rank)
        clean = drawn_pairs(self.mixture, self.pairs, self.skeleton, step, self.seed, generator)
        return spoilt_batch(clean, self.faults, self.skeleton.root, generator)


def spoilt_batch(clean: Pairs, faults: PoseFaults, root: int, generator: torch.Generator) -> Batch:
    """Spoilt poses as `inputs`, clean ones as `target`."""
    target = clean.root_relative(root)
    return {"inputs": spoilt(target, faults, root, generator), "target": target}


class RefinerModule(PoseModule):
    """A refiner in training; validation logs `mpjpe` of mended and `mpjpe_given` of spoilt poses, mm."""

    model: RefinerModel

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the errors of one batch, before and after."""
        super().validation_step(batch, batch_idx)
        given = mpjpe(batch["inputs"], batch["target"]).mean()
        self.log(
            "mpjpe_given",
            given,
            on_step=False,
            on_epoch=True,
            sync_dist=True,
            batch_size=len(batch["inputs"]),
        )

    def to_checkpoint(self) -> Checkpoint:
        """The refiner as it is now."""
        return refiner_to_checkpoint(self.model, self.record)


def train_refiner(
    stores: Sequence[Path],
    folder: Path,
    training: TrainingSettings,
    *,
    refiner: RefinerSettings | None = None,
    pairs: PairSettings | None = None,
    faults: PoseFaults | None = None,
    learning: LearningSettings | None = None,
    data: DataSettings | None = None,
    validation_stores: Sequence[Path] = (),
    record: dict[str, object] | None = None,
    resume: bool = False,
) -> pd.DataFrame:
    """Train a refiner; `folder` then holds best.safetensors, last.safetensors and history.csv.

    Args:
        stores: of 3D poses.
        folder: an existing run folder (`evolift.posedata.output_file.output_folder`).
        training: how long; its seed is that of everything random.
        refiner: what to build.
        pairs: cameras, batch size and flips; its 2D faults are not used.
        faults: that are to be mended.
        learning: loss and schedule.
        data: split and mixture.
        validation_stores: validate on all poses of these, instead of on a split of `stores`.
        record: about the command, kept in the checkpoints beside hashes of the stores.
        resume: continue an interrupted run.

    Returns:
        A row per validation with `step`, `loss`, `mpjpe` and `mpjpe_given`.

    Raises:
        InputError: the data do not fit, there is nothing to validate on, or the loss became non-finite.
        StoreError: a store is not sound.
    """
    refiner, pairs, faults = refiner or RefinerSettings(), pairs or PairSettings(), faults or PoseFaults()
    learning, data = learning or LearningSettings(), data or DataSettings()
    opened = open_data(stores, refiner.skeleton, data, validation_stores)
    torch.manual_seed(training.seed)  # of the initial weights
    about = {**(record or {}), "stores": hashes_of([*stores, *validation_stores])}
    module = RefinerModule(RefinerModel(refiner), refiner.skeleton, learning, training.steps, about)
    batches = validation_batches(
        opened.validation,
        pairs,
        training.seed,
        learning.validation_poses,
        lambda seen, generator: spoilt_batch(seen, faults, refiner.skeleton.root, generator),
    )
    made = SpoiltPoses(opened.mixture, pairs, faults, refiner.skeleton, training.seed)
    return train(module, StepData(made, batches, training), folder, training, resume=resume)
