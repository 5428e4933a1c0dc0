"""Options that several commands share, and the record of resolved settings."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import rich_click as click

from evolift.artifacts.shipped_files import is_shipped, shipped_names, weights_file
from evolift.cli.recipe_file import RecipeCommand as RecipeCommand  # noqa: PLC0414 - commands take it from here
from evolift.cli.settings_options import settings_options
from evolift.posedata.similar_name import guess
from evolift.posedata.skeleton import Skeleton
from evolift.posedata.version import __version__
from evolift.prediction.settings import MEDIAPIPE, RTMLIB, kind_of_detector
from evolift.training.settings import RunSettings

Function = TypeVar("Function", bound=Callable[..., Any])


class CheckpointPath(click.Path):
    """A checkpoint file, or the name of one that comes with the package."""

    def __init__(self, *, path_type: type[Any] | None = None) -> None:
        super().__init__(exists=True, dir_okay=False, path_type=path_type)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path; files go before names."""
        if isinstance(value, str) and not Path(value).exists():
            if is_shipped(value):
                return self.coerce_path_result(str(weights_file(value)))
            if meant := guess(value, shipped_names()):
                self.fail(f"There is no file '{value}'{meant}.", param, ctx)
        return super().convert(value, param, ctx)


class DetectorPath(CheckpointPath):
    """As `CheckpointPath`, or the name of somebody else's detector."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path, or the name as it is."""
        if isinstance(value, str) and kind_of_detector(value) in (RTMLIB, MEDIAPIPE):
            return value
        return super().convert(value, param, ctx)


ExistingFile = click.Path(exists=True, dir_okay=False, path_type=Path)
ExistingFolder = click.Path(exists=True, file_okay=False, path_type=Path)
ExistingFileName = click.Path(exists=True, dir_okay=False)
"""As `ExistingFile`, for settings, which hold paths as texts."""
ExistingCheckpoint = CheckpointPath(path_type=Path)
"""Of a detector, lifter, refiner or chain: each option that takes the weights of a stage."""
CheckpointName = CheckpointPath()
"""As `ExistingCheckpoint`, for settings."""
DetectorName = DetectorPath()
"""As `CheckpointName`, or somebody else's detector."""
ExistingPath = click.Path(exists=True, path_type=Path)
AnyPath = click.Path(path_type=Path)

seed_option = settings_options(RunSettings, only=("seed",))
overwrite_option = click.option("--overwrite", is_flag=True, help="Replace the output if it exists.")
resume_option = click.option("--resume", is_flag=True, help="Continue an interrupted run of this output.")
num_workers_option = settings_options(RunSettings, only=("num_workers",))


def _say_that_cutting_takes_long(
    ctx: click.Context, option: click.Parameter, path: Path | None
) -> Path | None:
    if path is not None and path.is_dir():
        click.echo(
            f"cutting objects out of {path}; `evolift detector cut-outs` keeps them in a file for --occluders",
            err=True,
        )
    return path


occluders_option = click.option(
    "--occluders",
    type=ExistingPath,
    callback=_say_that_cutting_takes_long,
    help="What is pasted: a Pascal VOC folder, or a file of `evolift detector cut-outs`. Synthetic if left out.",
)


def output_option(what: str) -> Callable[[Function], Function]:
    """`-o/--output`, required; `what` names the thing written."""
    return click.option("-o", "--output", type=AnyPath, required=True, help=f"{what} to write.")


def command_record(ctx: click.Context) -> dict[str, Any]:
    """Command and resolved settings, for `settings.json` beside the output and for checkpoints."""
    return {
        "evolift": __version__,
        "command": ctx.command_path,
        "settings": {name: _plain(value) for name, value in sorted(ctx.params.items())},
    }


@contextlib.contextmanager
def run_folder(
    ctx: click.Context,
    output: Path,
    *,
    overwrite: bool,
    resume: bool | None = None,
    may_change: Iterable[str] = (),
) -> Iterator[None]:
    """The output folder of a command for the block, with its options in it as `settings.json`.

    See `evolift.training.run_folder.run_folder`; a resumed run may change num_workers, output and `may_change`.
    """
    from evolift.training.run_folder import run_folder as folder

    free = {"num_workers", "output", "overwrite", "resume", *may_change}
    with folder(
        output, command_record(ctx), overwrite=overwrite, resume=resume, may_change=free, in_parts=True
    ):
        yield


def write_settings(ctx: click.Context, output: Path, more: dict[str, Any] | None = None) -> None:
    """Write the resolved settings (and `more`) as `NAME.settings.json` beside an output file."""
    from evolift.posedata.output_file import SETTINGS, write_json
    from evolift.posedata.output_lock import beside

    write_json(beside(output, f".{SETTINGS}"), command_record(ctx) | (more or {}))


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Skeleton):
        return value.name
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
