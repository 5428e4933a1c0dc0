"""How every stage is trained: lightning's Trainer over batches that are a pure function of (seed, step, rank).

An epoch is `validate_every` steps; state is saved at its end. A run that is killed and resumed continues from
the last such point, with the same batches and the same random numbers as an undisturbed run, and so ends with
the same bytes on the same machine.

A run folder holds `settings.json`, `history.csv`, `curves.png`, `best.safetensors`, `last.safetensors` and `resume.ckpt`.
The columns of `history.csv` are `step`, `loss` (mean of the training steps since the row before), the score that the stage is
judged by, and what else it logs.
"""

from __future__ import annotations

import contextlib
import logging
import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import lightning
import pandas as pd
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.accelerators import CPUAccelerator
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from torch import Tensor, nn
from torch.utils import deterministic
from torch.utils.data import DataLoader, Dataset

from evolift.drawing.charts import learning_curves
from evolift.posedata.errors import CheckpointError, InputError
from evolift.posedata.image_file import write_image
from evolift.posedata.output_file import write_text
from evolift.posedata.scores import require_score
from evolift.posedata.seeds import seed_at
from evolift.training.checkpoint import CheckpointedModel
from evolift.training.experiment_logger import LOSS_EVERY, LogLoss, experiment_logger
from evolift.training.memory_allocator import reuse_freed_memory
from evolift.training.process_watch import watched_processes
from evolift.training.resume_state import STATE, steps_done, why_not_resumed
from evolift.training.settings import RunSettings
from evolift.training.training_progress import TrainingProgress
from evolift.training.weight_average import MovingAverage
from evolift.training.whole_states import WholeStates

Batch = dict[str, Tensor]

_log = logging.getLogger(__name__)


@runtime_checkable
class BatchMaker(Protocol):
    """Makes training batches. Must be picklable; called in worker processes."""

    def __call__(self, step: int, rank: int, world_size: int) -> Batch:
        """The batch of one step on one of `world_size` processes, the same whenever it is asked for."""
        ...


class StageModule(lightning.LightningModule):
    """A model in training.

    Validation must log the metric named by `monitor` (`self.log(..., sync_dist=True)`). The optimiser is to be a fused
    one only if `may_fuse`: gradients that float16 has scaled cannot be clipped before one. `train` sets it.

    Attributes:
        model: what is trained, and kept in the checkpoints.
        record: what the checkpoints tell of its making.
    """

    monitor: str
    monitor_mode: Literal["min", "max"]
    may_fuse = True
    model: CheckpointedModel
    record: dict[str, object]

    def networks(self) -> Sequence[nn.Module]:
        """What training calls, and what is compiled if that is asked for."""
        return (self.model,)

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: int | float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip as lightning does, but for fused optimisers in bfloat16 too, which it refuses although nothing is scaled there."""
        if not self.may_fuse:
            super().configure_gradient_clipping(optimizer, gradient_clip_val, gradient_clip_algorithm)
        elif gradient_clip_val:
            learnt = [weight for group in optimizer.param_groups for weight in group["params"]]
            torch.nn.utils.clip_grad_norm_(learnt, gradient_clip_val)


class _Steps(Dataset[Batch]):
    def __init__(self, make_batch: BatchMaker, first: int, count: int, rank: int, world_size: int) -> None:
        self.make_batch, self.first, self.count = make_batch, first, count
        self.rank, self.world_size = rank, world_size

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, position: int) -> Batch:
        if position >= self.count:
            raise IndexError(position)
        return self.make_batch(self.first + position, self.rank, self.world_size)


class StepData(lightning.LightningDataModule):
    """Training batches by step, validation batches from a plain loader.

    Args:
        make_batch: see `BatchMaker`.
        validation: iterated in order at each validation; a `DataLoader` or a list of batches.
        settings: gives steps, seed and workers.
    """

    def __init__(self, make_batch: BatchMaker, validation: Any, settings: RunSettings) -> None:
        super().__init__()
        self.make_batch, self.validation, self.settings = make_batch, validation, settings

    def train_dataloader(self) -> DataLoader[Batch]:
        """Batches of the current epoch: exactly the steps up to the next validation."""
        trainer = self.trainer
        assert trainer is not None
        per_epoch = self.settings.validate_every * self.settings.accumulate
        first = trainer.current_epoch * per_epoch
        count = min(per_epoch, self.settings.steps * self.settings.accumulate - first)
        steps = _Steps(self.make_batch, first, count, trainer.global_rank, trainer.world_size)
        num_workers = self.settings.num_workers
        return DataLoader(
            steps,
            batch_size=None,
            num_workers=num_workers,
            multiprocessing_context="fork" if num_workers else None,
            prefetch_factor=4 if num_workers else None,
            pin_memory=torch.cuda.is_available(),
        )

    def val_dataloader(self) -> Any:
        """The loader of the validation batches, which lightning asks for."""
        if isinstance(self.validation, list):  # lightning takes a list for several loaders
            return DataLoader(self.validation, batch_size=None)  # type: ignore[arg-type]  # a list is a data set
        return self.validation


class _SeedEachBatch(Callback):
    """Dropout and the like draw from a stream that only depends on seed, epoch, batch and rank.

    Not once per epoch: lightning makes the loader's iterator, which draws too, before or after that point
    depending on whether the run was resumed.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        torch.manual_seed(seed_at(self.seed, trainer.current_epoch, batch_idx, trainer.global_rank))


class _StopOnNonFiniteLoss(Callback):
    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        loss = outputs["loss"] if isinstance(outputs, dict) else outputs
        if not math.isfinite(float(loss)):
            raise InputError(
                f"the loss is {float(loss)} at step {trainer.global_step}: lower the learning rate, clip gradients, or use precision 32-true"
            )


class _KeepCheckpoints(Callback):
    """Writes history.csv, last.safetensors and best.safetensors after each validation."""

    def __init__(self, folder: Path, average: MovingAverage | None) -> None:
        self.folder, self.average = folder, average
        self.rows: list[dict[str, float]] = []
        self.best: float | None = None

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows, "best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows, self.best = state_dict["rows"], state_dict["best"]

    # At the end of the epoch, not of its validation: means over the training steps are known only then.
    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if not isinstance(pl_module, StageModule):
            return
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        # Before anything is written: no checkpoint is the best by such a score, and what was the best stays.
        for name in (pl_module.monitor, "loss", "validation_loss"):
            require_score(name, metrics.get(name, 0.0), f"at step {trainer.global_step}")
        first = {name: metrics[name] for name in ("loss", pl_module.monitor) if name in metrics}
        self.rows.append({"step": trainer.global_step} | first | metrics)
        if not trainer.is_global_zero:  # the history is returned in every process, files are written by one
            return
        write_text(self.folder / "history.csv", pd.DataFrame(self.rows).to_csv(index=False))
        score = metrics[pl_module.monitor]
        sign = 1 if pl_module.monitor_mode == "min" else -1
        is_best = self.best is None or sign * score < sign * self.best
        with contextlib.nullcontext() if self.average is None else self.average.in_place(pl_module):
            record = {**pl_module.record, "step": trainer.global_step, "validation": metrics}
            pl_module.model.save(self.folder / "last.safetensors", record, overwrite=True)
            if is_best:
                self.best = score
                pl_module.model.save(self.folder / "best.safetensors", record, overwrite=True)


def _trainer(**settings: Any) -> lightning.Trainer:
    """Lightning's Trainer; what it refuses was asked for by the user.

    Raises:
        InputError: an accelerator, a number of devices or a precision cannot be had here.
    """
    try:
        return lightning.Trainer(**settings)
    except (MisconfigurationException, ValueError, TypeError, ImportError) as error:
        asked = ", ".join(f"{name} {settings[name]}" for name in ("accelerator", "devices", "precision"))
        raise InputError(f"training cannot run on {asked}: {' '.join(str(error).split())}") from None


def train(
    module: StageModule, data: StepData, folder: Path, settings: RunSettings, *, resume: bool = False
) -> pd.DataFrame:
    """Train a stage; afterwards `folder` holds its checkpoints.

    Args:
        module: what to train.
        data: its batches.
        folder: an existing run folder (see `evolift.posedata.output_folder.output_folder`).
        settings: how long and on what.
        resume: continue from `folder/resume.ckpt`; if it is not there, damaged, or of another network, begin anew and say so.

    Returns:
        History: a row per validation with the column `step` and every logged metric.

    Raises:
        InputError: the loss or the validation score became non-finite; the message names the step. Or float16 on a CPU. Or
            another process of the training ended. Or the network cannot be compiled here.
        CheckpointError: resume.ckpt is damaged.
        OutputError: a file cannot be written.
    """
    reuse_freed_memory()
    # Deterministic algorithms would fill every new tensor first, a tenth of a lifter's step; none is read before it is written.
    deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    module.may_fuse = settings.precision != "16-mixed"
    lightning.seed_everything(settings.seed, verbose=False)
    average = MovingAverage(settings.average_decay) if settings.average_decay else None
    keep = _KeepCheckpoints(folder, average)
    callbacks: list[Callback] = [
        _SeedEachBatch(settings.seed),
        _StopOnNonFiniteLoss(),
        keep,
        # After `keep`, so that its rows are in the saved state. `resume.ckpt` is lightning's own format.
        ModelCheckpoint(
            dirpath=folder, filename="resume", enable_version_counter=False, save_on_train_epoch_end=True
        ),
    ]
    if average is not None:
        callbacks.append(average)
    if settings.patience:
        callbacks.append(EarlyStopping(module.monitor, mode=module.monitor_mode, patience=settings.patience))
    if settings.logger != "none":
        callbacks.append(LogLoss())
    if settings.progress:
        callbacks.append(TrainingProgress(settings.steps, module.monitor))
    for noisy in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    trainer = _trainer(
        default_root_dir=folder,
        accelerator=settings.accelerator,
        devices=settings.devices if not settings.devices.isdigit() else int(settings.devices),
        num_nodes=settings.nodes,
        precision=settings.precision,
        max_epochs=math.ceil(settings.steps / settings.validate_every),
        accumulate_grad_batches=settings.accumulate,
        gradient_clip_val=settings.gradient_clip or None,
        reload_dataloaders_every_n_epochs=1,
        num_sanity_val_steps=0,
        log_every_n_steps=LOSS_EVERY,
        use_distributed_sampler=False,
        callbacks=callbacks,
        plugins=[WholeStates()],
        logger=experiment_logger(settings.logger, folder),
        enable_progress_bar=False,  # `TrainingProgress` counts all steps, not those of an epoch
        enable_model_summary=False,
        deterministic="warn" if torch.cuda.is_available() else True,
    )
    if settings.precision == "16-mixed" and isinstance(trainer.accelerator, CPUAccelerator):
        raise InputError("float16 is for GPUs: train with precision bf16-mixed, or 32-true, on a CPU")
    if settings.compile != "none":
        for network in module.networks():
            # In place: the network keeps its class and the names of its weights.
            network.compile(mode=settings.compile)
    state = _state_to_resume(folder / STATE, module) if resume else None
    if state is not None and steps_done(state) == settings.steps:
        _log.warning("%s was finished already, at step %d: nothing is trained.", folder, settings.steps)
    with warnings.catch_warnings():
        # Batches are cheap pure functions here: worker counts are the user's choice, not lightning's.
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        # What is frozen stays in evaluation mode on purpose.
        warnings.filterwarnings("ignore", message=".*module.* in eval mode at the start of training.*")
        warnings.filterwarnings("ignore", message=".*Checkpoint directory.*exists and is not empty.*")
        # `LogLoss` logs the losses of steps, by steps of the whole run; what lightning logs itself are means.
        warnings.filterwarnings("ignore", message=".*is smaller than the logging interval.*")
        # lightning 2.6 under torch 2.14.
        warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)
        try:
            with watched_processes(trainer):
                trainer.fit(module, data, ckpt_path=state, weights_only=True)
        except RuntimeError as error:
            if trainer.world_size > 1 and _is_lost_connection(error):
                raise InputError(
                    f"another process of the training on {trainer.world_size} devices ended, or cannot be reached: go on with `resume`"
                ) from error
            if settings.compile != "none" and isinstance(error, torch._dynamo.exc.TorchDynamoException):
                why = " ".join(str(error).split("\n\n")[0].split())
                raise InputError(
                    f"the network cannot be compiled here ({why}): train with `compile` none"
                ) from error
            _refuse_state(state, trainer, error)
            raise
        except (LookupError, ValueError, TypeError, AttributeError, EOFError) as error:
            _refuse_state(state, trainer, error)
            raise
    history = pd.DataFrame(keep.rows)
    if trainer.is_global_zero and len(history):
        write_image(folder / "curves.png", learning_curves(history, module.monitor), overwrite=True)
    return history


def _state_to_resume(state: Path, module: StageModule) -> Path | None:
    """The state to go on from; None, which is said, if there is none that can be."""
    if not state.exists():
        _log.warning("%s: there is nothing to resume: the training begins anew.", state)
        return None
    why = why_not_resumed(state, module)
    if why is not None:
        _log.warning("%s %s: the training begins anew.", state, why)
        return None
    return state


def _refuse_state(state: Path | None, trainer: lightning.Trainer, error: Exception) -> None:
    """Tell what breaks while a state's optimisers and loops are taken up, which `why_not_resumed` does not look at."""
    if state is not None and trainer.global_step == 0:
        raise CheckpointError(
            f"{state} is damaged or does not fit these settings: start again with `overwrite`"
        ) from error


def _is_lost_connection(error: RuntimeError) -> bool:
    """Whether torch says that it cannot reach another process."""
    said = str(error).lower()
    return isinstance(error, torch.distributed.DistError) or any(
        word in said for word in ("gloo", "nccl", "connection", "peer")
    )
