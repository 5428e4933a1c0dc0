"""Training of a lifter on pairs made on the fly from pose stores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from evolift.lifter.data.pairs import PairMaker, as_batch, fixed_pairs
from evolift.lifter.data.pose_source import Mixture, PosePart
from evolift.lifter.data.split import split_rows
from evolift.lifter.joint_uncertainty import laplace_loss
from evolift.lifter.model import LifterModel
from evolift.lifter.networks.cascade import Cascade
from evolift.lifter.normalisation import MM_PER_M
from evolift.lifter.settings import (
    EVOLVED_SHARE,
    LifterSettings,
    LifterTrainingSettings,
    PoseTrainingSettings,
)
from evolift.lifter.symmetry_loss import symmetry_loss
from evolift.posedata.bone_loss import bone_loss
from evolift.posedata.errors import InputError
from evolift.posedata.input_file import FilePath, as_path, as_paths
from evolift.posedata.output_file import hashes_of
from evolift.posedata.predictions.levelled_poses import tell_levelled
from evolift.posedata.seeds import generator_at
from evolift.posedata.settings import Settings, require_settings
from evolift.posedata.skeleton import Skeleton
from evolift.posedata.store import PoseStore
from evolift.training.checkpoint import CheckpointedModel, Model
from evolift.training.learning_rate import with_schedule
from evolift.training.run_folder import checkpoint_record, run_folder, run_record
from evolift.training.trainer import Batch, StageModule, StepData, train

VALIDATION_BATCH = 1024
# Place of a random stream; training batches have (step, rank), whose fourth number is 0.
VALIDATION_NOISE = (0, 0, 0, 2)


class NoEvolvedPosesError(InputError):
    """A share of evolved poses is asked for, and no store has any that can be taken."""


@dataclass(frozen=True, eq=False)
class LifterData:
    """Training mixture and validation parts of some stores."""

    mixture: Mixture
    validation: tuple[PosePart, ...]


class PoseModule(StageModule):
    """A network in training that answers with root-relative joints in mm; validation logs `mpjpe`.

    Where the answer is depth alone, `mpjpe` is its mean error.

    Args:
        model: to be trained.
        skeleton: of its answers.
        training: how.
        record: kept in its checkpoints.
    """

    monitor = "mpjpe"
    monitor_mode = "min"

    def __init__(
        self,
        model: CheckpointedModel,
        skeleton: Skeleton,
        training: PoseTrainingSettings,
        record: dict[str, object],
    ) -> None:
        super().__init__()
        # Not `training`, which torch uses itself.
        self.model, self.skeleton, self.settings, self.record = model, skeleton, training, record
        # Collected here because lightning's own mean is ready only after the validation's row is written.
        self._losses: list[Tensor] = []

    def estimates(self, inputs: Tensor) -> Sequence[Tensor]:
        """The answers that are trained, each (batch, joints, out)."""
        return (self.model(inputs),)

    def answer(self, inputs: Tensor) -> Tensor:
        """The answer that is validated."""
        answer: Tensor = self.model(inputs)
        return answer

    def loss(
        self, prediction: Float[Tensor, "batch joints out"], target: Float[Tensor, "batch joints out"]
    ) -> Float[Tensor, ""]:
        """Of joints in mm, with the terms on bones; the joints' part is in metres (squared, for `mse`).

        Joints whose target is NaN, unlabelled ones, count as met.
        """
        known = target.isfinite()
        target = torch.where(known, target, prediction.detach())
        distance = F.mse_loss if self.settings.loss == "mse" else F.l1_loss
        loss = distance(prediction / MM_PER_M, target / MM_PER_M)
        return self.with_bones(loss, prediction, target, known)

    def with_bones(self, loss: Tensor, prediction: Tensor, target: Tensor, known: Tensor) -> Tensor:
        """A loss of joints and the terms on bones, which leave out coordinates that are not `known`."""
        if self.settings.bone_weight:
            bones = bone_loss(prediction, target, self.skeleton, known.to(prediction)).mean() / MM_PER_M
            loss = loss + self.settings.bone_weight * bones
        if self.settings.symmetry_weight:
            symmetry = symmetry_loss(prediction, self.skeleton).mean() / MM_PER_M
            loss = loss + self.settings.symmetry_weight * symmetry
        return loss

    def losses(self, batch: Batch) -> Sequence[Tensor]:
        """The loss of each answer that is trained."""
        return [self.loss(estimate, batch["target"]) for estimate in self.estimates(batch["inputs"])]

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss of one training batch, a scalar that lightning minimises."""
        loss = torch.stack(list(self.losses(batch))).mean()
        self._losses.append(loss.detach())
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the MPJPE of one validation batch in mm, or its mean error of depth if only that is predicted."""
        prediction, target = self.answer(batch["inputs"]), batch["target"]
        # The mean is of known joints: what is predicted without being a number must show.
        known = target.isfinite().all(-1)
        self.log(
            "mpjpe",
            torch.linalg.vector_norm(prediction - target, dim=-1)[known].mean(),
            on_step=False,
            on_epoch=True,
            sync_dist=True,
            batch_size=len(target),
        )

    def on_validation_epoch_end(self) -> None:
        """Log the mean training loss since the last validation, beside the error."""
        if self._losses:
            self.log("loss", torch.stack(self._losses).mean(), sync_dist=True)
            self._losses.clear()

    def configure_optimizers(self) -> dict[str, object]:  # type: ignore[override]  # lightning's union is wider
        """Adam, and the learning-rate schedule, which advances with each step."""
        optimizer = torch.optim.Adam(self.parameters(), lr=self.settings.learning_rate, fused=self.may_fuse)
        return with_schedule(optimizer, self.settings.schedule, self.settings.steps)


class LifterModule(PoseModule):
    """A lifter in training; arguments as of `PoseModule`.

    Raises:
        InputError: a loss on bones is asked for, and the lifter gives depth alone.
    """

    model: LifterModel

    def __init__(self, model: LifterModel, training: PoseTrainingSettings, record: dict[str, object]) -> None:
        if model.settings.target == "z" and (training.bone_weight or training.symmetry_weight):
            raise InputError(
                "`bone_weight` and `symmetry_weight` need whole joints: train with `target` xyz, or with weights of 0"
            )
        super().__init__(model, model.skeleton, training, record)

    def estimates(self, inputs: Tensor) -> Sequence[Tensor]:
        """The answer of each stage of a cascade."""
        return self.model.stages(inputs).unbind()

    def losses(self, batch: Batch) -> Sequence[Tensor]:
        """The loss of each stage; `laplace_loss` instead of that of joints, with `loss` nll."""
        if self.settings.loss != "nll":
            return super().losses(batch)
        lifted = self.model.stages_with_sigma(batch["inputs"])
        target, known = batch["target"], batch["target"].isfinite()
        assert lifted.sigma is not None  # see `train_lifter`
        return [
            self.with_bones(
                laplace_loss(joints, sigma, target, self.skeleton.root),
                joints,
                torch.where(known, target, joints.detach()),
                known,
            )
            for joints, sigma in zip(lifted.joints, lifted.sigma, strict=True)
        ]

    def networks(self) -> Sequence[nn.Module]:
        """The network inside, or those of all stages, which `estimates` calls without the lifter around them."""
        network = self.model.network
        return tuple(network.parts) if isinstance(network, Cascade) else (network,)


def open_data(
    stores: Sequence[Path],
    skeleton: Skeleton,
    training: PoseTrainingSettings,
    validation: Sequence[Path] = (),
    part_of: Callable[[Path, Int64[np.ndarray, "rows"]], PosePart] | None = None,
    takes_evolved: Callable[[PoseStore], bool] = lambda store: True,
) -> LifterData:
    """Parts of some stores, in one skeleton: rows to train on, with weights, and rows to validate on.

    With `validation`, all rows of `stores` that the split's `subjects` and `actions` name train, and all rows of these
    other stores that were not bred validate. `part_of` makes a part of rows of a store, a `PosePart` in the skeleton if left
    out; `takes_evolved` says whether the evolved rows of a store train.

    Raises:
        InputError: a store does not fit, or evolved poses are asked for and there are none.
        StoreError: a store is not sound.
    """
    if not stores:
        raise InputError("give at least one store of poses to train on")
    weights = training.store_weights or (1.0,) * len(stores)
    if len(weights) != len(stores):
        raise InputError(f"`store_weights` must be one per store: {len(weights)} for {len(stores)}")
    make_part = part_of or (lambda path, rows: PosePart(path, rows, skeleton))
    split = training.split
    if validation and (split.validation_subjects or split.validation_actions):
        raise InputError(
            "give `validation` stores, or `validation_subjects` and `validation_actions`, not both"
        )
    if validation:
        split = split.replaced(validation_share=0.0)
    original: list[tuple[PosePart, float]] = []
    evolved: list[tuple[PosePart, float]] = []
    held_out: list[PosePart] = []
    for path, weight in zip(stores, weights, strict=True):
        with PoseStore(path) as store:
            tell_levelled(store)
            table = store.table()
            is_evolved_taken = training.evolved_share != 0 and takes_evolved(store)
        training_rows, validation_rows = split_rows(table, split, training.seed)
        bred = table["generation"].to_numpy() > 0 if "generation" in table else None
        for parts, rows in (
            (original, training_rows if bred is None else training_rows[~bred[training_rows]]),
            (evolved, training_rows[:0] if bred is None else training_rows[bred[training_rows]]),
        ):
            if len(rows) and (parts is original or is_evolved_taken):
                parts.append((make_part(path, rows), weight * len(rows)))
        if len(validation_rows):
            held_out.append(make_part(path, validation_rows))
    for path in validation:
        with PoseStore(path) as store:
            tell_levelled(store)
            table = store.table()
        unbred = table["generation"].to_numpy() == 0 if "generation" in table else np.ones(len(table), bool)
        held_out.append(make_part(path, np.flatnonzero(unbred)))
    if not original and not evolved:
        raise InputError("all poses are evolved ones, and none of them can be trained on: give recorded ones")
    if training.evolved_share is not None or (original and evolved):
        share = EVOLVED_SHARE if training.evolved_share is None else training.evolved_share
        original, evolved = _shared(original, evolved, share)
    parts = original + evolved
    mixture = Mixture(
        [part for part, _ in parts],
        [weight for _, weight in parts],
        len(original) or None,
        training.evolved_warm_up,
    )
    return LifterData(mixture, tuple(held_out))


def _shared(
    original: list[tuple[PosePart, float]], evolved: list[tuple[PosePart, float]], share: float
) -> tuple[list[tuple[PosePart, float]], list[tuple[PosePart, float]]]:
    if share == 0:
        return original, []
    if not evolved:
        raise NoEvolvedPosesError(
            "an `evolved_share` is asked for, but no store has evolved poses: run `evolift evolve`"
        )
    if not original:
        raise InputError("an `evolved_share` is asked for, but there are no original poses beside them")

    def scaled(parts: list[tuple[PosePart, float]], total: float) -> list[tuple[PosePart, float]]:
        every = sum(weight for _, weight in parts)
        return [(part, total * weight / every) for part, weight in parts]

    return scaled(original, 1 - share), scaled(evolved, share)


def validation_batches(
    parts: Sequence[PosePart],
    training: PoseTrainingSettings,
    to_batch: Callable[[PosePart, int, torch.Generator], Batch],
    size: int = VALIDATION_BATCH,
) -> list[Batch]:
    """The same batches at every call.

    Args:
        parts: rows to validate on.
        training: its seed and number of validation poses.
        to_batch: so many poses of a part as one batch; the generator is for their noise.
        size: of the batches that these are cut into.

    Raises:
        InputError: there are no rows to validate on.
    """
    if not parts:
        raise InputError(
            "there is nothing to validate on: give `validation_subjects`, `validation_actions` or a `validation_share`"
        )
    total = sum(len(part) for part in parts)
    generator = generator_at(training.seed, *VALIDATION_NOISE)
    batches = []
    for part in parts:
        share = max(1, round(training.validation_poses * len(part) / max(total, training.validation_poses)))
        batch = to_batch(part, share, generator)
        batches += [
            dict(zip(batch, values, strict=True))
            for values in zip(*(torch.split(value, size) for value in batch.values()), strict=True)
        ]
    return batches


def train_lifter(
    stores: FilePath | Sequence[FilePath],
    output: FilePath,
    *,
    validation: FilePath | Sequence[FilePath] = (),
    lifter: LifterSettings = LifterSettings(),
    training: LifterTrainingSettings = LifterTrainingSettings(),
    start_from: FilePath | None = None,
    overwrite: bool = False,
    resume: bool = False,
) -> pd.DataFrame:
    """Train a lifter; `output` then holds best.safetensors, last.safetensors, history.csv and settings.json.

    Args:
        stores: of 3D poses.
        output: the run folder to make.
        validation: validate on all poses of these stores, instead of on a split of `stores`.
        lifter: what to build.
        training: how, and on what of the stores.
        start_from: a lifter checkpoint whose weights to begin with; it must have the settings of `lifter`.
        overwrite: replace the folder if it exists.
        resume: continue an interrupted run in it.

    Returns:
        A row per validation with `step`, `loss` and `mpjpe`.

    Raises:
        InputError: the data do not fit, there is nothing to validate on, or the loss became non-finite.
        OutputError: the folder exists, and neither flag is given.
        StoreError, CheckpointError: a file is not sound.
    """
    require_settings("lifter", lifter, LifterSettings)
    require_settings("training", training, LifterTrainingSettings)
    stores, validation, output = (
        as_paths(stores, "stores"),
        as_paths(validation, "validation"),
        as_path(output, "output"),
    )
    start_from = None if start_from is None else as_path(start_from, "start_from")
    lifter = _telling(lifter, training, start_from)
    record = run_record(
        "evolift lifter train",
        lifter,
        training,
        stores=stores,
        validation=validation,
        start_from=start_from,
        output=output,
    )
    with run_folder(output, record, overwrite=overwrite, resume=resume):
        data = open_data(stores, lifter.skeleton, training, validation)
        maker = PairMaker(data.mixture, training.pairs, lifter, training.seed)
        torch.manual_seed(training.seed)  # of the initial weights
        model = LifterModel(lifter) if start_from is None else started(LifterModel, start_from, lifter)
        about = checkpoint_record(record, [*stores, *validation])
        if training.pairs.errors is not None:
            about["detection_errors"] = hashes_of([Path(training.pairs.errors)])
        module = LifterModule(model, training, about)

        def to_batch(part: PosePart, count: int, generator: torch.Generator) -> Batch:
            pairs, _ = fixed_pairs(part, training.pairs, training.seed, count=count)
            return as_batch(pairs, lifter, training.pairs.depth_noise, generator)

        batches = validation_batches(data.validation, training, to_batch)
        return train(module, StepData(maker, batches, training), output, training, resume=resume)


def _telling(
    lifter: LifterSettings, training: LifterTrainingSettings, start_from: Path | None
) -> LifterSettings:
    """The lifter that a loss trains: with nll it says how sure it is.

    Raises:
        InputError: the loss does not teach what the lifter shall say, or the lifter to begin with does not say it.
    """
    is_taught = training.loss == "nll"
    if lifter.uncertainty and not is_taught:
        raise InputError(
            f"this lifter says how sure it is of each joint (`uncertainty`), which `loss` {training.loss} does not teach: train with `loss` nll"
        )
    if is_taught and start_from is not None and not LifterModel.load(start_from).settings.uncertainty:
        raise InputError(
            f"{start_from}: this lifter does not say how sure it is of each joint, and `loss` nll trains one that does: leave out `start_from`, or train with another `loss`"
        )
    return lifter.replaced(uncertainty=is_taught)


def started(kind: type[Model], path: Path, settings: Settings) -> Model:
    """The network of a checkpoint, to be trained further.

    Raises:
        CheckpointError: the file is not sound.
        InputError: its settings are not `settings`.
    """
    model = kind.load(path)
    if model.settings != settings:
        raise InputError(f"{path}: its settings are others than those asked for: train with its own settings")
    return model.train()
