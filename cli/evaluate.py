"""`evolift evaluate`: how good the chain is, and which stage its error comes from."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from evolift.cli.options import AnyPath, ExistingFile, RecipeCommand, overwrite_option, workers_option


@click.command(cls=RecipeCommand)
@click.argument("joints", nargs=-1, type=ExistingFile)
@click.option("--data", required=True, type=ExistingFile, help="Store of pictures with 2D and 3D joints.")
@click.option("--detector", type=ExistingFile, help="Detector checkpoint, to be chained with --lifter.")
@click.option("--lifter", type=ExistingFile, help="Lifter checkpoint, to be chained with --detector.")
@click.option("-o", "--output", type=AnyPath, help="CSV file to write, beside what is printed.")
@overwrite_option
@workers_option
def evaluate(
    joints: tuple[Path, ...],
    data: Path,
    detector: Path | None,
    lifter: Path | None,
    output: Path | None,
    overwrite: bool,
    workers: int,
) -> None:
    """Score chains of detector and lifter on pictures with 3D joints.

    JOINTS are checkpoints of `evolift finetune`. With --detector and --lifter, the chain that was not fine-tuned
    is scored beside them. For each: the lifter on labelled 2D joints, the lifter on detected ones, the detector's PCK@0.2,
    and the share of the error that is the lifter's own. A lifter that gives depth alone is scored with the true x and y.

    Example:

    \b
      evolift evaluate runs/joint/best.safetensors --data renders_test.h5 \\
        --detector runs/detector/best.safetensors --lifter runs/lifter/best.safetensors -o scores.csv
    """
    import pandas as pd
    import torch

    from evolift.chain.evaluation import chain_table, predict_chain
    from evolift.chain.model import JointModel, load_joint
    from evolift.cli.progress import progress_bar
    from evolift.detector2d.model import load_detector
    from evolift.lifter.model import load_lifter
    from evolift.posedata.errors import InputError
    from evolift.posedata.output_file import check_output, write_text

    if output is not None:
        check_output(output, overwrite=overwrite)
    chains: dict[str, JointModel] = {}
    if (detector is None) != (lifter is None) or (detector is None and not joints):
        raise InputError("give joint checkpoints, --detector and --lifter, or both")
    if detector is not None and lifter is not None:
        chains["not fine-tuned"] = JointModel(load_detector(detector), load_lifter(lifter))
    for path in joints:
        chains[str(path)] = load_joint(path)
    for model in chains.values():
        # As in training: in this layout depthwise convolutions take half the time on a CPU.
        model.detector.to(memory_format=torch.channels_last)
    tables = []
    for name, model in chains.items():
        with progress_bar(name, None) as advance:
            predictions = predict_chain(model, data, workers=workers, advance=advance)
        table = chain_table(predictions, data, model)
        table.insert(0, "chain", name)
        tables.append(table)
    scores = pd.concat(tables, ignore_index=True)
    click.echo(
        scores.to_string(
            index=False, float_format=lambda value: f"{value:.3f}" if value <= 1 else f"{value:.1f}"
        )
    )
    if output is not None:
        write_text(output, scores.to_csv(index=False), overwrite=overwrite)
        click.echo(f"written: {output}")
