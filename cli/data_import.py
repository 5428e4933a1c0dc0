"""`evolift data import`: pose stores from data sets as they are downloaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import rich_click as click

from cli.options import ExistingPath, RecipeCommand, output_option, overwrite_option, write_settings
from cli.progress import progress_bar

fps_option = click.option(
    "--fps",
    type=click.FloatRange(0, min_open=True),
    default=None,
    help="Frames per second to keep; all if not given.",
)


@click.group("import")
def import_group() -> None:
    """Make a pose store from a data set as it is downloaded."""


@import_group.command(
    "cmu",
    cls=RecipeCommand,
    epilog="Example:  evolift data import cmu all_asfamc.zip -o train.h5 --fps 10 --subjects 01,03",
)
@click.argument("source", type=ExistingPath)
@output_option("Pose store (.h5)")
@fps_option
@click.option("--subjects", default=None, help="Only these, with commas: 01,03. All if not given.")
@click.option(
    "--workers",
    type=click.IntRange(1),
    default=2,
    show_default=True,
    help="Processes that read clips; never changes the result.",
)
@overwrite_option
@click.pass_context
def import_cmu(ctx: click.RichContext, /, source: Path, output: Path, **options: Any) -> None:
    """CMU motion capture (ASF/AMC): SOURCE is the zip, or a folder of NN/NN.asf and NN/NN_MM.amc."""
    from posedata.importers import cmu_asfamc

    subjects = options.pop("subjects")
    with progress_bar("clips", None) as advance:
        summary = cmu_asfamc.import_cmu(
            source,
            output,
            subjects=None if subjects is None else [name.strip() for name in subjects.split(",")],
            progress=advance,
            **options,
        )
    write_settings(ctx, output)
    click.echo(
        f"{output}: {summary.poses} poses of {summary.clips} clips, subjects {', '.join(summary.subjects)}; "
        f"{summary.left_out} frames left out where the capture jumps"
    )


@import_group.command(
    "lsp",
    cls=RecipeCommand,
    epilog="Example:  evolift data import lsp lspet_dataset.zip -o lspet_train.h5 --last 3600",
)
@click.argument("source", type=ExistingPath)
@output_option("Pose store (.h5)")
@click.option("--first", type=click.IntRange(1), default=1, show_default=True, help="First image number.")
@click.option("--last", type=click.IntRange(1), default=None, help="Last image number; all if not given.")
@overwrite_option
@click.pass_context
def import_lsp(ctx: click.RichContext, /, source: Path, output: Path, **options: Any) -> None:
    """Leeds Sports Pose photographs (LSP or LSPET): SOURCE is the zip, or its folder.

    Photographs of a zip are put into a folder beside the store; those of a folder stay where they are.
    """
    from posedata.importers import lsp

    with progress_bar("photographs", None) as advance:
        summary = lsp.import_lsp(source, output, progress=advance, **options)
    write_settings(ctx, output)
    click.echo(
        f"{output}: {summary.poses} photographs of {summary.variant}, in {summary.images}; "
        f"{summary.left_out} left out for want of labelled joints"
    )


@import_group.command(
    "bvh",
    cls=RecipeCommand,
    epilog="Example:  evolift data import bvh cmu_walks.zip -o walks.h5 --names cmu-cgspeed --fps 10",
)
@click.argument("source", type=ExistingPath)
@output_option("Pose store (.h5)")
@click.option(
    "--names",
    required=True,
    help="Joint names: cmu-cgspeed, mixamo, bandai-namco, or a JSON file {joint of H36M17: joint of the file}.",
)
@fps_option
@click.option(
    "--unit", default=None, help="Unit of length: m, cm, mm, inch, cmu, or millimetres; detected if clear."
)
@click.option(
    "--up", type=click.Choice(["x", "y", "z"]), default=None, help="Upward axis; detected if clear."
)
@click.option(
    "--mirrored/--not-mirrored",
    default=None,
    help="Left and right are swapped in the files; detected if clear.",
)
@click.option("--subject", default=None, help="Label of all rows; from names like 02_01.bvh for cmu-cgspeed.")
@overwrite_option
@click.pass_context
def import_bvh(ctx: click.RichContext, /, source: Path, output: Path, **options: Any) -> None:
    """BVH motion capture: SOURCE is a .bvh file, or a folder or zip of them."""
    from posedata.importers import bvh

    with progress_bar("files", None) as advance:
        summary = bvh.import_bvh(source, output, progress=advance, **options)
    write_settings(ctx, output)
    told = f" ({', '.join(summary.detected)} detected)" if summary.detected else ""
    click.echo(
        f"{output}: {summary.poses} poses of {summary.files} files; unit {summary.millimetres:g} mm, {summary.up} up, "
        f"{'mirrored' if summary.mirrored else 'not mirrored'}{told}; "
        f"{summary.left_out} frames left out where the capture jumps"
    )
