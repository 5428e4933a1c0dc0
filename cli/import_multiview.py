"""`evolift data import videopose3d|human36m|3d-pose-baseline|mmpose|mpi-inf-3dhp`: pose stores from people seen by several calibrated cameras."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from evolift.cli.import_options import (
    fps_option,
    implausible_option,
    names,
    subjects_option,
    up_option,
    with_shifted_option,
)
from evolift.cli.options import (
    ExistingFile,
    ExistingFolder,
    ExistingPath,
    RecipeCommand,
    output_option,
    overwrite_option,
    write_settings,
)
from evolift.cli.progress import progress_bar
from evolift.cli.settings_options import settings_options, taken_settings, with_flags
from evolift.posedata.importers.settings import PoseBaselineSettings

if TYPE_CHECKING:
    from evolift.posedata.importers.human36m import Choice, Human36mSummary

metadata_option = click.option(
    "--metadata",
    type=ExistingFile,
    default=None,
    help="metadata.xml of Human3.6M, for its cameras; those built in if not given.",
)


def _choice(subjects: str | None, with_shifted: bool) -> Choice:
    from evolift.posedata.importers.human36m import Choice

    chosen = names(subjects)
    return Choice(None if chosen is None else tuple(chosen), with_shifted)


def _tell(
    output: Path, summary: Human36mSummary, more: str = "", notes: tuple[str, ...] | None = None
) -> None:
    click.echo(f"{output}: {summary.sentence()}{more}")
    for note in summary.notes if notes is None else notes:
        click.echo(note)


@click.command(
    "videopose3d",
    cls=RecipeCommand,
    epilog="Example:  evolift data import videopose3d data_3d_h36m.npz data_2d_h36m_gt.npz -o h36m.h5 --fps 10",
)
@click.argument("sources", type=ExistingFile, nargs=-1, required=True)
@output_option("Pose store (.h5)")
@metadata_option
@fps_option
@up_option
@subjects_option
@with_shifted_option
@implausible_option
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

    The 2D file holds true or detected joints: Human3.6M's, COCO's or stacked hourglass's. SemGCN's files have the same layout.
    """
    from evolift.posedata.importers import videopose3d

    with progress_bar("sequences", None) as progress:
        summary = videopose3d.import_videopose3d(
            sources, output, choice=_choice(subjects, with_shifted), progress=progress, **options
        )
    write_settings(ctx, output)
    _tell(output, summary, notes=tuple(with_flags(note, ctx.command) for note in summary.notes))


@click.command(
    "human36m",
    cls=RecipeCommand,
    epilog="Example:  evolift data import human36m h36m/ --videos --fps 10 --subjects S1,S5,S6,S7,S8 -o train.h5",
)
@click.argument("source", type=ExistingFolder)
@output_option("Pose store (.h5)")
@metadata_option
@click.option("--world", is_flag=True, help="Poses in the world alone, a row for each, without cameras.")
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
@implausible_option
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

    The store holds what each of the four cameras sees of the poses; with --world, the poses in the world alone.
    """
    from evolift.posedata.importers import human36m_cdf

    with progress_bar("sequences", None) as progress:
        summary = human36m_cdf.import_human36m(
            source, output, choice=_choice(subjects, with_shifted), progress=progress, **options
        )
    write_settings(ctx, output)
    _tell(output, summary, f", images in {summary.images}" if summary.images is not None else "")


@click.command(
    "3d-pose-baseline",
    cls=RecipeCommand,
    epilog="Example:  evolift data import 3d-pose-baseline h36m.zip --subjects S1,S5,S6,S7,S8 -o train.h5",
)
@click.argument("source", type=ExistingPath)
@output_option("Pose store (.h5)")
@settings_options(PoseBaselineSettings)
@subjects_option
@with_shifted_option
@implausible_option
@overwrite_option
@click.pass_context
def import_pose_baseline(
    ctx: click.RichContext,
    /,
    source: Path,
    output: Path,
    subjects: str | None,
    with_shifted: bool,
    **options: Any,
) -> None:
    """Human3.6M as 3d-pose-baseline and SemGCN prepare it: SOURCE is h36m.zip or its folder (cameras.h5, S1/MyPoses, S1/StackedHourglass).

    The store holds 3D joints and what each of the four cameras sees of them, by default as stacked hourglass detects it.
    """
    from evolift.posedata.importers import pose_baseline

    settings = taken_settings(PoseBaselineSettings, options)
    with progress_bar("sequences", None) as progress:
        summary = pose_baseline.import_pose_baseline(
            source,
            output,
            settings,
            choice=_choice(subjects, with_shifted),
            progress=progress,
            **options,
        )
    write_settings(ctx, output)
    _tell(output, summary)


@click.command(
    "mmpose",
    cls=RecipeCommand,
    epilog="Example:  evolift data import mmpose h36m_train.npz --images images -o train.h5",
)
@click.argument("source", type=ExistingFile)
@output_option("Pose store (.h5)")
@click.option("--cameras", type=ExistingFile, default=None, help="cameras.pkl of mmpose; no code of it runs.")
@metadata_option
@click.option(
    "--images",
    type=ExistingFolder,
    default=None,
    help="Folder that the names of the images are relative to.",
)
@subjects_option
@with_shifted_option
@implausible_option
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

    The cameras are those of --cameras or --metadata, of a cameras.pkl beside SOURCE or in the folder above, or built in.
    """
    from evolift.posedata.importers import mmpose_npz

    with progress_bar("rows", None) as progress:
        summary = mmpose_npz.import_mmpose(
            source, output, choice=_choice(subjects, with_shifted), progress=progress, **options
        )
    write_settings(ctx, output)
    _tell(output, summary)


@click.command(
    "mpi-inf-3dhp",
    cls=RecipeCommand,
    epilog="Example:  evolift data import mpi-inf-3dhp mpi_inf_3dhp/ --videos --fps 5 --subjects S1,S2 -o 3dhp.h5",
)
@click.argument("source", type=ExistingFolder)
@output_option("Pose store (.h5)")
@click.option(
    "--cameras",
    default="0,1,2,4,5,6,7,8",
    show_default=True,
    help="Of the training set, with commas between: 0 to 13.",
)
@click.option(
    "--videos", is_flag=True, help="Extract the kept frames of the training set's videos beside the store."
)
@fps_option
@subjects_option
@implausible_option
@overwrite_option
@click.pass_context
def import_mpi_inf_3dhp(
    ctx: click.RichContext,
    /,
    source: Path,
    output: Path,
    cameras: str,
    videos: bool,
    fps: float | None,
    subjects: str | None,
    **options: Any,
) -> None:
    """MPI-INF-3DHP: SOURCE is the folder of the training set (S1/Seq1, ...) or of the test set (TS1, ...).

    Of the test set, frames marked as valid are taken, all of them: --cameras, --videos and --fps are for the training set.
    """
    from evolift.posedata.importers import mpi_inf_3dhp, mpi_inf_3dhp_test_set

    chosen = names(subjects)
    with progress_bar("views", None) as progress:
        if any(source.glob("TS*/annot_data.mat")):
            if videos or fps is not None:
                raise click.UsageError(
                    "--videos and --fps are for the training set: the test set has images, not videos"
                )
            summary = mpi_inf_3dhp_test_set.import_mpi_inf_3dhp_test_set(
                source, output, subjects=chosen, progress=progress, **options
            )
        else:
            summary = mpi_inf_3dhp.import_mpi_inf_3dhp(
                source,
                output,
                cameras=names(cameras) or (),
                videos=videos,
                fps=fps,
                subjects=chosen,
                progress=progress,
                **options,
            )
    write_settings(ctx, output)
    problems = "".join(f"; {view} left out: {problem}" for view, problem in summary.left_out.items())
    unmarked = (
        f"; {summary.unmarked} frames left out that are not marked as valid" if summary.unmarked else ""
    )
    click.echo(f"{output}: {summary.poses} poses of {summary.sequences} sequences{problems}{unmarked}")
