"""Devices by the names that users give."""

from __future__ import annotations

import torch

from evolift.posedata.errors import InputError

AUTO = "auto"


def device_named(name: str) -> torch.device:
    """The device that torch knows by a name (cpu, cuda, cuda:1, mps, ...), or by auto the accelerator if there is one.

    Raises:
        InputError: there is no such device here.
    """
    if name == AUTO:
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        name = "cpu" if accelerator is None else accelerator.type
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"`device` {name}: {str(error).splitlines()[0]}") from None
    return device
