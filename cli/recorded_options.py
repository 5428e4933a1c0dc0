"""The options of a run, read from the `settings.json` of its folder: what `--resume` and `--recipe FILE.json` take.

A record tells more than options, for example what a loaded network is like; what is no option of the command is passed over.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import rich_click as click

from evolift.posedata.errors import InputError
from evolift.posedata.input_file import read_text

NOT_TAKEN = {"output", "overwrite", "resume", "recipe"}
"""Parameters that say what to do with a folder, not what the run is."""
MAX_BYTES = 2**20


def read_record(path: Path) -> dict[str, Any]:
    """The record of a run, with its `command` and `settings`.

    Raises:
        InputError: the file cannot be read, or is no record.
    """
    # Imports numpy, which `--help` must not.
    from evolift.posedata.checked_json import parse_json

    if path.stat().st_size > MAX_BYTES:
        raise InputError(f"{path}: it has more than {MAX_BYTES} bytes, so it is no record of a run")
    record = parse_json(read_text(path, "give the settings.json of a run"), str(path))
    is_record = isinstance(record, dict) and isinstance(record.get("settings"), dict)
    if not is_record or not isinstance(record.get("command"), str):
        raise InputError(f"{path} is no record of a run: give the settings.json of one")
    return dict(record)


def recorded_options(
    record: dict[str, Any], command: click.Command, command_name: str, where: object
) -> dict[str, Any]:
    """Options and arguments of a command by the names of its parameters.

    Args:
        record: of a run.
        command: that is to take them.
        command_name: its words, such as "lifter train".
        where: what the message calls the record.

    Raises:
        InputError: it is that of another command.
    """
    made_by = record["command"]
    if made_by.removeprefix("evolift ") != command_name:
        raise InputError(f"{where} is of `{made_by}`, not of `evolift {command_name}`")
    wanted = {str(parameter.name) for parameter in command.params} - NOT_TAKEN
    return {name: value for name, value in record["settings"].items() if name in wanted and value is not None}


def record_to_resume(arguments: dict[str, Any]) -> tuple[Path, dict[str, Any]] | None:
    """Path and record of the run that a command line asks to resume, if there is one.

    Of a damaged one the library tells, which begins anew.

    Args:
        arguments: of the command line, by the names of the parameters.
    """
    if not arguments.get("resume") or not isinstance(arguments.get("output"), str):
        return None
    path = Path(arguments["output"]) / "settings.json"
    try:
        return (path, read_record(path)) if path.is_file() else None
    except InputError:
        return None
