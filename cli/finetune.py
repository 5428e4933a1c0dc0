"""`evolift finetune`: chain a detector and a lifter and train them end to end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from evolift.chain.settings import ChainTrainingSettings
from evolift.cli.lifter_options import drop_lifter_options, lifter_options, lifter_settings
from evolift.cli.options import (
    ExistingCheckpoint,
    ExistingFile,
    RecipeCommand,
    occluders_option,
    output_option,
    overwrite_option,
    resume_option,
)
from evolift.cli.settings_options import settings_options, taken_settings

if TYPE_CHECKING:
    from evolift.chain.model import ChainModel


@click.command(cls=RecipeCommand)
@click.argument("stores", nargs=-1, required=True, type=ExistingFile)
@click.option("--detector", type=ExistingCheckpoint, help="Detector checkpoint to start from.")
@click.option(
    "--lifter",
    type=ExistingCheckpoint,
    help="Lifter checkpoint to start from (row P: one trained on true 2D).",
)
@click.option("--chain", type=ExistingCheckpoint, help="Chain checkpoint to start from, instead of the two.")
@click.option(
    "--new-lifter",
    is_flag=True,
    help="Begin with an untrained lifter behind --detector; the options from --architecture to --joint-order say what it is like.",
)
@lifter_options
@click.option(
    "--flip-test/--no-flip-test",
    default=None,
    help="The chain's heatmaps are averaged with those of mirrored crops, but in training: about a point of PCK for twice the detector's time. [default: as --chain, else not]",
)
@click.option(
    "--validation",
    multiple=True,
    required=True,
    type=ExistingFile,
    help="Store of images with 3D to validate on; repeat for more.",
)
@settings_options(ChainTrainingSettings)
@occluders_option
@output_option("Run folder")
@overwrite_option
@resume_option
@click.pass_context
def finetune(ctx: click.Context, /, stores: tuple[Path, ...], output: Path, **options: Any) -> None:
    """Chain a detector and a lifter in one network and train them end to end.

    STORES have images; at least one of them has 3D joints, the others keep teaching the detector. The output folder
    gets best.safetensors and last.safetensors, chain checkpoints for `evolift predict` and
    `evolift chain evaluate`; `evolift chain split` takes the two stages out of one.

    Example:

    \b
      evolift finetune renders.h5 photos.h5 --validation renders_test.h5 \\
        --detector runs/detector/best.safetensors --lifter runs/lifter/best.safetensors -o runs/chain
      evolift finetune renders.h5 --validation renders_test.h5 --detector runs/detector/best.safetensors \\
        --new-lifter --target z --freeze all --lifter-learning-rate 1e-3 -o runs/from_scratch
    """
    from evolift.chain.training import finetune as run
    from evolift.training.process_rank import is_first_process

    training = taken_settings(ChainTrainingSettings, options)
    flip_test = options.pop("flip_test")
    chain = _start(ctx, options, training.seed)
    if flip_test is not None:
        chain.settings = chain.settings.replaced(flip_test=flip_test)
    history = run(stores, output, chain=chain, training=training, **options)
    if is_first_process():
        best = int(history["mpjpe"].to_numpy().argmin())
        error, step = (float(history[name].to_numpy()[best]) for name in ("mpjpe", "step"))
        click.echo(f"best validation MPJPE {error:.1f} mm at step {step:.0f}: {output / 'best.safetensors'}")


def _start(ctx: click.Context, options: dict[str, Any], seed: int) -> ChainModel:
    """The chain to begin with; takes its options."""
    import torch

    from evolift.chain.model import ChainModel
    from evolift.detector2d.model import DetectorModel
    from evolift.lifter.model import LifterModel
    from evolift.posedata.errors import InputError

    detector, lifter, chain = (options.pop(name) for name in ("detector", "lifter", "chain"))
    # A run whose record names neither lifter nor chain was begun with a new one.
    is_new = options.pop("new_lifter") or (options["resume"] and lifter is None and chain is None)
    if is_new and detector is not None and lifter is None and chain is None:
        start = DetectorModel.load(detector)
        torch.manual_seed(seed)  # of the initial weights
        return ChainModel(start, LifterModel(lifter_settings(options, start.settings.skeleton)))
    drop_lifter_options(ctx, options, "it is for --new-lifter: add that, or leave it out")
    if not is_new and chain is not None and detector is None and lifter is None:
        return ChainModel.load(chain)
    if not is_new and chain is None and detector is not None and lifter is not None:
        return ChainModel(DetectorModel.load(detector), LifterModel.load(lifter))
    raise InputError("give --detector and --lifter, --detector and --new-lifter, or --chain alone")
