"""Checkpoints: one safetensors file whose header carries the settings as JSON. Loading never executes code."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from evolift.posedata.errors import CheckpointError
from evolift.posedata.output_file import whole_file
from evolift.posedata.version import __version__

FORMAT = "evolift-checkpoint"
FORMAT_VERSION = 1
STAGES = ("detector", "lifter", "refiner", "joint")


@dataclass(frozen=True)
class Checkpoint:
    """The weights of one stage with all that is needed to rebuild and trust it.

    Args:
        stage: one of `STAGES`.
        tensors: state dict of the model.
        settings: plain JSON values that rebuild the model (architecture, skeleton, normalisation, target, ...).
        record: plain JSON values about its making (command, seed, data hashes, scores).
    """

    stage: str
    tensors: dict[str, Tensor]
    settings: dict[str, object]
    record: dict[str, object]


def save_checkpoint(path: Path, checkpoint: Checkpoint, *, overwrite: bool = False) -> None:
    """Write a checkpoint whole or not at all.

    Raises:
        OutputError: `path` exists and `overwrite` is False, or cannot be written.
    """
    header = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "evolift": __version__,
        "stage": checkpoint.stage,
        "settings": checkpoint.settings,
        "record": checkpoint.record,
    }
    # One JSON value under one key: the order of several safetensors metadata keys is not deterministic.
    metadata = {"evolift": json.dumps(header, ensure_ascii=False)}
    # Copies, because safetensors refuses tensors that share memory (tied weights).
    tensors = {
        name: tensor.detach().cpu().contiguous().clone()
        for name, tensor in sorted(checkpoint.tensors.items())
    }
    with whole_file(path, overwrite=overwrite) as partial:
        partial.write_bytes(safetensors.torch.save(tensors, metadata))


def load_checkpoint(path: Path, stage: str) -> Checkpoint:
    """Read a checkpoint of the given stage, onto the CPU.

    Raises:
        CheckpointError: the file is missing, damaged, not ours, of a newer version, or of another stage.
    """
    if not path.is_file():
        raise CheckpointError(f"{path} is not a file: give the path of a {stage} checkpoint (.safetensors)")
    try:
        with safetensors.safe_open(str(path), "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (safetensors.SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} is not a readable safetensors file ({error}): make or copy it again"
        ) from None
    header = _header(path, metadata)
    if header.get("stage") != stage:
        raise CheckpointError(
            f"{path} is a checkpoint of the stage {header.get('stage')!r}, not {stage!r}: give a {stage} checkpoint"
        )
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise CheckpointError(f"{path}: tensor {name!r} has values that are not finite: train it again")
    settings, record = header.get("settings"), header.get("record")
    if not isinstance(settings, dict) or not isinstance(record, dict):
        raise CheckpointError(f"{path}: its settings or record are damaged: make or copy it again")
    return Checkpoint(stage, tensors, settings, record)


def stage_of(path: Path) -> str:
    """Which stage a checkpoint file belongs to, without reading its tensors.

    Raises:
        CheckpointError: as `load_checkpoint`.
    """
    try:
        with safetensors.safe_open(str(path), "pt") as file:
            return str(_header(path, file.metadata() or {}).get("stage"))
    except (safetensors.SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} is not a readable safetensors file ({error}): make or copy it again"
        ) from None


def _header(path: Path, metadata: dict[str, str]) -> dict[str, Any]:
    try:
        header = json.loads(metadata["evolift"])
    except (KeyError, json.JSONDecodeError):
        raise CheckpointError(f"{path} is a safetensors file but not a checkpoint of evolift") from None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise CheckpointError(f"{path} is a safetensors file but not a checkpoint of evolift")
    if header.get("version") != FORMAT_VERSION:
        raise CheckpointError(
            f"{path} has checkpoint version {header.get('version')}, this evolift reads {FORMAT_VERSION}: update evolift"
        )
    return header
