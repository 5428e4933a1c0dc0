"""`evolift data import lsp|coco|mpii`: pose stores from photographs with joints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import rich_click as click

from evolift.cli.import_options import implausible_option
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

images_option = click.option(
    "--images", type=ExistingFolder, required=True, help="Folder of the images; they stay where they are."
)
min_joints_option = click.option(
    "--min-joints",
    type=click.IntRange(1),
    default=6,
    show_default=True,
    help="Labelled joints that a person needs to be taken.",
)


@click.command(
    "lsp",
    cls=RecipeCommand,
    epilog="Example:  evolift data import lsp lspet_dataset.zip -o lspet_train.h5 --last 3600",
)
@click.argument("source", type=ExistingPath)
@output_option("Pose store (.h5)")
@click.option("--first", type=click.IntRange(1), default=1, show_default=True, help="First image number.")
@click.option("--last", type=click.IntRange(1), default=None, help="Last image number; all if not given.")
@implausible_option
@overwrite_option
@click.pass_context
def import_lsp(ctx: click.RichContext, /, source: Path, output: Path, **options: Any) -> None:
    """Leeds Sports Pose photographs (LSP or LSPET): SOURCE is the zip, or its folder.

    Photographs of a zip are put into a folder beside the store; those of a folder stay where they are.
    """
    from evolift.posedata.importers import lsp

    with progress_bar("photographs", None) as progress:
        summary = lsp.import_lsp(source, output, progress=progress, **options)
    write_settings(ctx, output)
    click.echo(
        f"{output}: {summary.poses} photographs of {summary.variant}, in {summary.images}; "
        f"{summary.left_out} left out for want of labelled joints"
    )


@click.command(
    "coco",
    cls=RecipeCommand,
    epilog="Example:  evolift data import coco annotations/person_keypoints_train2017.json --images train2017 -o coco.h5",
)
@click.argument("source", type=ExistingFile)
@images_option
@output_option("Pose store (.h5)")
@click.option(
    "--skeleton",
    type=click.Choice(["H36M17", "H36M16", "COCO17", "COCO18_PELVIS"]),
    default="H36M17",
    show_default=True,
    help="Of the store's joints.",
)
@click.option(
    "--mapping",
    type=ExistingFile,
    default=None,
    help="What the file's joints are called, if their names are not known: JSON "
    '{"skeleton": NAME, "joints": {YOURS: JOINT}}.',
)
@min_joints_option
@implausible_option
@overwrite_option
@click.pass_context
def import_coco(
    ctx: click.RichContext,
    /,
    source: Path,
    images: Path,
    output: Path,
    skeleton: str,
    mapping: Path | None,
    **options: Any,
) -> None:
    """Person keypoints in COCO's layout: SOURCE is person_keypoints_*.json, or the like of another data set.

    The file's own names of joints are read: COCO's, those of CrowdPose, AI Challenger, Halpe, PoseTrack, Human3.6M and
    MPII, or yours.
    """
    from evolift.posedata.importers import coco
    from evolift.posedata.keypoint_formats.name_mapping import read_name_mapping
    from evolift.posedata.skeleton import skeleton_by_name

    with progress_bar("images", None) as progress:
        summary = coco.import_coco(
            source,
            images,
            output,
            skeleton=skeleton_by_name(skeleton),
            mapping=None if mapping is None else read_name_mapping(mapping),
            progress=progress,
            **options,
        )
    write_settings(ctx, output)
    click.echo(
        f"{output}: {summary.people} people in {summary.images} images; {summary.crowds} crowds and "
        f"{summary.bare} people with too few labelled joints or no box left out"
    )
    click.echo(summary.joints)


@click.command(
    "mpii",
    cls=RecipeCommand,
    epilog="Example:  evolift data import mpii mpii_human_pose_v1_u12_1.mat --images images -o mpii.h5",
)
@click.argument("source", type=ExistingFile)
@images_option
@output_option("Pose store (.h5)")
@click.option(
    "--skeleton",
    type=click.Choice(["H36M17", "H36M16", "MPII16"]),
    default="H36M17",
    show_default=True,
    help="Of the store's joints.",
)
@min_joints_option
@implausible_option
@overwrite_option
@click.pass_context
def import_mpii(
    ctx: click.RichContext, /, source: Path, images: Path, output: Path, skeleton: str, **options: Any
) -> None:
    """MPII Human Pose: SOURCE is its .mat file, or train.json or valid.json of human-pose-estimation.pytorch."""
    from evolift.posedata.importers import mpii
    from evolift.posedata.skeleton import skeleton_by_name

    with progress_bar("images", None) as progress:
        summary = mpii.import_mpii(
            source, images, output, skeleton=skeleton_by_name(skeleton), progress=progress, **options
        )
    write_settings(ctx, output)
    test_set = f", and {summary.unlabelled} images of the test set" if summary.unlabelled else ""
    click.echo(
        f"{output}: {summary.people} people in {summary.images} images; {summary.bare} people with too few "
        f"labelled joints or no scale left out{test_set}"
    )
