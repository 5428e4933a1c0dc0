"""Options that several commands share, and the record of resolved settings."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import rich_click as click
from click.core import ParameterSource

from evolift.cli.recipe_file import RecipeCommand as RecipeCommand  # noqa: PLC0414 - commands take it from here
from evolift.posedata.errors import InputError
from evolift.posedata.version import __version__

if TYPE_CHECKING:
    from evolift.training.trainer import TrainingSettings

Function = TypeVar("Function", bound=Callable[..., Any])

# Settings that say how long, where and how a run is made, not what it computes: a resumed run may change them.
MAY_CHANGE = {
    "accelerator",
    "devices",
    "nodes",
    "output",
    "overwrite",
    "patience",
    "progress",
    "recipe",
    "resume",
    "steps",
    "workers",
}


class FiniteRange(click.FloatRange):
    """Numbers of a range; click itself takes nan for one, and inf where there is no limit."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


ExistingFile = click.Path(exists=True, dir_okay=False, path_type=Path)
ExistingFolder = click.Path(exists=True, file_okay=False, path_type=Path)
ExistingPath = click.Path(exists=True, path_type=Path)
AnyPath = click.Path(path_type=Path)

seed_option = click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    default=0,
    show_default=True,
    help="Seed of everything random; the same seed gives the same bytes.",
)
overwrite_option = click.option("--overwrite", is_flag=True, help="Replace the output if it exists.")
criteria_option = click.option(
    "--criteria",
    default="",
    help="Further criteria of plausibility, with commas between: ground (stands where its ancestor stood, on a foot), capsules (no limb through the trunk or another limb) [default: none].",
)
resume_option = click.option(
    "--resume", is_flag=True, help="Continue an interrupted run in the output folder."
)
workers_option = click.option(
    "--workers",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Processes that make batches; never changes the result.",
)


def output_option(what: str) -> Callable[[Function], Function]:
    """`-o/--output`, required; `what` names the thing written."""
    return click.option("-o", "--output", type=AnyPath, required=True, help=f"{what} to write.")


def training_options(
    *, steps: int, validate_every: int, gradient_clip: float = 0.0, average_decay: float = 0.0
) -> Callable[[Function], Function]:
    """The options of every training command, with its defaults; see `training_settings`."""
    options = [
        click.option(
            "--steps", type=click.IntRange(1), default=steps, show_default=True, help="Optimiser steps."
        ),
        click.option(
            "--validate-every",
            type=click.IntRange(1),
            default=validate_every,
            show_default=True,
            help="Steps between validations, and between points a run can resume from.",
        ),
        seed_option,
        workers_option,
        click.option(
            "--accelerator",
            default="auto",
            show_default=True,
            help="cpu, gpu, mps, ...: as lightning takes it.",
        ),
        click.option("--devices", default="auto", show_default=True, help="How many devices, or which."),
        click.option("--nodes", type=click.IntRange(1), default=1, show_default=True, help="Machines."),
        click.option(
            "--precision",
            type=click.Choice(["32-true", "bf16-mixed", "16-mixed", "64-true"]),
            default="32-true",
            show_default=True,
            help="Arithmetic of the network.",
        ),
        click.option(
            "--accumulate",
            type=click.IntRange(1),
            default=1,
            show_default=True,
            help="Batches per optimiser step.",
        ),
        click.option(
            "--gradient-clip",
            type=click.FloatRange(0),
            default=gradient_clip,
            show_default=True,
            help="Largest gradient norm, 0 for none.",
        ),
        click.option(
            "--average-decay",
            type=click.FloatRange(0, 1, max_open=True),
            default=average_decay,
            show_default=True,
            help="Validate and save a moving average of the weights, for example 0.999; 0 for none.",
        ),
        click.option(
            "--patience",
            type=click.IntRange(0),
            default=0,
            show_default=True,
            help="Validations without improvement before stopping, 0 for never.",
        ),
        overwrite_option,
        resume_option,
    ]

    def decorate(function: Function) -> Function:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def training_settings(options: dict[str, Any]) -> TrainingSettings:
    """Take the values of `training_options` out of a command's options.

    Args:
        options: of the command; the training options are removed from it, except `overwrite` and `resume`.
    """
    from evolift.training.trainer import TrainingSettings

    return TrainingSettings(**taken(options, TrainingSettings))


def command_record(ctx: click.Context) -> dict[str, Any]:
    """Command and resolved settings, for `settings.json` beside the output and for checkpoints."""
    return {
        "evolift": __version__,
        "command": ctx.command_path,
        "settings": {name: _plain(value) for name, value in sorted(ctx.params.items())},
    }


@contextlib.contextmanager
def run_folder(ctx: click.Context, output: Path, *, overwrite: bool, resume: bool = False) -> Iterator[None]:
    """The output folder of a command for the block, with the resolved settings in it as `settings.json`.

    See `evolift.posedata.output_file.output_folder` for what happens when the block fails. Further processes of a training
    on several devices find the folder made by the first.
    """
    from evolift.posedata.output_file import SETTINGS, output_folder, write_json
    from evolift.training.process_rank import is_first_process

    if not is_first_process():
        yield
        return
    if resume:
        _require_same_settings(ctx, output / SETTINGS)
    with output_folder(output, overwrite=overwrite, resume=resume):
        write_json(output / SETTINGS, command_record(ctx))
        yield


def _require_same_settings(ctx: click.Context, path: Path) -> None:
    """Refuse to resume a run with settings that would make it another one."""
    if not path.exists():
        return
    try:
        before = json.loads(path.read_text(encoding="utf-8"))["settings"]
    except (ValueError, KeyError, OSError):
        raise InputError(f"{path} is damaged: start again with --overwrite") from None
    now = command_record(ctx)["settings"]
    for name in sorted((before.keys() | now.keys()) - MAY_CHANGE):
        if name not in before and ctx.get_parameter_source(name) is ParameterSource.DEFAULT:
            continue  # the run was begun by a version without this option
        if before.get(name) != now.get(name):
            flag = "--" + name.replace("_", "-")
            raise InputError(
                f"{path.parent} was begun with {flag} {before.get(name)}, not {now.get(name)}: resume with the same settings, or start again with --overwrite"
            )


def write_settings(ctx: click.Context, output: Path, more: dict[str, Any] | None = None) -> None:
    """Write the resolved settings (and `more`) as `NAME.settings.json` beside an output file."""
    from evolift.posedata.output_file import write_json

    write_json(output.with_name(output.name + ".settings.json"), command_record(ctx) | (more or {}))


def taken(options: dict[str, Any], settings: Any) -> dict[str, Any]:
    """Take the options that are fields of a settings class out of a command's options."""
    names = settings.__dataclass_fields__.keys() & options.keys()
    return {name: options.pop(name) for name in names}


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
