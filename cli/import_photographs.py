"""`evolift data import lsp`: pose stores from photographs with joints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import rich_click as click

from cli.options import ExistingPath, RecipeCommand, output_option, overwrite_option, write_settings
from cli.progress import progress_bar


@click.command(
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
