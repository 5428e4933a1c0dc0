"""The trained stages that `evolift predict` and `evolift app` were given, or those that come with the package."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from evolift.cli.options import ExistingFile, Function

if TYPE_CHECKING:
    from evolift.lifter.model import Lifter
    from evolift.lifter.refiner import RefinerModel
    from evolift.prediction.pipeline import Pipeline

_OPTIONS: list[Callable[[Any], Any]] = [
    click.option("--joint", type=ExistingFile, help="Joint checkpoint of `evolift finetune`."),
    click.option("--detector", type=ExistingFile, help="Detector checkpoint, to be chained with --lifter."),
    click.option(
        "--lifter",
        type=ExistingFile,
        help="Lifter checkpoint; enough by itself for files of keypoints.",
    ),
    click.option(
        "--refiner",
        type=ExistingFile,
        help="Refiner checkpoint of `evolift lifter train-refiner`, to mend the poses of the lifter.",
    ),
    click.option("--device", default="cpu", show_default=True, help="cpu, cuda, mps, ..."),
]
CHECKPOINTS = ("joint", "detector", "lifter", "refiner")


def model_options(function: Function) -> Function:
    """`--joint`, `--detector`, `--lifter`, `--refiner` and `--device`."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def checkpoint_files(options: Mapping[str, Any]) -> list[Path]:
    """The checkpoints that were given, for the record."""
    return [options[name] for name in CHECKPOINTS if options[name] is not None]


def picture_pipeline(options: Mapping[str, Any]) -> Pipeline:
    """The chain for pictures.

    Raises:
        InputError: checkpoints are missing or do not fit each other.
        CheckpointError: one is damaged or of another stage.
    """
    from evolift.prediction.pipeline import Pipeline

    refiner = _refiner(options)
    stages = {name: options[name] for name in ("joint", "detector", "lifter")}
    if any(stages.values()):
        return Pipeline.from_checkpoints(**stages, device=options["device"], refiner=refiner)
    from evolift.artifacts.shipped_weights import PHOTO_POSE

    _say_shipped(PHOTO_POSE)
    return Pipeline.from_pretrained(PHOTO_POSE, device=options["device"], refiner=refiner)


def keypoint_lifter(options: Mapping[str, Any]) -> Lifter:
    """The lifter for keypoints.

    Raises:
        InputError: checkpoints are missing, too many, or do not fit each other.
        CheckpointError: one is damaged or of another stage.
    """
    from evolift.artifacts.shipped_weights import KEYPOINT_LIFTER, shipped_weights
    from evolift.lifter.model import load_lifter
    from evolift.posedata.errors import InputError
    from evolift.training.device import on_device

    joint, detector, path = (options[name] for name in ("joint", "detector", "lifter"))
    if joint is None and detector is None and path is None:
        _say_shipped(KEYPOINT_LIFTER)
        path = shipped_weights(KEYPOINT_LIFTER)
    if detector is not None or (joint is None) == (path is None):
        raise InputError("to lift keypoints give --lifter or --joint, one of the two, and no --detector")
    lifter: Lifter
    if path is not None:
        lifter = load_lifter(path)
    else:
        from evolift.chain.model import load_joint

        lifter = load_joint(joint).lifter
    if refiner := _refiner(options):
        from evolift.lifter.refiner import Refined

        lifter = Refined(lifter, refiner)
    return on_device(lifter, options["device"])


def _refiner(options: Mapping[str, Any]) -> RefinerModel | None:
    from evolift.lifter.refiner import load_refiner

    return None if options["refiner"] is None else load_refiner(options["refiner"])


def _say_shipped(name: str) -> None:
    click.echo(f"weights: {name}, which come with evolift", err=True)
