"""The state of an interrupted run, `resume.ckpt`: how far it has come, and whether a run can go on from it."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import nn

from evolift.posedata.errors import InputError

STATE = "resume.ckpt"
_UNREADABLE = (
    OSError,
    RuntimeError,
    KeyError,
    TypeError,
    ValueError,
    AttributeError,
    EOFError,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
)


def why_not_resumed(state: Path, model: nn.Module) -> str | None:
    """Why a run cannot go on from a state: it is damaged, or of another network; None if it can."""
    try:
        with zipfile.ZipFile(state) as file:
            if file.testzip() is not None:
                return "is damaged"
        values: dict[str, Any] = torch.load(state, map_location="cpu", weights_only=True, mmap=True)
        shapes = {name: tensor.shape for name, tensor in values["state_dict"].items()}
        int(values["global_step"])
    except _UNREADABLE:
        return "is damaged"
    if shapes != {name: tensor.shape for name, tensor in model.state_dict().items()}:
        return "is of another network"
    return None


def require_steps_left(folder: Path, steps: int) -> None:
    """Refuse to resume a run that has come farther than it shall go; one that is just done may be resumed.

    Args:
        folder: of the run.
        steps: that it shall have.

    Raises:
        InputError: it has more already. What cannot be read is left to the trainer to tell.
    """
    done = steps_done(folder / STATE)
    if done is not None and done > steps:
        raise InputError(
            f"{folder} is at step {done} already, beyond `steps` {steps}: resume with more steps, or start again with `overwrite`"
        )


def steps_done(state: Path) -> int | None:
    """The step that a state is of; None if there is none, or it cannot be read."""
    try:
        values: dict[str, Any] = torch.load(state, map_location="cpu", weights_only=True, mmap=True)
        return int(values["global_step"])
    except Exception:  # a damaged file breaks torch's reader anywhere
        return None
