"""The folder of one run, with the settings that it was begun with; a resumed run must be the same run."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from evolift.posedata.errors import InputError
from evolift.posedata.num_workers import require_workers
from evolift.posedata.output_file import SETTINGS, hashes_of, write_json
from evolift.posedata.output_folder import output_folder
from evolift.posedata.settings import Settings
from evolift.posedata.version import __version__
from evolift.training.process_rank import is_first_process
from evolift.training.resume_state import STATE, require_steps_left, steps_done

_log = logging.getLogger(__name__)

MAY_CHANGE = {
    "accelerator",
    "compile",
    "devices",
    "logger",
    "nodes",
    "output",
    "patience",
    "progress",
    "rounds",
    "steps",
    "num_workers",
}
"""Settings that say how long, where and how a run is made, not what it computes: a resumed run may change them."""

_WITHOUT_EFFECT = {"logger", "output", "progress", "num_workers"}
"""Settings that no weight depends on."""


def run_record(command: str, *settings: Settings, **inputs: Any) -> dict[str, Any]:
    """What a run was made with, for `settings.json` and for checkpoints.

    Args:
        command: that makes such runs, for example "evolift lifter train".
        settings: their fields, those of settings inside them too, lie flat in the record.
        inputs: further values by name: paths (or lists of them), names, flags.

    Raises:
        InputError: they ask for more workers than this machine has any use for.
    """
    values = {name: _plain(value) for name, value in inputs.items()}
    for one in settings:
        values |= {name: _plain(value) for name, value in one.flat().items()}
    require_workers(values.get("num_workers", 0))
    return {"evolift": __version__, "command": command, "settings": dict(sorted(values.items()))}


def checkpoint_record(record: Mapping[str, Any], stores: Iterable[Path]) -> dict[str, Any]:
    """What a checkpoint keeps of a run's record: all that its weights depend on, with hashes of the stores.

    The same training gives the same bytes, however many processes make its batches and wherever it is written.
    """
    settings = {name: value for name, value in record["settings"].items() if name not in _WITHOUT_EFFECT}
    return {**record, "settings": settings, "stores": hashes_of(stores)}


def made_by(folder: Path) -> str | None:
    """The command that made a run folder, as its record tells; None of other folders."""
    path = folder / SETTINGS
    try:
        command = json.loads(path.read_text(encoding="utf-8"))["command"] if path.is_file() else None
    except (ValueError, KeyError, TypeError, OSError, RecursionError):
        return None
    return command if isinstance(command, str) else None


@contextlib.contextmanager
def run_folder(
    output: Path,
    record: Mapping[str, Any],
    *,
    overwrite: bool = False,
    resume: bool | None = None,
    inputs: Iterable[Path] = (),
    may_change: Iterable[str] = MAY_CHANGE,
    in_parts: bool = False,
) -> Iterator[None]:
    """The output folder of a run for the block, with its record in it as `settings.json`.

    See `evolift.posedata.output_folder.output_folder` for what happens when the block fails. Further processes of a
    training on several devices find the folder made by the first. `resume` is None for runs that cannot be resumed. `inputs`
    are read besides the files that the record names; none may lie in the folder. A resumed run may have other values of the settings
    `may_change`. A run `in_parts` keeps each part of it that is finished.

    Raises:
        OutputError: the folder exists and is not empty, and neither flag is given; or it cannot be made.
        InputError: the run to resume was begun with other settings, has done more steps already, or its record is damaged.
    """
    if not is_first_process():
        yield
        return
    if resume:
        _require_same_settings(output / SETTINGS, record["settings"], set(may_change))
        if "steps" in record["settings"]:  # before the record is written anew
            require_steps_left(output, record["settings"]["steps"])
    read = [*inputs, *_paths_in(record["settings"])]
    with output_folder(output, overwrite=overwrite, resume=resume, inputs=read):
        write_json(output / SETTINGS, record)
        try:
            yield
        except (KeyboardInterrupt, SystemExit) as interruption:  # lightning makes the second of the first
            if resume is not None and not getattr(interruption, "__notes__", None):  # the block knows better
                interruption.add_note(_what_is_kept(output, record["command"], in_parts=in_parts))
            raise


def _what_is_kept(output: Path, command: str, *, in_parts: bool) -> str:
    if in_parts:
        return f"{output} holds what is finished: the same command with --resume goes on."
    step = steps_done(output / STATE)
    if step is None:
        return f"Nothing is kept in {output}: no validation was reached, which is where a run is saved."
    return f"{output} holds the run as it was at step {step:,}: `{command} --resume -o {shlex.quote(str(output))}` goes on."


def _require_same_settings(path: Path, now: Mapping[str, Any], may_change: set[str]) -> None:
    """Refuse to resume a run with settings that would make it another one."""
    if not path.exists():
        return
    try:
        before = json.loads(path.read_text(encoding="utf-8"))["settings"]
        if not isinstance(before, dict):
            raise ValueError
    except (ValueError, KeyError, TypeError, OSError, RecursionError):
        if (path.parent / STATE).exists():  # hours of work, and nobody knows whose
            raise InputError(
                f"{path} is damaged, so that nobody knows of which settings {STATE} beside it is: put it back, or start again with `overwrite`"
            ) from None
        _log.warning("%s is damaged: the run begins anew.", path)
        return
    for name in sorted((before.keys() | now.keys()) - may_change):
        if before.get(name) != now.get(name):
            raise InputError(
                f"{path.parent} was begun with `{name}` {before.get(name)}, not {now.get(name)}: resume with the same settings, or start again with `overwrite`"
            )


def _paths_in(settings: Mapping[str, Any]) -> Iterator[Path]:
    """What of the values of settings are files or folders that are there, but for the output."""
    for name, value in settings.items():
        for text in value if isinstance(value, list) else [value]:
            # Not `Path.exists`, which stumbles over texts that are no paths at all.
            if name != "output" and isinstance(text, str) and os.path.exists(text):  # noqa: PTH110
                yield Path(text)


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
