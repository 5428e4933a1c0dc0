"""`--start-from CHECKPOINT`: a training begins with the network of a checkpoint, whose settings it takes."""

from __future__ import annotations

from typing import Any, TypeVar

import rich_click as click
from click.core import ParameterSource

from evolift.cli.options import ExistingCheckpoint
from evolift.cli.settings_options import flat_fields
from evolift.posedata.errors import InputError
from evolift.posedata.settings import Settings

SomeSettings = TypeVar("SomeSettings", bound=Settings)

start_from_option = click.option(
    "--start-from",
    type=ExistingCheckpoint,
    help="Begin with the network of this checkpoint and its settings, to train it further.",
)


def settings_of_start(
    ctx: click.Context, options: dict[str, Any], settings: SomeSettings, checkpoint: object
) -> SomeSettings:
    """The settings of a checkpoint's network; takes their options out of a command's.

    Args:
        ctx: says which options were given.
        options: of the command, by name.
        settings: of the network.
        checkpoint: its file, for the message.

    Raises:
        InputError: an option was given that asks for another network.
    """
    for field in flat_fields(type(settings)):
        value = options.pop(field.name)
        is_given = ctx.get_parameter_source(field.name) is not ParameterSource.DEFAULT
        if is_given and settings.replaced(**{field.name: value}) != settings:
            raise InputError(
                f"{checkpoint} has `{field.name}` {settings.flat()[field.name]}, not {value}: leave that out, it comes with the checkpoint"
            )
    return settings
