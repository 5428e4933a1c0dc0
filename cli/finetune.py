"""`evolift finetune`: chain a detector and a lifter and train them end to end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from evolift.cli.lifter_options import drop_lifter_options, lifter_options, lifter_settings
from evolift.cli.options import (
    ExistingFile,
    ExistingPath,
    RecipeCommand,
    command_record,
    output_option,
    run_folder,
    training_options,
    training_settings,
)

if TYPE_CHECKING:
    from evolift.chain.model import JointModel


@click.command(cls=RecipeCommand)
@click.argument("stores", nargs=-1, required=True, type=ExistingFile)
@click.option("--detector", type=ExistingFile, help="Detector checkpoint to start from.")
@click.option(
    "--lifter", type=ExistingFile, help="Lifter checkpoint to start from (row P: one trained on true 2D)."
)
@click.option("--joint", type=ExistingFile, help="Joint checkpoint to start from, instead of the two.")
@click.option(
    "--new-lifter",
    is_flag=True,
    help="Begin with an untrained lifter behind --detector; the options from --architecture to --joint-order say what it is like.",
)
@lifter_options
@click.option(
    "--validation",
    multiple=True,
    required=True,
    type=ExistingFile,
    help="Store of pictures with 3D to validate on; repeat for more.",
)
@click.option(
    "--ratio",
    multiple=True,
    type=click.FloatRange(0, min_open=True),
    help="Share of each store in a batch, in their order.  [default: equal]",
)
@click.option(
    "--batch-size", type=click.IntRange(1), default=16, show_default=True, help="Crops per step and process."
)
@click.option(
    "--freeze",
    default="none",
    show_default=True,
    help="Fixed part of the detector: none, stem, a block's name, all-but-last-block (row U), all-but-head, all.",
)
@click.option(
    "--learning-rate",
    type=click.FloatRange(0, min_open=True),
    default=1e-4,
    show_default=True,
    help="Of the detector's head.",
)
@click.option(
    "--backbone-factor",
    type=click.FloatRange(0, min_open=True),
    default=1.0,
    show_default=True,
    help="Backbone's learning rate over the head's.",
)
@click.option(
    "--lifter-learning-rate",
    type=click.FloatRange(0),
    default=1e-4,
    show_default=True,
    help="Of the lifter, 0 to freeze it.",
)
@click.option(
    "--schedule",
    type=click.Choice(["steps", "cosine", "constant"]),
    default="cosine",
    show_default=True,
    help="Of all learning rates.",
)
@click.option(
    "--warm-up",
    type=click.FloatRange(0, 0.9),
    default=0.05,
    show_default=True,
    help="Part of the steps in which rates rise from 0.",
)
@click.option("--weight-3d", type=click.FloatRange(0), default=1.0, show_default=True, help="Of the 3D loss.")
@click.option(
    "--weight-2d",
    type=click.FloatRange(0),
    default=1.0,
    show_default=True,
    help="Of the detector's own loss.",
)
@click.option(
    "--weight-bones-3d", type=click.FloatRange(0), default=0.0, show_default=True, help="Of the 3D bone loss."
)
@click.option(
    "--bone-weight",
    type=click.FloatRange(0),
    default=0.0,
    show_default=True,
    help="Of the 2D bone loss (row B).",
)
@click.option(
    "--augment/--no-augment",
    default=True,
    show_default=True,
    help="Turn, scale, mirror and colour the crops.",
)
@click.option(
    "--occlude",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="Probability that things are pasted onto a crop (row O).",
)
@click.option(
    "--occluders",
    type=ExistingPath,
    help="What is pasted: a Pascal VOC folder, or a file of `evolift detector cut-outs`. Synthetic if left out.",
)
@output_option("Run folder")
@training_options(steps=2000, validate_every=200, gradient_clip=1.0)
@click.pass_context
def finetune(ctx: click.Context, /, stores: tuple[Path, ...], output: Path, **options: Any) -> None:
    """Chain a detector and a lifter in one network and train them end to end.

    STORES have pictures; at least one of them has 3D joints, the others keep teaching the detector. The output folder
    gets best.safetensors and last.safetensors, joint checkpoints for `evolift predict` and `evolift evaluate`;
    `evolift split` takes the two stages out of one.

    Example:

    \b
      evolift finetune renders.h5 photos.h5 --validation renders_test.h5 \\
        --detector runs/detector/best.safetensors --lifter runs/lifter/best.safetensors -o runs/joint
      evolift finetune renders.h5 --validation renders_test.h5 --detector runs/detector/best.safetensors \\
        --new-lifter --target z --freeze all --lifter-learning-rate 1e-3 -o runs/from_scratch
    """
    from evolift.chain.training import JointTraining
    from evolift.chain.training import finetune as run
    from evolift.detector2d.augmentation import AugmentationSettings
    from evolift.detector2d.occlusion import OcclusionSettings
    from evolift.detector2d.training import DetectorTraining
    from evolift.detector2d.voc_objects import read_occluders
    from evolift.posedata.errors import InputError
    from evolift.training.process_rank import is_first_process

    record = command_record(ctx)
    settings = training_settings(options)
    model = _start(ctx, options, settings.seed)
    occlude, occluder_path = options.pop("occlude"), options.pop("occluders")
    if occluder_path is not None and not occlude:
        raise InputError("--occluders does nothing without --occlude: add --occlude 1")
    occluders = None if occluder_path is None else read_occluders(occluder_path)
    crops = DetectorTraining(
        augmentation=AugmentationSettings() if options.pop("augment") else None,
        occlusion=OcclusionSettings(occlude) if occlude else None,
        **{
            name: options.pop(name)
            for name in (
                "batch_size",
                "freeze",
                "learning_rate",
                "backbone_factor",
                "schedule",
                "warm_up",
                "bone_weight",
            )
        },
    )
    ratios = options.pop("ratio") or (1.0,) * len(stores)
    validation = options.pop("validation")
    overwrite, resume = options.pop("overwrite"), options.pop("resume")
    training = JointTraining(crops, **options)
    with run_folder(ctx, output, overwrite=overwrite, resume=resume):
        history = run(
            model,
            stores,
            ratios,
            validation,
            output,
            training,
            settings,
            occluders=occluders,
            record=record,
            resume=resume,
        )
    if is_first_process():
        best = int(history["mpjpe"].to_numpy().argmin())
        error, step = (float(history[name].to_numpy()[best]) for name in ("mpjpe", "step"))
        click.echo(f"best validation MPJPE {error:.1f} mm at step {step:.0f}: {output / 'best.safetensors'}")


def _start(ctx: click.Context, options: dict[str, Any], seed: int) -> JointModel:
    """The chain to begin with; takes its options."""
    import torch

    from evolift.chain.model import JointModel, load_joint
    from evolift.detector2d.model import load_detector
    from evolift.lifter.model import LifterModel, load_lifter
    from evolift.posedata.errors import InputError

    detector, lifter, joint = (options.pop(name) for name in ("detector", "lifter", "joint"))
    is_new = options.pop("new_lifter")
    if is_new and detector is not None and lifter is None and joint is None:
        start = load_detector(detector)
        torch.manual_seed(seed)  # of the initial weights
        return JointModel(start, LifterModel(lifter_settings(options, start.settings.skeleton)))
    drop_lifter_options(ctx, options, "it is for --new-lifter: add that, or leave it out")
    if not is_new and joint is not None and detector is None and lifter is None:
        return load_joint(joint)
    if not is_new and joint is None and detector is not None and lifter is not None:
        return JointModel(load_detector(detector), load_lifter(lifter))
    raise InputError("give --detector and --lifter, --detector and --new-lifter, or --joint alone")
