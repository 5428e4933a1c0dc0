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


def is_given(ctx: click.Context, name: str) -> bool:
    """Whether an option was given, by a flag or a recipe."""
    return ctx.get_parameter_source(name) is not ParameterSource.DEFAULT


def settings_of_start(
    ctx: click.Context, options: dict[str, Any], settings: SomeSettings, checkpoint: object
) -> SomeSettings:
    """The settings of a checkpoint's network; takes their options out of a command's.

    Args:
        ctx: says which options were given.
        options: of the command, by name; those of the network that are not in it were seen to by the caller.
        settings: of the network.
        checkpoint: its file, for the message.

    Raises:
        InputError: an option was given that asks for another network.
    """
    for field in flat_fields(type(settings)):
        if field.name not in options:
            continue
        value = options.pop(field.name)
        if is_given(ctx, field.name) and settings.replaced(**{field.name: value}) != settings:
            raise InputError(
                f"{checkpoint} has `{field.name}` {settings.flat()[field.name]}, not {value}: leave that out, it comes with the checkpoint"
            )
    return settings
