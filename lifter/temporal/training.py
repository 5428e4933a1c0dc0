"""Training of a temporal lifter on windows of clips."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Int64
from torch import Tensor

from evolift.lifter.data.pose_source import PosePart
from evolift.lifter.settings import PoseTrainingSettings
from evolift.lifter.temporal.clips import ClipPart
from evolift.lifter.temporal.model import TemporalLifter
from evolift.lifter.temporal.settings import TemporalSettings, TemporalTrainingSettings
from evolift.lifter.temporal.windows import WindowMaker, as_windows, fixed_windows
from evolift.lifter.training import (
    LifterData,
    NoEvolvedPosesError,
    PoseModule,
    open_data,
    started,
    validation_batches,
)
from evolift.posedata.errors import InputError
from evolift.posedata.exporters.sequences import is_bred
from evolift.posedata.input_file import FilePath, as_path, as_paths
from evolift.posedata.output_file import hashes_of
from evolift.posedata.settings import require_settings
from evolift.posedata.store import PoseStore
from evolift.training.run_folder import checkpoint_record, run_folder, run_record
from evolift.training.trainer import Batch, StepData, train

VALIDATION_FRAMES = 4096
"""Of the windows that are validated together."""


class TemporalModule(PoseModule):
    """A temporal lifter in training; it answers for one frame of each window."""

    model: TemporalLifter

    def __init__(
        self, model: TemporalLifter, training: PoseTrainingSettings, record: dict[str, object]
    ) -> None:
        super().__init__(model, model.skeleton, training, record)

    def estimates(self, inputs: Tensor) -> Sequence[Tensor]:
        """The one answer."""
        return (self.answer(inputs),)

    def answer(self, inputs: Tensor) -> Tensor:
        """For each window."""
        return self.model.windows(inputs)


def train_temporal_lifter(
    stores: FilePath | Sequence[FilePath],
    output: FilePath,
    *,
    validation: FilePath | Sequence[FilePath] = (),
    lifter: TemporalSettings = TemporalSettings(),
    training: TemporalTrainingSettings = TemporalTrainingSettings(),
    start_from: FilePath | None = None,
    overwrite: bool = False,
    resume: bool = False,
) -> pd.DataFrame:
    """Train a temporal lifter; `output` then holds what `evolift.lifter.training.train_lifter` writes.

    Of evolved stores motions are taken (`evolift evolve --clips`), and single poses left out: they are no clips.

    Args:
        stores: of clips of 3D poses.
        output: the run folder to make.
        validation: validate on all clips of these stores, instead of on a split of `stores`.
        lifter: what to build.
        training: how, and on what of the stores.
        start_from: a temporal lifter's checkpoint whose weights to begin with; it must have the settings of `lifter`.
        overwrite: replace the folder if it exists.
        resume: continue an interrupted run in it.

    Returns:
        A row per validation with `step`, `loss` and `mpjpe`, of the one frame of each window that is answered for.

    Raises:
        InputError: the data do not fit, their frame rate is not known or too low, there is nothing to validate on, or the
            loss became non-finite.
        OutputError: the folder exists, and neither flag is given.
        StoreError, CheckpointError: a file is not sound.
    """
    require_settings("lifter", lifter, TemporalSettings)
    require_settings("training", training, TemporalTrainingSettings)
    stores, validation, output = (
        as_paths(stores, "stores"),
        as_paths(validation, "validation"),
        as_path(output, "output"),
    )
    start_from = None if start_from is None else as_path(start_from, "start_from")
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
        data = open_clips(stores, lifter, training, validation)
        maker = WindowMaker(data.mixture, training.pairs, lifter, training.seed)
        torch.manual_seed(training.seed)  # of the initial weights
        model = TemporalLifter(lifter) if start_from is None else started(TemporalLifter, start_from, lifter)
        about = checkpoint_record(record, [*stores, *validation])
        if training.pairs.errors is not None:
            about["detection_errors"] = hashes_of([Path(training.pairs.errors)])

        def to_batch(part: PosePart, count: int, generator: torch.Generator) -> Batch:
            assert isinstance(part, ClipPart)
            pairs, _ = fixed_windows(part, training.pairs, lifter, training.seed, count=count)
            return as_windows(pairs, lifter)

        batches = validation_batches(data.validation, training, to_batch, VALIDATION_FRAMES // lifter.frames)
        module = TemporalModule(model, training, about)
        return train(module, StepData(maker, batches, training), output, training, resume=resume)


def open_clips(
    stores: Sequence[Path],
    lifter: TemporalSettings,
    training: TemporalTrainingSettings,
    validation: Sequence[Path] = (),
) -> LifterData:
    """As `evolift.lifter.training.open_data`, of `ClipPart`.

    Raises:
        InputError: as there; or the frame rate of a store is not known or too low.
        StoreError: a store is not sound.
    """
    every = [*stores, *validation]
    rates = training.store_fps or (0.0,)
    if len(rates) not in (1, len(every)):
        raise InputError(f"`store_fps` must be one for all or one per store: {len(rates)} for {len(every)}")
    rate_of = dict(zip(every, rates * (len(every) // len(rates)), strict=True))

    def part_of(path: Path, rows: Int64[np.ndarray, "rows"]) -> ClipPart:
        return ClipPart(path, rows, lifter, rate_of[path] or None)

    try:
        return open_data(stores, lifter.skeleton, training, validation, part_of, _has_motions)
    except NoEvolvedPosesError:
        raise InputError(
            "an `evolved_share` is asked for, but no store has evolved motions: run `evolift evolve --clips`"
        ) from None


def _has_motions(store: PoseStore) -> bool:
    """Whether its evolved rows follow one another in time."""
    return not is_bred(store)
