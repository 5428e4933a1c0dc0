"""The options that say what a lifter is built like, for the commands that build one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import rich_click as click
from click.core import ParameterSource

from evolift.cli.options import Function, taken
from evolift.cli.recipe_file import flags_of

if TYPE_CHECKING:
    from evolift.lifter.model import LifterSettings
    from evolift.posedata.skeleton import Skeleton

_OPTIONS = (
    click.option(
        "--architecture",
        type=click.Choice(["semgcn", "martinez", "cascade"]),
        default="semgcn",
        show_default=True,
    ),
    click.option(
        "--target",
        type=click.Choice(["xyz", "z"]),
        default="xyz",
        show_default=True,
        help="Whole joints, or depth alone.",
    ),
    click.option(
        "--normalisation",
        type=click.Choice(["screen", "box"]),
        default="screen",
        show_default=True,
        help="Of the 2D input: by the image, or by the person's box (for photographs of unknown camera).",
    ),
    click.option(
        "--input-axes",
        type=click.IntRange(2, 3),
        default=2,
        show_default=True,
        help="3 takes a volumetric detector's depth too.",
    ),
    click.option(
        "--hidden", type=click.IntRange(1), help="Channels inside; the published number if left out."
    ),
    click.option(
        "--blocks", type=click.IntRange(0), help="Residual blocks; the published number if left out."
    ),
    click.option(
        "--dropout",
        type=click.FloatRange(0, 1, max_open=True),
        help="If left out 0.1 for semgcn, and the published 0.5 for the others.",
    ),
    click.option("--stages", type=click.IntRange(1), help="Of a cascade; 2 if left out."),
    click.option(
        "--non-local/--local", default=False, show_default=True, help="Non-local blocks (semgcn only)."
    ),
    click.option(
        "--grouping",
        default="none",
        show_default=True,
        help="Of the non-local blocks: concat, self, related (17 joints), pairs (16 joints), consecutive (in the joint order), none, or own groups: 0,1;2,3,4;...",
    ),
    click.option(
        "--joint-order",
        default="declared",
        show_default=True,
        help="Inside the network: declared (the skeleton's), published (pair after pair), or all joints by name, with commas between.",
    ),
)


def lifter_options(function: Function) -> Function:
    """Give a command the options of `evolift.lifter.model.LifterSettings`, but the skeleton."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def lifter_flags() -> set[str]:
    """The long flags of `lifter_options`, without dashes."""

    def nothing() -> None:
        pass

    return set(flags_of(click.command()(lifter_options(nothing))))


def lifter_settings(options: dict[str, Any], skeleton: Skeleton) -> LifterSettings:
    """Take the values of `lifter_options` out of a command's options."""
    from evolift.lifter.model import LifterSettings

    options["grouping"] = _grouping(options["grouping"])
    if "," in options["joint_order"]:
        options["joint_order"] = tuple(options["joint_order"].split(","))
    return LifterSettings(skeleton=skeleton, **taken(options, LifterSettings))


def drop_lifter_options(ctx: click.Context, options: dict[str, Any], mend: str) -> None:
    """Take the values of `lifter_options` out where no lifter is built; `mend` ends the message.

    Raises:
        InputError: one was given on the command line, where it would do nothing.
    """
    from evolift.lifter.model import LifterSettings
    from evolift.posedata.errors import InputError

    for name in taken(options, LifterSettings):
        if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise InputError(f"--{name.replace('_', '-')} does nothing here: {mend}")


def _grouping(text: str) -> Any:
    """A grouping's name, or joint indices from `0,1;2,3`."""
    from evolift.posedata.errors import InputError

    if not text[:1].isdigit():
        return text
    try:
        return tuple(tuple(int(joint) for joint in group.split(",")) for group in text.split(";"))
    except ValueError:
        raise InputError(f"--grouping {text!r}: groups of joint numbers look like 0,1;2,3,4;5") from None
