"""Checkpoints: one safetensors file whose header carries the settings as JSON. Loading never executes code."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from evolift.posedata.errors import CheckpointError, EvoliftError, reason_of
from evolift.posedata.input_file import FilePath, as_path
from evolift.posedata.output_file import whole_file
from evolift.posedata.settings import Settings, shown
from evolift.posedata.version import __version__

FORMAT = "evolift-checkpoint"
FORMAT_VERSION = 1
_LONGEST = 600
_SPARE = 10**8
"""Weights that building a network may make beside those that it keeps, such as a classifier that is taken off again."""

# Not typing.Self, which the shape checks of the tests (beartype, method by method) cannot follow.
Model = TypeVar("Model", bound="CheckpointedModel")


@dataclass(frozen=True)
class Checkpoint:
    """The weights of one stage with all that is needed to rebuild and trust it.

    Args:
        stage: detector, lifter, refiner or chain.
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
    except _DAMAGES as error:
        raise _unreadable(path, error) from None
    header = _header(path, metadata)
    if header.get("stage") != stage:
        raise CheckpointError(
            f"{path} is a checkpoint of the stage {shown(header.get('stage'))}, not {stage!r}: give a {stage} checkpoint"
        )
    for name, tensor in tensors.items():
        wide = tensor.float() if tensor.is_floating_point() and tensor.itemsize == 1 else tensor
        if wide.is_floating_point() and not bool(torch.isfinite(wide).all()):
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
    except _DAMAGES as error:
        raise _unreadable(path, error) from None


# What safetensors and torch raise for damaged bytes.
_DAMAGES = (
    safetensors.SafetensorError,
    OSError,
    ValueError,
    KeyError,
    TypeError,
    RuntimeError,
    OverflowError,
    MemoryError,
)


def _unreadable(path: Path, error: BaseException) -> CheckpointError:
    return CheckpointError(
        f"{path} is not a readable safetensors file ({reason_of(error)}): make or copy it again"
    )


def _header(path: Path, metadata: dict[str, str]) -> dict[str, Any]:
    try:
        header = json.loads(metadata["evolift"])
    except (KeyError, ValueError, RecursionError):
        raise CheckpointError(f"{path} is a safetensors file but not a checkpoint of evolift") from None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise CheckpointError(f"{path} is a safetensors file but not a checkpoint of evolift")
    if header.get("version") != FORMAT_VERSION:
        raise CheckpointError(
            f"{path} has checkpoint version {shown(header.get('version'))}, this evolift reads {FORMAT_VERSION}: update evolift"
        )
    return header


class CheckpointedModel(nn.Module):
    """A network that its settings rebuild, so that one file can keep it.

    A subclass names its stage and the class of its settings, and sets `settings`. It is built from them alone, or
    overrides `from_settings`.

    Attributes:
        stage: detector, lifter, refiner or chain.
        settings_class: of `settings`.
        settings: what rebuilds the network; its weights are then those of a checkpoint.
        origin: the file that its weights were loaded from, if they were.
    """

    stage: ClassVar[str]
    settings_class: ClassVar[type[Settings]]
    settings: Any
    origin: Path | None = None

    @classmethod
    def from_settings(cls: type[Model], settings: Any) -> Model:
        """A new network, with weights as they are initialised."""
        return cls(settings)

    def to_checkpoint(self, record: Mapping[str, object] | None = None) -> Checkpoint:
        """This network as it is now; `record` says how it was made."""
        return Checkpoint(self.stage, dict(self.state_dict()), self.settings.to_dict(), dict(record or {}))

    def save(
        self, path: FilePath, record: Mapping[str, object] | None = None, *, overwrite: bool = False
    ) -> None:
        """Write `to_checkpoint` to a file.

        Raises:
            OutputError: the file exists and `overwrite` is False, or cannot be written.
        """
        save_checkpoint(as_path(path), self.to_checkpoint(record), overwrite=overwrite)

    @classmethod
    def load(cls: type[Model], path: FilePath) -> Model:
        """The network of a checkpoint file, on the CPU, in evaluation mode.

        Raises:
            CheckpointError: the file is damaged or of another stage, or its tensors do not fit its settings.
        """
        path = as_path(path)
        model = cls.from_checkpoint(load_checkpoint(path, cls.stage), path)
        model.origin = path
        return model

    @classmethod
    def from_checkpoint(cls: type[Model], checkpoint: Checkpoint, path: Path) -> Model:
        """As `load`, from a checkpoint in memory; `path` is for messages."""
        try:
            settings = cls.settings_class.from_dict(checkpoint.settings)
            with _no_more_weights(sum(tensor.numel() for tensor in checkpoint.tensors.values())):
                model = cls.from_settings(settings)
        except EvoliftError as error:
            raise CheckpointError(f"{path}: {_short(str(error))}") from None
        except (MemoryError, RuntimeError) as error:
            raise CheckpointError(
                f"{path}: its network cannot be built, for want of memory or by its settings ({type(error).__name__}): make or copy it again"
            ) from None
        expected = {name: _form(tensor) for name, tensor in model.state_dict().items()}
        given = {name: _form(tensor) for name, tensor in checkpoint.tensors.items()}
        wrong = sorted(
            name for name in expected.keys() | given.keys() if expected.get(name) != given.get(name)
        )
        if wrong:
            raise CheckpointError(
                f"{path}: tensor {wrong[0][:200]!r} is missing, unknown or of another shape or type ({len(wrong)} such tensors): train the {cls.stage} again"
            )
        model.load_state_dict(checkpoint.tensors)
        return model.eval()


def _short(sentence: str) -> str:
    """Of a sentence that may quote what stands in a file; the list of what may be there is worth its length."""
    return sentence if len(sentence) <= _LONGEST else f"{sentence[:_LONGEST]}..."


def _form(tensor: Tensor) -> tuple[torch.Size, bool, bool]:
    return tensor.shape, tensor.is_floating_point(), tensor.is_complex()


@contextlib.contextmanager
def _no_more_weights(held: int) -> Iterator[None]:
    """Stop building a network in the block as soon as it has far more weights than its file holds.

    Torch touches the memory of a weight only when it is initialised, which is after this.

    Raises:
        CheckpointError: in the block.
    """
    made, thread = 0, threading.get_ident()

    def count(_module: nn.Module, _name: str, parameter: nn.Parameter | None) -> None:
        nonlocal made
        if parameter is not None and threading.get_ident() == thread:
            made += parameter.numel()
            if made > 2 * held + _SPARE:
                raise CheckpointError(
                    f"its settings are of a network of more than {made:,} weights, and it holds {held:,}: make or copy it again"
                )

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()
