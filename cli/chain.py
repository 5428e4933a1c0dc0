"""`evolift chain evaluate | split`: how good a chain is stage by stage, and its stages apart."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from evolift.cli.options import (
    AnyPath,
    ExistingCheckpoint,
    ExistingFile,
    RecipeCommand,
    num_workers_option,
    output_option,
    overwrite_option,
    run_folder,
)
from evolift.cli.settings_options import settings_options
from evolift.prediction.settings import ModelSettings


@click.group()
def chain() -> None:
    """The chain of detector and lifter: score it stage by stage, or take it apart."""


@chain.command(cls=RecipeCommand)
@click.argument("checkpoints", nargs=-1, type=ExistingCheckpoint)
@click.option("--data", required=True, type=ExistingFile, help="Store of images with 2D and 3D joints.")
@click.option("--detector", type=ExistingCheckpoint, help="Detector checkpoint, to be chained with --lifter.")
@click.option("--lifter", type=ExistingCheckpoint, help="Lifter checkpoint, to be chained with --detector.")
@click.option("-o", "--output", type=AnyPath, help="CSV file to write, beside what is printed.")
@settings_options(ModelSettings, only=("device",))
@overwrite_option
@num_workers_option
def evaluate(
    checkpoints: tuple[Path, ...],
    data: Path,
    detector: Path | None,
    lifter: Path | None,
    output: Path | None,
    device: str,
    overwrite: bool,
    num_workers: int,
) -> None:
    """Score chains of detector and lifter on images with 3D joints.

    CHECKPOINTS are chains of `evolift finetune`. With --detector and --lifter, the chain that was not fine-tuned
    is scored beside them. For each: the lifter on labelled 2D joints, the lifter on detected ones, the detector's PCK@0.2,
    and the share of the error that is the lifter's own. A lifter that gives depth alone is scored with the true x and y.

    Example:

    \b
      evolift chain evaluate runs/chain/best.safetensors --data renders_test.h5 \\
        --detector runs/detector/best.safetensors --lifter runs/lifter/best.safetensors -o scores.csv
    """
    import pandas as pd

    from evolift.chain.evaluation import evaluate_chain
    from evolift.chain.model import ChainModel
    from evolift.cli.progress import progress_bar
    from evolift.detector2d.model import DetectorModel
    from evolift.lifter.model import LifterModel
    from evolift.posedata.errors import InputError
    from evolift.posedata.output_file import check_output, write_text
    from evolift.training.device import on_device

    if output is not None:
        check_output(output, overwrite=overwrite)
    chains: dict[str, ChainModel] = {}
    if (detector is None) != (lifter is None) or (detector is None and not checkpoints):
        raise InputError("give checkpoints of chains, --detector and --lifter, or both")
    if detector is not None and lifter is not None:
        chains["not fine-tuned"] = ChainModel(DetectorModel.load(detector), LifterModel.load(lifter))
    for path in checkpoints:
        chains[str(path)] = ChainModel.load(path)
    tables = []
    for name, model in chains.items():
        with progress_bar(name, None) as progress:
            table = evaluate_chain(on_device(model, device), data, num_workers=num_workers, progress=progress)
        table.insert(0, "chain", name)
        tables.append(table)
    scores = pd.concat(tables, ignore_index=True)
    of = scores.iloc[0]
    click.echo(
        f"Scored: {of['joints_scored']} joints, the root {of['root']}; mean over {of['mean_over']}, in mm."
    )
    click.echo(
        scores.drop(columns=["joints_scored", "root", "mean_over"]).to_string(
            index=False, float_format=lambda value: f"{value:.3f}" if value <= 1 else f"{value:.1f}"
        )
    )
    if output is not None:
        write_text(output, scores.to_csv(index=False), overwrite=overwrite)
        click.echo(f"written: {output}")


@chain.command(cls=RecipeCommand)
@click.argument("checkpoint", type=ExistingCheckpoint)
@output_option("Folder for detector.safetensors and lifter.safetensors")
@overwrite_option
@click.pass_context
def split(ctx: click.RichContext, /, checkpoint: Path, output: Path, overwrite: bool) -> None:
    """Take detector and lifter out of CHECKPOINT, a chain of `evolift finetune`, as checkpoints of their own.

    They are what the chain holds, bit for bit: evaluate them, chain them with others, or train them further.

    Example: evolift chain split runs/chain/best.safetensors -o runs/stages
    """
    from evolift.chain.model import ChainModel
    from evolift.training.checkpoint import load_checkpoint

    whole = load_checkpoint(checkpoint, ChainModel.stage)
    model = ChainModel.from_checkpoint(whole, checkpoint)
    with run_folder(ctx, output, overwrite=overwrite):
        for part in model.parts():
            path = output / f"{part.stage}.safetensors"
            part.save(path, whole.record)
            click.echo(str(path))
