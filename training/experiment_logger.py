"""Lightning's loggers, by name: what other tools show of a training beside our own `history.csv`."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch import loggers
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger

from evolift.posedata.errors import InputError

LOSS_EVERY = 50
"""Steps between losses that are logged."""
_PACKAGES = {"tensorboard": ("tensorboard", "tensorboardX"), "wandb": ("wandb",), "mlflow": ("mlflow",)}


class LogLoss(Callback):
    """Logs the loss of single steps; what is logged by validations are means."""

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Lightning's hook."""
        step = trainer.global_step
        if trainer.logger is not None and step % LOSS_EVERY == 0:
            loss = outputs["loss"] if isinstance(outputs, dict) else outputs
            trainer.logger.log_metrics({"step_loss": float(loss)}, step=step)


def experiment_logger(name: str, folder: Path) -> Logger | bool:
    """The logger that a setting names.

    Args:
        name: none, csv, tensorboard, wandb or mlflow.
        folder: of the run, into which it writes.

    Raises:
        InputError: its package is not installed.
    """
    _require_package(name)
    if name == "csv":
        return loggers.CSVLogger(folder, name="logs", version="", flush_logs_every_n_steps=1)
    if name == "tensorboard":
        return loggers.TensorBoardLogger(folder, name="logs", version="")
    if name == "wandb":
        return loggers.WandbLogger(name=folder.name, save_dir=folder, project="evolift")
    if name == "mlflow":
        where = (folder / "mlruns").resolve().as_uri()
        return loggers.MLFlowLogger("evolift", run_name=folder.name, tracking_uri=where)
    return False


def _require_package(name: str) -> None:
    packages = _PACKAGES.get(name, ())
    for package in packages:
        try:
            importlib.import_module(package)
            return
        except ImportError:
            continue
    if packages:
        raise InputError(f"`logger` {name} needs the package {packages[0]}: pip install {packages[0]}")
