"""Training of a lifter on pairs made on the fly from pose stores."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from evolift.lifter.bone_losses import bone_loss, symmetry_loss
from evolift.lifter.data.pairs import PairMaker, Pairs, PairSettings, as_batch, fixed_pairs
from evolift.lifter.data.pose_source import Mixture, PosePart
from evolift.lifter.data.split import Split
from evolift.lifter.model import LifterModel, LifterSettings, load_lifter, to_checkpoint
from evolift.lifter.normalisation import MM_PER_M
from evolift.posedata.errors import InputError
from evolift.posedata.metrics import mpjpe
from evolift.posedata.output_file import hashes_of
from evolift.posedata.seeds import generator_at
from evolift.posedata.skeleton import Skeleton
from evolift.posedata.store import PoseStore
from evolift.training.checkpoint import Checkpoint
from evolift.training.trainer import Batch, StageModule, StepData, TrainingSettings, train

LOSSES = ("mse", "l1")
SCHEDULES = ("published", "cosine", "one-cycle", "constant")

PUBLISHED_DECAY, PUBLISHED_DECAY_STEPS = 0.96, 100_000
ONE_CYCLE_RISE = 0.1
VALIDATION_BATCH = 1024
# Place of a random stream; training batches have (step, rank), whose fourth number is 0.
VALIDATION_FAULTS = (0, 0, 0, 2)


@dataclass(frozen=True)
class LearningSettings:
    """How a lifter learns. The defaults were chosen on held-out clips; the recipe `semgcn-published` has the published ones.

    Args:
        loss: `l1`, or `mse`, the published one, of joints in metres.
        learning_rate: Adam's, at the top of the schedule.
        bone_weight: of `bone_losses.bone_loss`, the L1 error of bone vectors in metres, summed over bones and axes;
            0 for none.
        symmetry_weight: of `bone_losses.symmetry_loss`, the difference in length of left and right bones in metres,
            summed over pairs; 0 for none.
        schedule: `published` (x0.96 per 100,000 steps), `cosine` to zero, `one-cycle` (a linear rise over a
            tenth of the steps, then cosine to zero), or `constant`.
        validation_poses: bodies at most that validation looks at (each by four cameras of a ring).

    Raises:
        InputError: a value is unknown or out of its range.
    """

    loss: str = "l1"
    learning_rate: float = 2e-3
    schedule: str = "one-cycle"
    validation_poses: int = 2000
    bone_weight: float = 0.0
    symmetry_weight: float = 0.0

    def __post_init__(self) -> None:
        for value, known, what in (
            (self.loss, LOSSES, "loss"),
            (self.schedule, SCHEDULES, "schedule"),
        ):
            if value not in known:
                raise InputError(f"there is no {what} {value!r}: choose one of {', '.join(known)}")
        if not self.learning_rate > 0 or self.validation_poses < 1:
            raise InputError("the learning rate and the number of validation poses must be positive")
        if self.bone_weight < 0 or self.symmetry_weight < 0:
            raise InputError("the weights of the bone and the symmetry loss must not be negative")


@dataclass(frozen=True)
class DataSettings:
    """Which poses are learnt from.

    Args:
        split: training and validation rows.
        evolved_share: share of evolved rows (generation above 0) among the draws; None draws all rows alike.
        store_weights: how often a row of each store is drawn relative to rows of the others; all alike if empty.

    Raises:
        InputError: a share or weight is out of its range.
    """

    split: Split = field(default_factory=Split)
    evolved_share: float | None = None
    store_weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.evolved_share is not None and not 0 <= self.evolved_share < 1:
            raise InputError(f"the share of evolved poses must be within 0 and 1, not {self.evolved_share}")


@dataclass(frozen=True, eq=False)
class LifterData:
    """Training mixture and validation parts of some stores."""

    mixture: Mixture
    validation: tuple[PosePart, ...]


def schedule_factor(name: str, step: int, steps: int) -> float:
    """What the learning rate is multiplied by at a step of `steps`."""
    if name == "published":
        return PUBLISHED_DECAY ** (step // PUBLISHED_DECAY_STEPS)
    if name == "constant":
        return 1.0
    rise = max(1, round(ONE_CYCLE_RISE * steps)) if name == "one-cycle" else 0
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


class PoseModule(StageModule):
    """A network in training that answers with root-relative joints in mm; validation logs `mpjpe`.

    Where the answer is depth alone, `mpjpe` is its mean error.

    Args:
        model: to be trained.
        skeleton: of its answers.
        learning: how.
        steps: in all, for the schedule.
        record: kept in its checkpoints.
    """

    monitor = "mpjpe"
    monitor_mode = "min"

    def __init__(
        self,
        model: nn.Module,
        skeleton: Skeleton,
        learning: LearningSettings,
        steps: int,
        record: dict[str, object],
    ) -> None:
        super().__init__()
        self.model, self.skeleton, self.learning = model, skeleton, learning
        self.steps, self.record = steps, record
        # Collected here because lightning's own mean is ready only after the validation's row is written.
        self._losses: list[Tensor] = []

    def estimates(self, inputs: Tensor) -> Sequence[Tensor]:
        """The answers that are trained, each (batch, joints, out)."""
        return (self.model(inputs),)

    def loss(
        self, prediction: Float[Tensor, "batch joints out"], target: Float[Tensor, "batch joints out"]
    ) -> Float[Tensor, ""]:
        """Of joints in mm, with the terms on bones; the joints' part is in metres (squared, for `mse`)."""
        distance = F.mse_loss if self.learning.loss == "mse" else F.l1_loss
        loss = distance(prediction / MM_PER_M, target / MM_PER_M)
        if self.learning.bone_weight:
            bones = bone_loss(prediction, target, self.skeleton).mean() / MM_PER_M
            loss = loss + self.learning.bone_weight * bones
        if self.learning.symmetry_weight:
            symmetry = symmetry_loss(prediction, self.skeleton).mean() / MM_PER_M
            loss = loss + self.learning.symmetry_weight * symmetry
        return loss

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Loss of one batch."""
        estimates = self.estimates(batch["inputs"])
        loss = torch.stack([self.loss(estimate, batch["target"]) for estimate in estimates]).mean()
        self._losses.append(loss.detach())
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the error of one batch."""
        prediction, target = self.model(batch["inputs"]), batch["target"]
        error = mpjpe(prediction, target) if target.shape[-1] == 3 else (prediction - target).abs()
        self.log("mpjpe", error.mean(), on_step=False, on_epoch=True, sync_dist=True, batch_size=len(target))

    def on_validation_epoch_end(self) -> None:
        """Log the mean training loss since the last validation, beside the error."""
        if self._losses:
            self.log("loss", torch.stack(self._losses).mean(), sync_dist=True)
            self._losses.clear()

    def configure_optimizers(self) -> dict[str, object]:  # type: ignore[override]  # lightning's union is wider
        """Adam and the schedule, by step."""
        optimizer = torch.optim.Adam(self.parameters(), lr=self.learning.learning_rate, fused=self.may_fuse)
        scheduler = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: schedule_factor(self.learning.schedule, step, self.steps)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


class LifterModule(PoseModule):
    """A lifter in training; arguments as of `PoseModule`.

    Raises:
        InputError: a loss on bones is asked for, and the lifter gives depth alone.
    """

    model: LifterModel

    def __init__(
        self, model: LifterModel, learning: LearningSettings, steps: int, record: dict[str, object]
    ) -> None:
        if model.settings.target == "z" and (learning.bone_weight or learning.symmetry_weight):
            raise InputError(
                "bone and symmetry losses need whole joints: train with target xyz, or with weights of 0"
            )
        super().__init__(model, model.skeleton, learning, steps, record)

    def estimates(self, inputs: Tensor) -> Sequence[Tensor]:
        """The answer of each stage of a cascade."""
        return self.model.stages(inputs).unbind()

    def to_checkpoint(self) -> Checkpoint:
        """The lifter as it is now."""
        return to_checkpoint(self.model, self.record)


def open_data(
    paths: Sequence[Path],
    skeleton: Skeleton,
    settings: DataSettings,
    validation_paths: Sequence[Path] = (),
) -> LifterData:
    """Parts of some stores, in one skeleton: rows to train on, with weights, and rows to validate on.

    With `validation_paths`, all rows of `paths` that the split's `subjects` and `actions` name train, and all rows
    of those that were not bred validate.

    Raises:
        InputError: a store does not fit, or evolved poses are asked for and there are none.
        StoreError: a store is not sound.
    """
    weights = settings.store_weights or (1.0,) * len(paths)
    if len(weights) != len(paths):
        raise InputError(f"{len(paths)} stores cannot have {len(weights)} weights")
    original: list[tuple[PosePart, float]] = []
    evolved: list[tuple[PosePart, float]] = []
    validation: list[PosePart] = []
    split = replace(settings.split, validation_share=0.0) if validation_paths else settings.split
    if validation_paths and (split.validation_subjects or split.validation_actions):
        raise InputError("give validation stores, or validation subjects and actions, not both")
    for path, weight in zip(paths, weights, strict=True):
        with PoseStore(path) as store:
            table = store.table()
        training_rows, validation_rows = split.rows(table)
        bred = table["generation"].to_numpy() > 0 if "generation" in table else None
        for parts, rows in (
            (original, training_rows if bred is None else training_rows[~bred[training_rows]]),
            (evolved, training_rows[:0] if bred is None else training_rows[bred[training_rows]]),
        ):
            if len(rows):
                parts.append((PosePart(path, rows, skeleton), weight * len(rows)))
        if len(validation_rows):
            validation.append(PosePart(path, validation_rows, skeleton))
    for path in validation_paths:
        with PoseStore(path) as store:
            table = store.table()
        unbred = table["generation"].to_numpy() == 0 if "generation" in table else np.ones(len(table), bool)
        validation.append(PosePart(path, np.flatnonzero(unbred), skeleton))
    if settings.evolved_share is not None:
        original, evolved = _shared(original, evolved, settings.evolved_share)
    parts = original + evolved
    return LifterData(
        Mixture([part for part, _ in parts], [weight for _, weight in parts]), tuple(validation)
    )


def _shared(
    original: list[tuple[PosePart, float]], evolved: list[tuple[PosePart, float]], share: float
) -> tuple[list[tuple[PosePart, float]], list[tuple[PosePart, float]]]:
    if share == 0:
        return original, []
    if not evolved:
        raise InputError("a share of evolved poses is asked for, but no store has any: run `evolift evolve`")
    if not original:
        raise InputError("a share of evolved poses is asked for, but there are no original ones beside them")

    def scaled(parts: list[tuple[PosePart, float]], total: float) -> list[tuple[PosePart, float]]:
        every = sum(weight for _, weight in parts)
        return [(part, total * weight / every) for part, weight in parts]

    return scaled(original, 1 - share), scaled(evolved, share)


def validation_batches(
    parts: Sequence[PosePart],
    pairs: PairSettings,
    seed: int,
    poses: int,
    to_batch: Callable[[Pairs, torch.Generator], Batch],
) -> list[Batch]:
    """The same batches at every call.

    Args:
        parts: rows to validate on.
        pairs, seed: of `pairs.fixed_pairs`.
        poses: bodies at most.
        to_batch: input and target of pairs, from them and a generator.

    Raises:
        InputError: there are no rows to validate on.
    """
    if not parts:
        raise InputError(
            "there is nothing to validate on: name validation subjects or actions, or give a share"
        )
    total = sum(len(part) for part in parts)
    generator = generator_at(seed, *VALIDATION_FAULTS)
    batches = []
    for part in parts:
        share = max(1, round(poses * len(part) / max(total, poses)))
        batch = to_batch(fixed_pairs(part, pairs, seed, count=share)[0], generator)
        batches += [
            dict(zip(batch, values, strict=True))
            for values in zip(
                *(torch.split(value, VALIDATION_BATCH) for value in batch.values()), strict=True
            )
        ]
    return batches


def train_lifter(
    stores: Sequence[Path],
    folder: Path,
    training: TrainingSettings,
    *,
    lifter: LifterSettings | None = None,
    pairs: PairSettings | None = None,
    learning: LearningSettings | None = None,
    data: DataSettings | None = None,
    validation_stores: Sequence[Path] = (),
    start_from: Path | None = None,
    record: dict[str, object] | None = None,
    resume: bool = False,
) -> pd.DataFrame:
    """Train a lifter; `folder` then holds best.safetensors, last.safetensors and history.csv.

    Args:
        stores: of 3D poses.
        folder: an existing run folder (`evolift.posedata.output_file.output_folder`).
        training: how long; its seed is that of everything random.
        lifter: what to build; SemGCN on H36M17 by default.
        pairs: cameras and faults.
        learning: loss and schedule.
        data: split and mixture.
        validation_stores: validate on all poses of these, instead of on a split of `stores`.
        start_from: a lifter checkpoint whose weights to begin with; it must have the same settings.
        record: about the command, kept in the checkpoints beside hashes of the stores.
        resume: continue an interrupted run.

    Returns:
        A row per validation with `step`, `loss` and `mpjpe`.

    Raises:
        InputError: the data do not fit, there is nothing to validate on, or the loss became non-finite.
        StoreError, CheckpointError: a file is not sound.
    """
    lifter, pairs = lifter or LifterSettings(), pairs or PairSettings()
    learning, data = learning or LearningSettings(), data or DataSettings()
    opened = open_data(stores, lifter.skeleton, data, validation_stores)
    torch.manual_seed(training.seed)  # of the initial weights
    model = LifterModel(lifter) if start_from is None else _started(start_from, lifter)
    about = {**(record or {}), "stores": hashes_of([*stores, *validation_stores])}
    module = LifterModule(model, learning, training.steps, about)
    batches = validation_batches(
        opened.validation,
        pairs,
        training.seed,
        learning.validation_poses,
        lambda seen, generator: as_batch(seen, lifter, pairs.depth_noise, generator),
    )
    step_data = StepData(PairMaker(opened.mixture, pairs, lifter, training.seed), batches, training)
    return train(module, step_data, folder, training, resume=resume)


def _started(path: Path, lifter: LifterSettings) -> LifterModel:
    model = load_lifter(path)
    if model.settings != lifter:
        raise InputError(f"{path}: its settings are others than those asked for: train with its own settings")
    return model.train()
