"""`evolift split`: the two stages of a joint checkpoint as checkpoints of their own."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from evolift.cli.options import ExistingFile, RecipeCommand, output_option, overwrite_option, run_folder


@click.command(cls=RecipeCommand)
@click.argument("joint", type=ExistingFile)
@output_option("Folder for detector.safetensors and lifter.safetensors")
@overwrite_option
@click.pass_context
def split(ctx: click.RichContext, /, joint: Path, output: Path, overwrite: bool) -> None:
    """Take detector and lifter out of JOINT, a checkpoint of `evolift finetune`, as checkpoints of their own.

    They are what the chain holds, bit for bit: evaluate them, chain them with others, or train them further.

    Example: evolift split runs/joint/best.safetensors -o runs/stages
    """
    from evolift.chain.model import load_joint, split_joint
    from evolift.training.checkpoint import load_checkpoint, save_checkpoint

    load_joint(joint)  # refuses what is no sound chain before anything is written
    parts = split_joint(load_checkpoint(joint, "joint"), joint)
    with run_folder(ctx, output, overwrite=overwrite):
        for part in parts:
            path = output / f"{part.stage}.safetensors"
            save_checkpoint(path, part)
            click.echo(str(path))
