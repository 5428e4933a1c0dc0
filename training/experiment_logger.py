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
_MAX_REASON = 300
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
        InputError: its package is not installed, or cannot begin, as wandb without an account.
    """
    _require_package(name)
    try:
        logger = _logger(name, folder)
        if isinstance(logger, Logger) and name in _PACKAGES:
            getattr(
                logger, "experiment", None
            )  # it begins when it is first asked for: else in the midst of the training
    except Exception as error:  # the packages may not be here, so that their errors cannot be named
        raise InputError(f"`logger` {name} cannot begin: {_first_words(error)}") from error
    return logger


def _logger(name: str, folder: Path) -> Logger | bool:
    if name == "csv":
        return loggers.CSVLogger(folder, name="logs", version="", flush_logs_every_n_steps=1)
    if name == "tensorboard":
        return loggers.TensorBoardLogger(folder, name="logs", version="")
    if name == "wandb":
        return loggers.WandbLogger(name=folder.name, save_dir=folder, project="evolift")
    if name == "mlflow":
        # A database, because mlflow 3 has given up folders of plain files.
        database, artifacts = (folder / "mlflow.db").resolve(), (folder / "mlruns").resolve()
        return loggers.MLFlowLogger(
            "evolift",
            run_name=folder.name,
            tracking_uri=f"sqlite:///{database}",
            artifact_location=artifacts.as_uri(),
        )
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


def _first_words(error: Exception) -> str:
    return " ".join(str(error).split())[:_MAX_REASON] or type(error).__name__
