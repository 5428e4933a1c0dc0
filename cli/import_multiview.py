"""`evolift data import videopose3d|human36m|mmpose`: pose stores from people seen by several calibrated cameras."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from cli.import_options import fps_option, names, subjects_option, with_shifted_option
from cli.options import (
    ExistingFile,
    ExistingFolder,
    RecipeCommand,
    output_option,
    overwrite_option,
    write_settings,
)
from cli.progress import progress_bar

if TYPE_CHECKING:
    from posedata.importers.human36m import Choice

metadata_option = click.option(
    "--metadata",
    type=ExistingFile,
    default=None,
    help="metadata.xml of Human3.6M, for its cameras.",
)


def _choice(subjects: str | None, with_shifted: bool) -> Choice:
    from posedata.importers.human36m import Choice

    chosen = names(subjects)
    return Choice(None if chosen is None else tuple(chosen), with_shifted)


@click.command(
    "videopose3d",
    cls=RecipeCommand,
    epilog="Example:  evolift data import videopose3d data_3d_h36m.npz data_2d_h36m_gt.npz --metadata metadata.xml -o h36m.h5 --fps 10",
)
@click.argument("sources", type=ExistingFile, nargs=-1, required=True)
@output_option("Pose store (.h5)")
@metadata_option
@fps_option
@subjects_option
@with_shifted_option
@overwrite_option
@click.pass_context
def import_videopose3d(
    ctx: click.RichContext,
    /,
    sources: tuple[Path, ...],
    output: Path,
    subjects: str | None,
    with_shifted: bool,
    **options: Any,
) -> None:
    """VideoPose3D's .npz files of Human3.6M: SOURCES are the 3D file, the 2D file, or both.

    Both together need the cameras (--metadata). SemGCN's files have the same layout.
    """
    from posedata.importers import videopose3d

    with progress_bar("sequences", None) as advance:
        summary = videopose3d.import_videopose3d(
            sources, output, choice=_choice(subjects, with_shifted), progress=advance, **options
        )
    write_settings(ctx, output)
    click.echo(f"{output}: {summary.sentence()}")


@click.command(
    "human36m",
    cls=RecipeCommand,
    epilog="Example:  evolift data import human36m h36m/ --metadata metadata.xml --videos --fps 10 --subjects S1,S5,S6,S7,S8 -o train.h5",
)
@click.argument("source", type=ExistingFolder)
@output_option("Pose store (.h5)")
@metadata_option
@click.option("--videos", is_flag=True, help="Extract the kept frames of the videos beside the store.")
@click.option(
    "--frames",
    type=ExistingFolder,
    default=None,
    help="Frames extracted before: S1/S1_Directions_1.54138969/S1_Directions_1.54138969_000001.jpg.",
)
@fps_option
@subjects_option
@with_shifted_option
@overwrite_option
@click.pass_context
def import_human36m(
    ctx: click.RichContext,
    /,
    source: Path,
    output: Path,
    subjects: str | None,
    with_shifted: bool,
    **options: Any,
) -> None:
    """Human3.6M itself: SOURCE is the folder that its archives were extracted into (S1/MyPoseFeatures/..., S1/Videos).

    Without --metadata the store holds poses in the world; with it, what each of the four cameras sees of them.
    """
    from posedata.importers import human36m_cdf

    with progress_bar("sequences", None) as advance:
        summary = human36m_cdf.import_human36m(
            source, output, choice=_choice(subjects, with_shifted), progress=advance, **options
        )
    write_settings(ctx, output)
    pictures = f", pictures in {summary.images}" if summary.images is not None else ""
    click.echo(f"{output}: {summary.sentence()}{pictures}")


@click.command(
    "mmpose",
    cls=RecipeCommand,
    epilog="Example:  evolift data import mmpose h36m_train.npz --cameras cameras.pkl --images images -o train.h5",
)
@click.argument("source", type=ExistingFile)
@output_option("Pose store (.h5)")
@click.option("--cameras", type=ExistingFile, default=None, help="cameras.pkl of mmpose; no code of it runs.")
@metadata_option
@click.option(
    "--images",
    type=ExistingFolder,
    default=None,
    help="Folder that the names of the pictures are relative to.",
)
@subjects_option
@with_shifted_option
@overwrite_option
@click.pass_context
def import_mmpose(
    ctx: click.RichContext,
    /,
    source: Path,
    output: Path,
    subjects: str | None,
    with_shifted: bool,
    **options: Any,
) -> None:
    """Human3.6M as mmpose annotates it: SOURCE is h36m_train.npz or h36m_test.npz.

    They need the cameras, from --cameras or --metadata.
    """
    from posedata.importers import mmpose_npz

    with progress_bar("rows", None) as advance:
        summary = mmpose_npz.import_mmpose(
            source, output, choice=_choice(subjects, with_shifted), progress=advance, **options
        )
    write_settings(ctx, output)
    click.echo(f"{output}: {summary.sentence()}")
