"""The options of temporal lifters, beside those of lifters of one frame."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
import rich_click as click
from click.core import ParameterSource

from evolift.cli.settings_options import flat_fields, settings_options
from evolift.cli.start_options import is_given
from evolift.lifter.settings import LifterSettings, LifterTrainingSettings
from evolift.lifter.temporal.settings import FRAMES, TemporalSettings, TemporalTrainingSettings
from evolift.posedata.errors import InputError

Function = TypeVar("Function", bound=Callable[..., Any])

_OF_ONE_FRAME = [field.name for field in flat_fields(LifterSettings)]
_DESCRIPTION = "Train a temporal lifter, which sees so many frames of a clip together: 9, 27 or 81. One frame if not given."

frames_option = click.option(
    "--frames", type=click.IntRange(min(FRAMES), max(FRAMES)), help=_DESCRIPTION, panel="Network"
)
"""Makes of a lifter a temporal one; without a default, which is a lifter of one frame."""

temporal_options = settings_options(TemporalSettings, leave_out=[*_OF_ONE_FRAME, "frames"])
"""What temporal lifters have beside the settings of others."""

temporal_training_options = settings_options(
    TemporalTrainingSettings, leave_out=[field.name for field in flat_fields(LifterTrainingSettings)]
)
"""What their trainings have beside the settings of others."""


def clip_options(function: Function) -> Function:
    """Give a command the options that tell the time between frames; both may be left out."""
    function = click.option(
        "--fps",
        "frames_per_second",
        type=click.FloatRange(0, 1000, min_open=True),
        help="Evaluate at so many frames per second; those of the temporal lifters if not given, or 30.",
    )(function)
    return click.option(
        "--store-fps",
        type=click.FloatRange(0, 1000, min_open=True),
        help="How many frames a second the store's frame numbers count; known of imports of CMU (120) and Human3.6M (50).",
    )(function)


def take_temporal_options(ctx: click.Context, options: dict[str, Any]) -> bool:
    """Whether a command is of a temporal lifter; takes those of its options out that say nothing then.

    These are the options of temporal lifters for one of one frame; and for a temporal lifter those of the others that were not
    given, whose defaults need not be its own.

    Raises:
        InputError: an option of temporal lifters was given without `frames`.
    """
    of_several = [field.name for field in msgspec.structs.fields(TemporalSettings)]
    of_training = [field.name for field in msgspec.structs.fields(TemporalTrainingSettings)]
    known = {*_OF_ONE_FRAME, *(field.name for field in flat_fields(LifterTrainingSettings)), "frames"}
    if options["frames"] is not None:
        for name in _OF_ONE_FRAME:
            if ctx.get_parameter_source(name) is ParameterSource.DEFAULT:
                options.pop(name)
        return True
    for name in [*of_several, *of_training]:
        if name not in known and name in options:
            if is_given(ctx, name):
                raise InputError(f"`{name}` belongs to a lifter of several `frames`: give that, too")
            options.pop(name)
    options.pop("frames")
    return False
