"""`evolift data import cmu|bvh|smpl-joints`: pose stores from motion capture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from evolift.cli.import_options import fps_option, implausible_option, names, up_option
from evolift.cli.options import (
    ExistingPath,
    Function,
    RecipeCommand,
    output_option,
    overwrite_option,
    write_settings,
)
from evolift.cli.progress import progress_bar
from evolift.cli.settings_options import settings_options, taken_settings
from evolift.posedata.importers.settings import CmuSettings

if TYPE_CHECKING:
    from evolift.posedata.importers.bvh import BvhSummary
    from evolift.posedata.importers.smpl_joints import SmplSummary


def capture_frame_options(function: Function) -> Function:
    """What files of motion capture do not tell of themselves."""
    options = [
        click.option(
            "--unit",
            default=None,
            help="Unit of length: m, cm, mm, inch, cmu, or millimetres; detected if clear.",
        ),
        up_option,
        click.option(
            "--mirrored/--not-mirrored",
            default=None,
            help="Left and right are swapped in the files; detected if clear.",
        ),
    ]
    for option in reversed(options):
        function = option(function)
    return function


@click.command(
    "cmu",
    cls=RecipeCommand,
    epilog="Example:  evolift data import cmu all_asfamc.zip -o train.h5 --fps 10 --subjects 01,03",
)
@click.argument("source", type=ExistingPath)
@output_option("Pose store (.h5)")
@settings_options(CmuSettings)
@click.option("--subjects", default=None, help="Only these, with commas: 01,03. All if not given.")
@implausible_option
@overwrite_option
@click.pass_context
def import_cmu(ctx: click.RichContext, /, source: Path, output: Path, **options: Any) -> None:
    """CMU motion capture (ASF/AMC): SOURCE is the zip, or a folder of NN/NN.asf and NN/NN_MM.amc."""
    from evolift.posedata.importers import cmu_asfamc

    settings = taken_settings(CmuSettings, options)
    subjects = options.pop("subjects")
    with progress_bar("clips", None) as progress:
        summary = cmu_asfamc.import_cmu(
            source,
            output,
            settings,
            subjects=names(subjects),
            progress=progress,
            **options,
        )
    write_settings(ctx, output)
    click.echo(
        f"{output}: {summary.poses} poses of {summary.clips} clips, subjects {', '.join(summary.subjects)}; "
        f"{summary.left_out} frames left out where the capture jumps"
    )


@click.command(
    "bvh",
    cls=RecipeCommand,
    epilog="Example:  evolift data import bvh cmu_walks.zip -o walks.h5 --fps 10",
)
@click.argument("source", type=ExistingPath)
@output_option("Pose store (.h5)")
@click.option(
    "--names",
    default=None,
    help="Joint names: cmu-cgspeed, cmu-motionbuilder, mixamo, lafan1, perception-neuron, xsens, rokoko, biped, bandai-namco, iclone, evolift, or a JSON file {joint of H36M17: joint of the file}; told from the joints if not given.",
)
@fps_option
@capture_frame_options
@click.option("--subject", default=None, help="Label of all rows; from names like 02_01.bvh for cmu-cgspeed.")
@implausible_option
@overwrite_option
@click.pass_context
def import_bvh(ctx: click.RichContext, /, source: Path, output: Path, **options: Any) -> None:
    """BVH motion capture: SOURCE is a .bvh file, or a folder or zip of them."""
    from evolift.posedata.importers import bvh

    with progress_bar("files", None) as progress:
        summary = bvh.import_bvh(source, output, progress=progress, **options)
    write_settings(ctx, output)
    click.echo(
        f"{output}: {summary.poses} poses of {summary.files} files; joints named as {summary.names}{_told(options['names'])}; "
        f"{_frame_of(summary)}; {summary.left_out} frames left out where the capture jumps"
    )
    _tell_oddities(summary)


@click.command(
    "smpl-joints",
    cls=RecipeCommand,
    epilog="Example:  evolift data import smpl-joints amass_processed/ -o amass.h5 --fps 10",
)
@click.argument("source", type=ExistingPath)
@output_option("Pose store (.h5)")
@click.option("--key", default=None, help="Array of the joints in .npz files: joints, Jtr, ... if not given.")
@fps_option
@click.option(
    "--rate",
    type=click.FloatRange(0, min_open=True),
    default=None,
    help="Frames per second of files that do not tell it.",
)
@capture_frame_options
@click.option(
    "--subject", default=None, help="Label of all rows; the name of the file's folder if not given."
)
@implausible_option
@overwrite_option
@click.pass_context
def import_smpl_joints(ctx: click.RichContext, /, source: Path, output: Path, **options: Any) -> None:
    """Joints of SMPL bodies (AMASS after the body model, HumanML3D): SOURCE is a .npz or .npy file, or a folder or zip.

    SMPL has no top of the head: it is put on the line from neck to base of the skull. The nose is unlabelled but in smplx's
    whole output.
    """
    from evolift.posedata.importers import smpl_joints

    with progress_bar("files", None) as progress:
        summary = smpl_joints.import_smpl_joints(source, output, progress=progress, **options)
    write_settings(ctx, output)
    click.echo(
        f"{output}: {summary.poses} poses of {summary.files} files; {_frame_of(summary)}; "
        "the top of the head is extrapolated"
    )
    _tell_oddities(summary)


def _frame_of(summary: BvhSummary | SmplSummary) -> str:
    """What the files' unit and axes were taken for, and which of them were told from the poses."""
    detected = f" ({', '.join(summary.detected)} detected)" if summary.detected else ""
    side = "mirrored" if summary.mirrored else "not mirrored"
    return f"unit {summary.millimetres:g} mm, {summary.up} up, {side}{detected}"


def _told(names: str | None) -> str:
    return " (told from them)" if names is None else ""


def _tell_oddities(summary: BvhSummary | SmplSummary) -> None:
    for label, reason in summary.unread.items():
        click.echo(f"left out: {reason if label in reason else f'{label}: {reason}'}")
    for note in summary.notes:
        click.echo(note)
