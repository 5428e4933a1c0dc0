"""The state of a run, written whole or not at all; apart from `resume_state`, which needs no lightning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO

from evolift.posedata.output_file import whole_file


class WholeStates(TorchCheckpointIO):
    """How lightning writes states: as all our files are written."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a state whole or not at all.

        Raises:
            OutputError: the file system refuses.
        """
        with whole_file(Path(path), overwrite=True) as partial:
            try:
                torch.save(checkpoint, partial)
            except RuntimeError as error:  # what torch makes of a full disk
                raise OSError(str(error).splitlines()[0]) from None
