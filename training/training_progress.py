"""What is shown of a training: steps of all, loss, validation score, rate, and the time left of the whole."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback
from rich.console import Console

from evolift.training.progress_display import ProgressDisplay, duration, rate

MEASURED = 20
"""Steps that the first estimate is made from, after one that has to warm up."""
WORTH_TELLING = 600.0
"""Seconds left from which on that estimate is told."""


class TrainingProgress(Callback):
    """Shows a training on standard error.

    Args:
        steps: optimiser steps of the whole.
        monitor: the score that is shown beside the loss.
        console, clock: as of `ProgressDisplay`.
    """

    def __init__(
        self,
        steps: int,
        monitor: str,
        *,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.steps, self.monitor, self._console, self._clock = steps, monitor, console, clock
        self._display: ProgressDisplay | None = None
        self._step = 0
        self._warm: tuple[int, float] | None = None
        self._is_told = False
        self._loss = self._score = ""

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Lightning's hook: begin to show."""
        if trainer.is_global_zero:
            self._step = trainer.global_step
            self._display = ProgressDisplay(
                "training", self.steps, done=self._step, console=self._console, clock=self._clock
            )
            self._display(0)

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Lightning's hook: tell of a batch."""
        loss = outputs["loss"] if isinstance(outputs, dict) else outputs
        self._loss = f"loss {float(loss):.4g}"
        done, self._step = trainer.global_step - self._step, trainer.global_step
        self._tell("training", done)
        self._estimate()

    def on_validation_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Lightning's hook: long validations are work too."""
        self._tell("validating", 0)

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Lightning's hook: take the score of the validation."""
        if self.monitor in trainer.callback_metrics:
            self._score = f"{self.monitor} {float(trainer.callback_metrics[self.monitor]):.4g}"
        self._tell("training", 0)

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Lightning's hook: all is done."""
        self._stop()

    def on_exception(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, exception: BaseException
    ) -> None:
        """Lightning's hook: the training ends early."""
        self._stop()

    def _tell(self, description: str, done: int) -> None:
        if self._display is not None:
            self._display.description = description
            self._display.note = ", ".join(filter(None, (self._loss, self._score)))
            self._display(done)

    def _stop(self) -> None:
        if self._display is not None:
            self._display.stop()
            self._display = None

    def _estimate(self) -> None:
        """Say once, early, how long a long training will take."""
        if self._display is None or self._is_told:
            return
        now = self._clock()
        if self._warm is None:
            self._warm = (self._step, now)
        elif self._step - self._warm[0] >= MEASURED:
            self._is_told = True
            speed = (self._step - self._warm[0]) / max(now - self._warm[1], 1e-9)
            left = (self.steps - self._step) / speed
            if left >= WORTH_TELLING:
                self._display.say(
                    f"about {duration(left)} left: {self.steps - self._step:,} steps at {rate(speed)}, validations not counted"
                )
