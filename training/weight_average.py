"""A moving average of a network's weights, which is validated and saved in place of the weights of the last step."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial

import lightning
import torch
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor


class MovingAverage(WeightAveraging):
    r"""Exponential moving average of everything that a network learns (Polyak & Juditsky 1992).

    .. math:: \bar w_n = d_n \bar w_{n-1} + (1 - d_n) w_n, \qquad d_n = \min\Big(d, \frac{1 + n}{10 + n}\Big)

    after each optimiser step n. The smaller :math:`d_n` of the first steps (as in TensorFlow's
    ExponentialMovingAverage) keep the weights that training began with from lasting. Running statistics of batch
    norms are averaged in the same way, so that they belong to the averaged weights; what counts or indexes is copied.

    Args:
        decay: d, below 1.
    """

    def __init__(self, decay: float) -> None:
        super().__init__(multi_avg_fn=partial(move_average, decay=decay))

    def on_fit_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Follow the network to its device, which it reaches after `setup`."""
        assert self._average_model is not None
        self._average_model.to(pl_module.device)

    @contextlib.contextmanager
    def in_place(self, module: lightning.LightningModule) -> Iterator[None]:
        """For the block, the module holds the averaged weights."""
        self._swap_models(module)
        try:
            yield
        finally:
            self._swap_models(module)


@torch.no_grad()
def move_average(averaged: list[Tensor], current: list[Tensor], count: Tensor | int, *, decay: float) -> None:
    """Move averages towards current values, in place; see `MovingAverage`.

    Args:
        averaged, current: tensors of one dtype and device, pair by pair of one shape.
        count: n.
        decay: d.
    """
    # As a difference: a value that does not change is then kept to the last bit.
    share = 1 - min(decay, (1 + int(count)) / (10 + int(count)))
    for average, value in zip(averaged, current, strict=True):
        if average.is_floating_point():
            average.lerp_(value, share)
        else:
            average.copy_(value)
