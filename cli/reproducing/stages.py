"""Stages: one call of a command each, known by what it is given.

A stage's key is a hash of its command, its options and what it reads: the bytes of the user's files, and the keys of the
stages that make the rest. Two rows that need the same have the same stage; a stage whose options change is another one.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import rich_click as click

from evolift.chain.settings import ChainTrainingSettings
from evolift.cli.lifter_options import lifter_settings
from evolift.cli.main import command_named
from evolift.cli.recipe_file import Options, flags_of, require_options
from evolift.cli.settings_options import taken_settings, with_flags
from evolift.detector2d.settings import DetectorSettings, DetectorTrainingSettings, require_fitting
from evolift.evolution.settings import EvolutionSettings
from evolift.lifter.settings import LifterSettings, LifterTrainingSettings
from evolift.posedata.errors import InputError
from evolift.posedata.output_file import sha256_of
from evolift.posedata.settings import Settings
from evolift.posedata.skeleton import H36M17
from evolift.posedata.version import __version__

TRAININGS = ("detector train", "lifter train", "finetune")
"""Commands that take up an interrupted run with --resume."""
OUTPUTS = {
    "data actors": "store.h5",
    "data select": "store.h5",
    "data render": "store.h5",
    "evolve": "store.h5",
    "detector evaluate": "scores.csv",
    "chain evaluate": "scores.csv",
} | dict.fromkeys(TRAININGS, "run")
PRODUCTS = {"run": ("run/best.safetensors", "run/last.safetensors"), "store.h5": ("store.h5",)}
"""Files of an output by which a finished stage is recognised."""
BEST, LAST = PRODUCTS["run"]


@dataclass(frozen=True, eq=False)
class Product:
    """A file that a stage reads.

    Args:
        path: of the user's file, or inside the folder of the stage.
        stage: that makes it; None for a file of the user.
    """

    path: Path
    stage: Stage | None = None

    def located(self, root: Path) -> Path:
        """Where it is, with the folders of stages under `root`."""
        return self.path if self.stage is None else self.stage.folder(root) / self.path

    @property
    def identity(self) -> str:
        """Text that is equal for files of equal content: a hash, or the key of the stage that makes the file."""
        return _content(self.path) if self.stage is None else f"{self.stage.key}/{self.path.as_posix()}"


@cache
def _content(path: Path) -> str:
    return sha256_of(path)


@dataclass(frozen=True, eq=False)
class Stage:
    """One call of a command.

    Args:
        command: its words.
        options: by their long flags.
        arguments: what it reads, without a flag.
        inputs: what it reads, by flag.
        execution: options that say how it runs, not what it computes.
    """

    command: str
    options: Options
    arguments: tuple[Product, ...] = ()
    inputs: tuple[tuple[str, Product], ...] = ()
    execution: Options = field(default_factory=dict)

    @cached_property
    def key(self) -> str:
        """Short hash of all that the result depends on."""
        values = {
            "version": __version__,
            "command": self.command,
            "options": self.options,
            "arguments": [product.identity for product in self.arguments],
            "inputs": [[flag, product.identity] for flag, product in self.inputs],
        }
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def name(self) -> str:
        """Name of the stage's folder: its command and its key, such as "detector-train-0a1b2c3d4e5f"."""
        return f"{self.command.replace(' ', '-')}-{self.key}"

    @property
    def before(self) -> list[Stage]:
        """The stages whose results this stage reads, each once."""
        products = [*self.arguments, *(product for _, product in self.inputs)]
        return list({p.stage.key: p.stage for p in products if p.stage is not None}.values())

    @property
    def output(self) -> str:
        """Name of what it writes, in its folder."""
        return OUTPUTS[self.command]

    @property
    def products(self) -> tuple[str, ...]:
        """Files in its folder that are there when it is finished."""
        return PRODUCTS.get(self.output, (self.output,))

    def product(self, path: str = "") -> Product:
        """What it makes, for another stage to read."""
        return Product(Path(path or self.output), self)

    def folder(self, root: Path) -> Path:
        """Folder of the stage's results below the output folder `root`."""
        return root / "stages" / self.name

    def words(self, root: Path) -> list[str]:
        """The words behind `evolift` on the command line."""
        command = command_named(self.command)
        words = [*self.command.split(), *(str(product.located(root)) for product in self.arguments)]
        for flag, product in self.inputs:
            words += [f"--{flag}", str(product.located(root))]
        words += _flags(self.options, command)
        words += ["--output", str(self.folder(root) / self.output)]
        flags = flags_of(command)
        return words + _flags({k: v for k, v in self.execution.items() if k in flags}, command)

    @property
    def settings(self) -> list[Settings]:
        """What a training or an evolution makes of its options; none for other commands.

        Raises:
            InputError: naming an option that its command does not have, or what does not fit or go together.
        """
        where = f"`evolift {self.command}`"
        command = command_named(self.command)
        require_options(self.options, command, self.command, where)
        context, flags, values = click.Context(command), flags_of(command), {}
        for flag, value in self.options.items():
            try:
                values[str(flags[flag].name)] = flags[flag].type_cast_value(context, value)
            except (click.BadParameter, TypeError) as error:
                why = error.format_message() if isinstance(error, click.BadParameter) else str(error)
                raise InputError(f"{where}: --{flag} cannot be {value!r}: {why}") from None
        try:
            return _settings_of(self.command, values)
        except InputError as error:
            raise InputError(f"{where}: {with_flags(str(error), command)}") from None

    def check(self) -> None:
        """See that its command has these options, takes their values, and that these go together.

        Raises:
            InputError: naming what does not fit.
        """
        _ = self.settings


def _settings_of(command: str, values: dict[str, Any]) -> list[Settings]:
    """The settings of a command from the values of some of its options; the defaults of the others are the settings' own."""
    if command == "detector train":
        detector = taken_settings(DetectorSettings, values)
        training = taken_settings(DetectorTrainingSettings, values)
        require_fitting(detector, training)
        return [detector, training]
    if command == "finetune":
        chain = taken_settings(ChainTrainingSettings, values)
        return [lifter_settings(values, H36M17), chain] if values.get("new_lifter") else [chain]
    if command == "lifter train":
        return [taken_settings(LifterSettings, values), taken_settings(LifterTrainingSettings, values)]
    return [taken_settings(EvolutionSettings, values)] if command == "evolve" else []


def _flags(options: Options, command: click.Command) -> list[str]:
    known = flags_of(command)
    words: list[str] = []
    for name, value in options.items():
        option = known[name]
        if isinstance(value, bool):
            words += _switch(option, name, value)
        else:
            for one in value if isinstance(value, (list, tuple)) else [value]:
                words += [f"--{name}", str(one)]
    return words


def _switch(option: click.Option, name: str, value: Any) -> list[str]:
    if value:
        return [f"--{name}"]
    return option.secondary_opts[:1]
