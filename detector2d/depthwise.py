"""Depthwise convolutions under mixed precision on a CPU: in float32, which is faster there.

The bfloat16 kernels of oneDNN make pointwise convolutions twice as fast as float32 and the backward pass of depthwise ones
two to three times as slow (`tests/benchmarks/test_detector_speed.py`). Together a step of a network of both is
fastest with each in its own type.
"""

from __future__ import annotations

from types import MethodType

import torch
from torch import Tensor, nn


def depthwise_in_float32(model: nn.Module) -> None:
    """Let the depthwise convolutions of a network leave autocast where it runs on a CPU; elsewhere nothing changes.

    Args:
        model: changed in place; its parameters stay what and where they are.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and module.groups == module.in_channels > 1:
            # A method of the instance, not a closure: a deep copy of the network is then bound to itself.
            module.forward = MethodType(_forward, module)  # type: ignore[method-assign]


def _forward(convolution: nn.Conv2d, images: Tensor) -> Tensor:
    if images.device.type != "cpu":
        return type(convolution).forward(convolution, images)
    with torch.autocast("cpu", enabled=False):
        return type(convolution).forward(convolution, images.float())
