"""Files of torch.save from somewhere else: only tensors and plain values are read, and messages are our own.

Torch's own messages advise to load a refused file with `weights_only=False`, which would run whatever it holds.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from evolift.posedata.errors import InputError, reason_of
from evolift.posedata.input_file import reading


def read_torch_file(path: Path) -> Any:
    """What the file holds, on the CPU.

    Raises:
        InputError: it cannot be read, is damaged, or holds more than tensors and plain values.
    """
    with reading(path):
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError:
            raise InputError(
                f"{path} holds more than tensors, or is damaged, and is refused because loading such a file can run its code: save the network's state_dict() with torch.save"
            ) from None
        except OSError:
            raise
        except Exception as error:  # a damaged file breaks torch's reader anywhere
            raise InputError(
                f"{path} is not a readable file of torch.save ({reason_of(error)}): save the network's state_dict() with torch.save"
            ) from None
