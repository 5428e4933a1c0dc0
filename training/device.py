"""Moving models to devices by the names that users give."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

from evolift.posedata.errors import InputError

Module = TypeVar("Module", bound=nn.Module)


AUTO = "auto"


def on_device(model: Module, device: str) -> Module:
    """A model moved to a device as torch names it: cpu, cuda, cuda:1, mps, ..., or by auto to the accelerator if there is one.

    Raises:
        InputError: there is no such device here.
    """
    if device == AUTO:
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        device = "cpu" if accelerator is None else accelerator.type
    try:
        return model.to(torch.device(device))
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"`device` {device}: {str(error).splitlines()[0]}") from None
