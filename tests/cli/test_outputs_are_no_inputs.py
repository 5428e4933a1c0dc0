"""No command writes over what it reads: all commands with files as inputs and as outputs, by any link."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import rich_click as click
from click.testing import CliRunner

from evolift.cli.main import COMMANDS, command_named

LINKS = {"itself": None, "symlink": os.symlink, "hard link": os.link}


def _leaves(name: str, command: click.Command) -> Iterator[str]:
    if not isinstance(command, click.Group):
        yield name
        return
    context = click.Context(command)
    for word in command.list_commands(context):
        inner = command.get_command(context, word)
        assert inner is not None
        yield from _leaves(f"{name} {word}", inner)


def _cases() -> Iterator[tuple[str, str, str]]:
    """(command, input, output) of each pair of a parameter that takes a file and one that names a file to write."""
    for first in COMMANDS:
        for name in _leaves(first, command_named(first)):
            paths = [p for p in command_named(name).params if isinstance(p.type, click.Path)]
            inputs = [p for p in paths if p.type.exists and p.type.file_okay]
            outputs = [p for p in paths if not p.type.exists and isinstance(p, click.Option)]
            for read in inputs:
                for written in outputs:
                    yield name, str(read.name), str(written.name)


CASES = list(_cases())


def _arguments(command: click.Command, given: dict[str, Path], other: Path, folder: Path) -> list[str]:
    """The least that the command takes, with some paths given."""
    arguments: list[str] = []
    for parameter in command.params:
        value: object = given.get(str(parameter.name))
        if value is None and (parameter.required or isinstance(parameter, click.Argument)):
            kind = parameter.type
            if isinstance(kind, click.Path):
                value = folder if not kind.file_okay else other if kind.exists else folder / "new"
            elif isinstance(kind, click.Choice):
                value = kind.choices[0]
        if value is not None:
            flag = [max(parameter.opts, key=len)] if isinstance(parameter, click.Option) else []
            arguments += [*flag, str(value)]
        elif parameter.name == "overwrite":
            arguments.append("--overwrite")
    return arguments


def test_there_are_such_commands() -> None:
    names = {name for name, *_ in CASES}
    assert {"evolve", "data select", "data render", "limits fit", "lifter train", "export"} <= names
    assert len([name for name in names if name.startswith("data import")]) > 8


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize(("name", "read", "written"), CASES)
def test_refused(name: str, read: str, written: str, link: str, tmp_path: Path) -> None:
    source, other, target = tmp_path / "in" / "a.h5", tmp_path / "b.h5", tmp_path / "in" / "a.h5"
    source.parent.mkdir()
    (tmp_path / "folder").mkdir()
    for path in (source, other):
        path.write_bytes(b"years of work")
    make = LINKS[link]
    if make is not None:
        target = tmp_path / "c.h5"
        make(source, target)
    command = command_named(name)
    arguments = _arguments(command, {read: source, written: target}, other, tmp_path / "folder")
    result = CliRunner().invoke(command, arguments)
    assert f"{target} is read to make it: choose another output" in f"{result.exception}", result.output
    assert source.read_bytes() == target.read_bytes() == other.read_bytes() == b"years of work"


def test_an_input_inside_the_folder_that_is_overwritten(tiny_store: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    store = run / "poses.h5"
    store.write_bytes(tiny_store.read_bytes())
    (run / "settings.json").write_text("{}")
    arguments = [str(store), "-o", str(run), "--overwrite", "--steps", "1"]
    result = CliRunner().invoke(command_named("lifter train"), arguments)
    assert f"{store} is read and lies in the output {run}: choose another output" in f"{result.exception}"
    assert store.read_bytes() == tiny_store.read_bytes()


def test_an_output_named_twice(tiny_store: Path, tmp_path: Path) -> None:
    page = tmp_path / "a.h5"
    result = CliRunner().invoke(
        command_named("evolve"), [str(tiny_store), "-o", str(page), "--preview", str(page)]
    )
    assert f"{page} is to be written twice: give different names" in f"{result.exception}"
