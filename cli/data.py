"""`evolift data`: make, inspect and view pose stores."""

from __future__ import annotations

import importlib
import math
from pathlib import Path
from typing import Any

import rich_click as click

from evolift.cli.import_options import implausible_option
from evolift.cli.options import (
    ExistingFile,
    RecipeCommand,
    output_option,
    overwrite_option,
    seed_option,
    write_settings,
)
from evolift.cli.progress import progress_bar
from evolift.cli.settings_options import settings_options, taken_settings
from evolift.posedata.skeleton import SKELETONS, skeleton_by_name
from evolift.synthetic.settings import ActorSettings, RenderSettings

LAZY_COMMANDS: dict[str, tuple[str, str]] = {"import": ("evolift.cli.data_import", "import_group")}
"""Subcommands that live in modules of their own -> module and attribute."""


class _DataGroup(click.RichGroup):
    """A group that also has `LAZY_COMMANDS`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*LAZY_COMMANDS, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in LAZY_COMMANDS:
            module, attribute = LAZY_COMMANDS[cmd_name]
            command: click.Command = getattr(importlib.import_module(module), attribute)
            return command
        return super().get_command(ctx, cmd_name)


@click.group(cls=_DataGroup)
def data() -> None:
    """Make pose stores (import, sample, actors, select, render), look into them (info, view), write them for others (export)."""


@data.command(cls=RecipeCommand, epilog="Example:  evolift data sample -o poses.h5")
@output_option("Pose store (.h5)")
@overwrite_option
def sample(output: Path, overwrite: bool) -> None:
    """Copy the sample of real people that comes with evolift: three subjects of CMU's motion capture, 28 clips.

    Free for all uses, but it may not be resold. `evolift data select` takes subjects and clips out of it.
    """
    import shutil

    from evolift.artifacts.shipped_files import sample_poses
    from evolift.posedata.output_file import whole_file
    from evolift.posedata.store import PoseStore

    with whole_file(output, overwrite=overwrite) as partial:
        shutil.copyfile(sample_poses(), partial)
    with PoseStore(output, validate=False) as store:
        click.echo(f"{output}: {len(store):,} poses of {len(store.labels['subject'])} subjects")
    click.echo(
        "The data used in this project was obtained from mocap.cs.cmu.edu. "
        "The database was created with funding from NSF EIA-0196217."
    )


@data.command(cls=RecipeCommand, epilog="Example:  evolift data actors -o train.h5 --split train --clips 4")
@output_option("Pose store (.h5)")
@click.option(
    "--split",
    type=click.Choice(["train", "test", "all"]),
    default="train",
    show_default=True,
    help="Built-in choice of subjects and actions; people of test are never in train.",
)
@click.option("--subjects", default=None, help="These instead, with commas: F1,M2.")
@click.option("--actions", default=None, help="These instead, with commas: walk,kick.")
@settings_options(ActorSettings)
@overwrite_option
@click.pass_context
def actors(
    ctx: click.RichContext,
    /,
    output: Path,
    split: str,
    subjects: str | None,
    actions: str | None,
    overwrite: bool,
    **options: Any,
) -> None:
    """Poses of the built-in synthetic actors, for when there is no motion capture at hand."""
    from evolift.posedata.store import PoseStore
    from evolift.synthetic.acting import actors as built_in
    from evolift.synthetic.acting.bodies import BODIES
    from evolift.synthetic.acting.motions import MOTIONS

    people, doings = {
        "train": (built_in.TRAIN_SUBJECTS, built_in.TRAIN_ACTIONS),
        "test": (built_in.TEST_SUBJECTS, built_in.TEST_ACTIONS),
        "all": (tuple(BODIES), tuple(MOTIONS)),
    }[split]
    built_in.write_actor_store(
        output,
        taken_settings(ActorSettings, options),
        subjects=_names(subjects, people),
        actions=_names(actions, doings),
        overwrite=overwrite,
    )
    write_settings(ctx, output)
    with PoseStore(output, validate=False) as store:
        click.echo(
            f"{output}: {len(store):,} poses, {len(store.labels['subject'])} subjects, "
            f"{len(store.labels['action'])} actions"
        )


@data.command(cls=RecipeCommand)
@click.argument("source", type=ExistingFile)
@output_option("Pose store (.h5)")
@click.option("--subjects", help="Only these, with commas.")
@click.option("--actions", help="Only these, with commas.")
@click.option("--without-subjects", help="Not these, with commas.")
@click.option("--without-actions", help="Not these, with commas.")
@click.option(
    "--share",
    type=click.FloatRange(0, 1, min_open=True),
    default=1.0,
    show_default=True,
    help="Of those, this share of the poses, chosen at random.",
)
@click.option(
    "--complement",
    is_flag=True,
    help="The poses that the same --share and --seed leave out: the other part of a split.",
)
@click.option("--skeleton", type=click.Choice(list(SKELETONS)), help="Convert the joints to this one.")
@seed_option
@implausible_option
@overwrite_option
@click.pass_context
def select(
    ctx: click.RichContext,
    /,
    source: Path,
    output: Path,
    share: float,
    complement: bool,
    seed: int,
    skeleton: str | None,
    implausible: bool,
    overwrite: bool,
    **names: str | None,
) -> None:
    """Some subjects, actions and poses of a store as a store of their own, for example to hold clips out.

    Example:

    \b
      evolift data select cmu.h5 -o validation.h5 --actions 01_03,01_09
      evolift data select photos.h5 -o train.h5 --share 0.9
      evolift data select photos.h5 -o validation.h5 --share 0.9 --complement
    """
    from evolift.posedata.selection import select_rows

    with progress_bar("selecting", None) as progress:
        kept = select_rows(
            source,
            output,
            share=share,
            complement=complement,
            seed=seed,
            skeleton=None if skeleton is None else skeleton_by_name(skeleton),
            implausible=implausible,
            overwrite=overwrite,
            progress=progress,
            **{key: _names(given, ()) for key, given in names.items()},
        )
    write_settings(ctx, output)
    click.echo(f"{output}: {kept:,} poses")


def _names(given: str | None, otherwise: tuple[str, ...]) -> tuple[str, ...]:
    if given is None:
        return otherwise
    return tuple(name.strip() for name in given.split(",") if name.strip())


@data.command(
    cls=RecipeCommand, epilog="Example:  evolift data render train.h5 -o people.h5 --images 2000 --size 256"
)
@click.argument("source", type=ExistingFile)
@output_option("Pose store (.h5), with a folder of images beside it,")
@settings_options(RenderSettings)
@overwrite_option
@click.pass_context
def render(ctx: click.RichContext, /, source: Path, output: Path, overwrite: bool, **options: Any) -> None:
    """Render images of people in the poses of SOURCE (world frame), with 2D and 3D joints and occlusion flags."""
    from evolift.synthetic.rendering.people import render_store

    settings = taken_settings(RenderSettings, options)
    with progress_bar("rendering", settings.images) as progress:
        render_store(source, output, settings, overwrite=overwrite, progress=progress)
    write_settings(ctx, output)
    click.echo(f"{output}: {settings.images:,} images in {output.with_name(output.stem + '_images')}")


@data.command(
    cls=RecipeCommand,
    epilog="Example:  evolift data export evolved.h5 -o data_3d_evolved.npz, evolift data export walks.h5 -o clips --fps 10",
)
@click.argument("source", type=ExistingFile)
@output_option("File (.npz, .json, .csv), or folder for BVH,")
@click.option(
    "--fps",
    "frames_per_second",
    type=click.FloatRange(0, min_open=True),
    default=None,
    help="Frames per second of the store's rows, for BVH.",
)
@overwrite_option
@click.pass_context
def export(
    ctx: click.RichContext, /, source: Path, output: Path, frames_per_second: float | None, overwrite: bool
) -> None:
    """Write a store for other programs; the ending of the output tells the format.

    \b
      NAME.npz   3D, VideoPose3D's and SemGCN's positions_3d
      NAME.json  2D joints of images, COCO's person keypoints
      NAME.csv   all joints, a line for each
      NAME       a folder of BVH files, a clip for each subject and action
    """
    from evolift.posedata.exporters.store_export import export_store

    with progress_bar("exporting", None) as progress:
        said = export_store(
            source, output, frames_per_second=frames_per_second, overwrite=overwrite, progress=progress
        )
    if output.is_file():
        write_settings(ctx, output)
    click.echo(f"{output}: {said}")


@data.command(cls=RecipeCommand, epilog="Example:  evolift data info train.h5")
@click.argument("store", type=ExistingFile)
def info(store: Path) -> None:
    """Check every row of STORE and tell what it holds."""
    from evolift.posedata.store import PoseStore
    from evolift.posedata.store_summary import rows_listed, summary_lines

    with PoseStore(store) as opened:
        for line in summary_lines(opened):
            click.echo(line)
        click.echo()
        click.echo(rows_listed(opened))


@data.command(
    cls=RecipeCommand,
    epilog="Example:  evolift data view train.h5 -o walk.html --subject F1 --action walk --count 60",
)
@click.argument("store", type=ExistingFile)
@output_option("Page (.html, the mouse rotates the 3D skeleton) or contact sheet (.png)")
@click.option("--subject", default=None, help="Only this subject.")
@click.option("--action", default=None, help="Only this action.")
@click.option(
    "--start", type=click.IntRange(0), default=0, show_default=True, help="Leave out so many rows first."
)
@click.option(
    "--count",
    type=click.IntRange(1),
    default=None,
    help="Rows to show [default: 100 in a row on a page, 24 spread over all on a sheet].",
)
@overwrite_option
@click.pass_context
def view(
    ctx: click.RichContext,
    /,
    store: Path,
    output: Path,
    subject: str | None,
    action: str | None,
    start: int,
    count: int | None,
    overwrite: bool,
) -> None:
    """Show rows of STORE: moving on a page, or side by side on a sheet."""
    from evolift.drawing.store_view import chosen_rows, store_sheet, write_store_page
    from evolift.posedata.errors import InputError
    from evolift.posedata.output_file import check_output
    from evolift.posedata.store import PoseStore

    is_page = output.suffix.lower() == ".html"
    if not is_page and output.suffix.lower() != ".png":
        raise InputError(f"{output}: give it the ending .html for a page or .png for a contact sheet")
    check_output(output, overwrite=overwrite)
    with PoseStore(store) as opened:
        rows = chosen_rows(
            opened,
            subject=subject,
            action=action,
            start=start,
            count=count or (100 if is_page else 24),
            spread=not is_page,
        )
        if is_page:
            write_store_page(opened, rows, output, overwrite=overwrite)
        else:
            from evolift.posedata.image_file import write_image

            columns = min(8, math.ceil(math.sqrt(1.5 * len(rows))))
            write_image(output, store_sheet(opened, rows, columns=columns), overwrite=overwrite)
    click.echo(f"{output}: {len(rows)} rows")
