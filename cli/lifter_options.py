"""The options that say what a lifter is built like, for the commands that build one."""

from __future__ import annotations

from typing import Any

import rich_click as click
from click.core import ParameterSource

from evolift.cli.recipe_file import flags_of
from evolift.cli.settings_options import flag_of, flat_fields, settings_options, taken_settings
from evolift.lifter.settings import USES, LifterSettings
from evolift.posedata.errors import InputError
from evolift.posedata.skeleton import Skeleton


class Grouping(click.ParamType[Any]):
    """A grouping of joints by name, or groups of joint numbers such as `0,1;2,3`."""

    name = "grouping"
    takes_lists = True

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The name, or the groups."""
        if not isinstance(value, str) or not value[:1].isdigit():
            return value
        try:
            return tuple(tuple(int(joint) for joint in group.split(",")) for group in value.split(";"))
        except ValueError:
            self.fail(f"{value!r}: groups of joint numbers look like 0,1;2,3,4;5", param, ctx)


class JointOrder(click.ParamType[Any]):
    """An order of joints by name, or all joints by name with commas between."""

    name = "joints"
    takes_lists = True

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The name, or the joints."""
        return tuple(value.split(",")) if isinstance(value, str) and "," in value else value


LIFTER_TYPES: dict[str, click.ParamType[Any]] = {"grouping": Grouping(), "joint_order": JointOrder()}
"""For `settings_options(LifterSettings, special=...)`."""


def _take_defaults_of_use(ctx: click.Context, option: click.Parameter, use: str) -> None:
    ctx.default_map = USES[use] | dict(ctx.default_map or {})


use_option = click.option(
    "--for",
    "use",
    type=click.Choice(list(USES)),
    default="rig",
    show_default=True,
    is_eager=True,
    expose_value=False,
    callback=_take_defaults_of_use,
    help="What poses are to be lifted: of cameras placed as in training (Human3.6M's four), or photographs of unknown cameras: "
    + "then defaults are "
    + ", ".join(f"--{name} {value}" for name, value in USES["photos"].items())
    + ". Flags and recipes win.",
)
"""Other defaults for `settings_options` of a lifter and its training."""

lifter_options = settings_options(LifterSettings, leave_out=("skeleton",), special=LIFTER_TYPES)
"""Give a command the options of a lifter that gets its skeleton from elsewhere."""


def lifter_flags() -> set[str]:
    """The long flags of `lifter_options`, without dashes."""

    def nothing() -> None:
        pass

    return set(flags_of(click.command()(lifter_options(nothing))))


def lifter_settings(options: dict[str, Any], skeleton: Skeleton) -> LifterSettings:
    """Take the values of `lifter_options` out of a command's options."""
    return taken_settings(LifterSettings, options, skeleton=skeleton)


def drop_lifter_options(ctx: click.Context, options: dict[str, Any], mend: str) -> None:
    """Take the values of `lifter_options` out where no lifter is built; `mend` ends the message.

    Raises:
        InputError: one was given on the command line, where it would do nothing.
    """
    for field in flat_fields(LifterSettings):
        options.pop(field.name, None)
        if ctx.get_parameter_source(field.name) is ParameterSource.COMMANDLINE:
            raise InputError(f"{flag_of(field.name)} does nothing here: {mend}")
