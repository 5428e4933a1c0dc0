"""Moving models to devices by the names that users give."""

from __future__ import annotations

from typing import TypeVar

from torch import nn

from evolift.posedata.device import device_named

Module = TypeVar("Module", bound=nn.Module)


def on_device(model: Module, device: str) -> Module:
    """A model moved to a device as torch names it: cpu, cuda, cuda:1, mps, ..., or by auto to the accelerator if there is one.

    Raises:
        InputError: there is no such device here.
    """
    return model.to(device_named(device))
