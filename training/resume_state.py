"""How far an interrupted run has come, as its `resume.ckpt` tells."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from evolift.posedata.errors import InputError

STATE = "resume.ckpt"


def require_steps_left(folder: Path, steps: int) -> None:
    """Refuse to resume a run that has come farther than it shall go; one that is just done may be resumed.

    Args:
        folder: of the run.
        steps: that it shall have.

    Raises:
        InputError: it has more already. What cannot be read is left to the trainer to tell.
    """
    done = _steps_done(folder / STATE)
    if done is not None and done > steps:
        raise InputError(
            f"{folder} is at step {done} already, beyond `steps` {steps}: resume with more steps, or start again with `overwrite`"
        )


def _steps_done(state: Path) -> int | None:
    try:
        values: dict[str, Any] = torch.load(state, map_location="cpu", weights_only=True, mmap=True)
        return int(values["global_step"])
    except (OSError, RuntimeError, KeyError, TypeError, ValueError, EOFError, pickle.UnpicklingError):
        return None
