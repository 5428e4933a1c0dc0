"""Moving models to devices by the names that users give."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

from evolift.posedata.errors import InputError

Module = TypeVar("Module", bound=nn.Module)


def on_device(model: Module, device: str) -> Module:
    """A model moved to a device as torch names it: cpu, cuda, cuda:1, mps, ...

    Raises:
        InputError: there is no such device here.
    """
    try:
        return model.to(torch.device(device))
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"`device` {device}: {str(error).splitlines()[0]}") from None
