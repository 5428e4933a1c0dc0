from __future__ import annotations

from unittest.mock import Mock

import lightning
import torch

from evolift.training.training_progress import TrainingProgress
from tests.training.test_progress_display import Clock, console, shown


def trained(seconds_per_step: float, *, steps: int, done: int, start: int = 0, is_first: bool = True) -> str:
    """What is shown of the first `done` steps of a training, validated every 50."""
    clock, log = Clock(), console(terminal=False)
    told = TrainingProgress(steps, "mpjpe", console=log, clock=clock)
    trainer = Mock(spec=lightning.Trainer, global_step=start, is_global_zero=is_first, callback_metrics={})
    module = Mock(spec=lightning.LightningModule)
    told.on_train_start(trainer, module)
    for step in range(start + 1, start + done + 1):
        clock.now += seconds_per_step
        trainer.global_step = step
        told.on_train_batch_end(trainer, module, {"loss": torch.tensor(1 / 8)}, None, 0)
        if step % 50 == 0:
            trainer.callback_metrics = {"mpjpe": torch.tensor(81.25)}
            told.on_validation_batch_end(trainer, module, None, None, 0)
            told.on_train_epoch_end(trainer, module)
    told.on_train_end(trainer, module)
    return shown(log)


def test_a_log_tells_step_loss_score_rate_and_time_left() -> None:
    assert trained(0.5, steps=400, done=130).splitlines() == [
        "training: 60 of 400 (15 %), loss 0.125, mpjpe 81.25, 2.0/s, 3 min left",
        "training: 120 of 400 (30 %), loss 0.125, mpjpe 81.25, 2.0/s, 2 min left",
        "training: 130 of 400 (32 %), loss 0.125, mpjpe 81.25, 2.0/s, 2 min left",
    ]


def test_a_training_that_takes_long_says_so_once_and_early() -> None:
    lines = trained(6.0, steps=20_000, done=40, start=100).splitlines()
    sentence = "about 33 hours left: 19,879 steps at 10/min, validations not counted"
    assert lines[4] == sentence  # after 21 steps, two minutes
    assert lines.count(sentence) == 1
    assert not any(line.startswith("about") for line in trained(0.1, steps=400, done=40).splitlines())


def test_one_process_of_several_shows_it() -> None:
    assert trained(6.0, steps=20_000, done=40, is_first=False) == ""
