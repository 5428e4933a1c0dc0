"""`evolift detector train | evaluate | augment-preview | cut-outs`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from evolift.cli.options import (
    ExistingFile,
    ExistingPath,
    Function,
    RecipeCommand,
    command_record,
    output_option,
    overwrite_option,
    run_folder,
    seed_option,
    taken,
    training_options,
    training_settings,
    workers_option,
)

if TYPE_CHECKING:
    import pandas as pd

    from evolift.detector2d.augmentation import AugmentationSettings
    from evolift.detector2d.occlusion import Occluder, OcclusionSettings


@click.group()
def detector() -> None:
    """Stage one: train and evaluate the image-to-2D heatmap network."""


_crop_options = (
    click.option(
        "--boxes",
        type=click.Choice(["joints", "store"]),
        default="joints",
        show_default=True,
        help="Crop around the bounds of the labelled joints, or around the boxes of the store.",
    ),
)

_layout_option = click.option(
    "--channels-last/--channels-first",
    default=True,
    show_default=True,
    help="Memory layout; last is up to six times faster on a CPU.",
)

_padding_option = click.option(
    "--padding",
    type=click.FloatRange(0, min_open=True),
    default=1.25,
    show_default=True,
    help="Crops show this many times the box.",
)

_augmentation_options = (
    click.option(
        "--augment/--no-augment",
        default=True,
        show_default=True,
        help="Random rotation, flip, scale, colour.",
    ),
    click.option("--rotation", type=click.FloatRange(0), default=30.0, show_default=True, help="Degrees."),
    click.option(
        "--rotation-clip",
        type=click.FloatRange(0),
        default=1.0,
        show_default=True,
        help="Angles are rotation x a normal number cut off here; 2 is Sun et al.'s.",
    ),
    click.option("--rotation-probability", type=click.FloatRange(0, 1), default=0.6, show_default=True),
    click.option("--flip-probability", type=click.FloatRange(0, 1), default=0.5, show_default=True),
    click.option("--scale", type=click.FloatRange(0, 1, max_open=True), default=0.25, show_default=True),
    click.option("--colour", type=click.FloatRange(0, 1, max_open=True), default=0.2, show_default=True),
    click.option(
        "--occlude",
        type=click.FloatRange(0, 1),
        default=0.0,
        show_default=True,
        help="Probability that things are pasted over the person.",
    ),
    click.option(
        "--occluders",
        "occluder_path",
        type=ExistingPath,
        help="What is pasted: a Pascal VOC folder, or a file of `evolift detector cut-outs`. Synthetic if left out.",
    ),
    click.option("--most-occluders", type=click.IntRange(1), default=8, show_default=True),
)


def _with(options: tuple[Callable[[Function], Function], ...]) -> Callable[[Function], Function]:
    def decorate(function: Function) -> Function:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


@detector.command(cls=RecipeCommand)
@click.argument("stores", nargs=-1, required=True, type=ExistingFile)
@output_option("Run folder")
@click.option(
    "--ratio",
    "ratios",
    type=click.FloatRange(0, min_open=True),
    multiple=True,
    help="Share of each store in a batch; one per store. Equal shares if left out.",
)
@click.option(
    "--validation",
    "validation",
    type=ExistingFile,
    multiple=True,
    required=True,
    help="Store to validate on; repeatable.",
)
@click.option("--backbone", default="resnet50", show_default=True, help="Any timm name, or alexnet.")
@click.option(
    "--pretrained",
    default="none",
    show_default=True,
    help="none, library (downloads), package (tf_efficientnet_lite0 from PyPI), or a weight file.",
)
@click.option("--skeleton", default="H36M17", show_default=True, help="Joints of the output.")
@click.option("--input-width", type=click.IntRange(32), default=256, show_default=True)
@click.option("--input-height", type=click.IntRange(32), default=256, show_default=True)
@click.option(
    "--depth-bins",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="1 finds joints in 2D; 64 or 72 in 3D.",
)
@click.option(
    "--head",
    type=click.Choice(["deconvolution", "light", "regression"]),
    default="deconvolution",
    show_default=True,
    help="Published deconvolutions, a light feature pyramid, or no heatmaps.",
)
@click.option(
    "--head-width",
    "head_widths",
    type=click.IntRange(1),
    multiple=True,
    default=(256, 256, 256),
    show_default=True,
    help="Channels of each deconvolution (repeat), or of the light head.",
)
@click.option("--feature-dropout", type=click.FloatRange(0, 1, max_open=True), default=0.0, show_default=True)
@click.option("--heatmap-dropout", type=click.FloatRange(0, 1, max_open=True), default=0.0, show_default=True)
@click.option(
    "--freeze",
    default="none",
    show_default=True,
    help="none, stem, a block's name, all-but-last-block, all-but-head.",
)
@click.option("--batch-size", type=click.IntRange(1), default=16, show_default=True)
@click.option("--learning-rate", type=click.FloatRange(0, min_open=True), default=1e-3, show_default=True)
@click.option(
    "--backbone-factor",
    type=click.FloatRange(0, min_open=True),
    default=1.0,
    show_default=True,
    help="The backbone learns at this part of the learning rate.",
)
@click.option("--weight-decay", type=click.FloatRange(0), default=0.0, show_default=True)
@click.option(
    "--schedule",
    type=click.Choice(["steps", "cosine", "constant"]),
    default="steps",
    show_default=True,
    help="Of the learning rate.",
)
@click.option(
    "--milestone",
    "milestones",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    multiple=True,
    help="Parts of the training after which the rate falls to a tenth; 55/65 and 60/65 if left out.",
)
@click.option("--warm-up", type=click.FloatRange(0, 1, max_open=True), default=0.0, show_default=True)
@click.option(
    "--bone-weight", type=click.FloatRange(0), default=0.0, show_default=True, help="Of the bone loss."
)
@click.option(
    "--spread-weight",
    type=click.FloatRange(0),
    default=0.0,
    show_default=True,
    help="Of the heatmap regulariser; helps on small data.",
)
@_with(_crop_options)
@_padding_option
@_with(_augmentation_options)
@_layout_option
@click.option(
    "--check-images/--trust-images",
    default=True,
    show_default=True,
    help="Read every picture first and leave out the unreadable ones.",
)
@training_options(steps=20_000, validate_every=500)
@click.pass_context
def train(
    ctx: click.RichContext,
    /,
    stores: tuple[Path, ...],
    output: Path,
    validation: tuple[Path, ...],
    **options: Any,
) -> None:
    """Train a detector on STORES with pictures, 2D and 3D mixed.

    Example: evolift detector train lspet.h5 rendered.h5 --ratio 3 --ratio 1 --validation lspet_val.h5 -o runs/detector
    """
    import torch

    from evolift.detector2d.model import DetectorModel, DetectorSettings
    from evolift.detector2d.training import DetectorTraining, train_detector
    from evolift.posedata.skeleton import skeleton_by_name
    from evolift.training.process_rank import is_first_process

    record = command_record(ctx)
    overwrite, resume = options.pop("overwrite"), options.pop("resume")
    settings = training_settings(options)
    ratios = options.pop("ratios") or (1.0,) * len(stores)
    pretrained, check_images = options.pop("pretrained"), options.pop("check_images")
    augmentation, occlusion, occluders = _chance(options)
    options["skeleton"] = skeleton_by_name(options["skeleton"])
    architecture = DetectorSettings(**taken(options, DetectorSettings))
    if not options["milestones"]:
        del options["milestones"]
    training = DetectorTraining(
        augmentation=augmentation, occlusion=occlusion, **taken(options, DetectorTraining)
    )
    torch.manual_seed(settings.seed)
    model = DetectorModel(architecture, pretrained)
    with run_folder(ctx, output, overwrite=overwrite, resume=resume):
        history = train_detector(
            model,
            stores,
            ratios,
            validation,
            output,
            training,
            settings,
            occluders=occluders,
            check_images=check_images,
            record=record,
            resume=resume,
        )
    if is_first_process():
        _tell(history, output)


def _tell(history: pd.DataFrame, output: Path) -> None:
    skipped = output / "skipped_images.csv"
    if skipped.exists():
        count = len(skipped.read_text(encoding="utf-8").splitlines()) - 1
        click.echo(f"{count} unreadable pictures were left out: see {skipped}", err=True)
    best = history.sort_values("pck", ascending=False, kind="stable").iloc[0]
    click.echo(
        f"{output / 'best.safetensors'}: PCK@0.2 {best['pck']:.3f} on the validation pictures at step {int(best['step'])}"
    )


def _chance(
    options: dict[str, Any],
) -> tuple[AugmentationSettings | None, OcclusionSettings | None, tuple[Occluder, ...] | None]:
    """Take augmentation, occlusion and occluders out of the options."""
    from evolift.detector2d.augmentation import AugmentationSettings
    from evolift.detector2d.occlusion import OcclusionSettings
    from evolift.detector2d.voc_objects import read_occluders
    from evolift.posedata.errors import InputError

    augment, occlude, most = (options.pop(name) for name in ("augment", "occlude", "most_occluders"))
    path = options.pop("occluder_path")
    if path is not None and not occlude:
        raise InputError("--occluders does nothing without --occlude: add --occlude 1")
    augmentation = AugmentationSettings(**taken(options, AugmentationSettings))
    occlusion = OcclusionSettings(probability=occlude, most=most) if occlude else None
    if path is not None and path.is_dir():
        click.echo(
            f"cutting objects out of {path}; `evolift detector cut-outs` keeps them in a file for --occluders",
            err=True,
        )
    occluders = None if path is None else read_occluders(path)
    return augmentation if augment else None, occlusion, occluders


@detector.command(name="cut-outs", cls=RecipeCommand)
@click.argument("voc", type=click.Path(exists=True, file_okay=False, path_type=Path))
@output_option("File of cut-outs (.npz)")
@click.option("--limit", type=click.IntRange(1), help="At most so many objects.")
@overwrite_option
def cut_outs(voc: Path, output: Path, limit: int | None, overwrite: bool) -> None:
    """Cut the objects out of a Pascal VOC folder that occlude people in training.

    Neither persons nor difficult or truncated objects, at least 500 pixels large.

    Example: evolift detector cut-outs VOCdevkit/VOC2012 -o occluders.npz
    """
    from evolift.cli.progress import progress_bar
    from evolift.detector2d.voc_objects import save_occluders, voc_occluders
    from evolift.posedata.output_file import check_output

    check_output(output, overwrite=overwrite)
    with progress_bar("cutting out", None) as advance:
        occluders = voc_occluders(voc, limit=limit, advance=advance)
    save_occluders(output, occluders, overwrite=overwrite)
    click.echo(f"{output}: {len(occluders)} objects")


@detector.command(cls=RecipeCommand)
@click.argument("checkpoint", type=ExistingFile)
@click.option("--data", type=ExistingFile, required=True, help="Store with pictures to evaluate on.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the scores as CSV here too.")
@click.option(
    "--errors",
    type=click.Path(path_type=Path),
    help="Write each person's errors as CSV here too, for `evolift lifter train --errors`.",
)
@click.option(
    "--sheet",
    type=click.Path(path_type=Path),
    help="Draw twenty people here (PNG), from the best found to the worst, beside their labels.",
)
@click.option("--hard", is_flag=True, help="Take the largest heatmap cell instead of the expectation.")
@click.option("--flip-test", is_flag=True, help="Average with what is found in the mirrored crop.")
@click.option("--batch-size", type=click.IntRange(1), default=32, show_default=True)
@click.option("--device", default="cpu", show_default=True, help="As torch names it: cpu, cuda, mps.")
@_layout_option
@click.option(
    "--precision",
    type=click.Choice(["32-true", "bf16-mixed"]),
    default="32-true",
    show_default=True,
    help="Arithmetic of the network.",
)
@_with(_crop_options)
@workers_option
@overwrite_option
def evaluate(
    checkpoint: Path,
    data: Path,
    output: Path | None,
    errors: Path | None,
    sheet: Path | None,
    flip_test: bool,
    device: str,
    overwrite: bool,
    **options: Any,
) -> None:
    """Score a detector CHECKPOINT on a store with pictures: PCK@0.2 of the torso, PCKh@0.5, AUC, pixels; per joint.

    PCKh takes the distance from the base of the skull to the top of the head for the head's size. A volumetric detector
    gets its error in depth too and, on a store with cameras, the MPJPE in mm, root-relative, back-projected with the true
    depth of the root as Sun et al. (2018) score (mpjpe), and with that of a mean adult (mpjpe_of_size).

    Example: evolift detector evaluate runs/detector/best.safetensors --data lspet_val.h5
    """
    from evolift.cli.progress import progress_bar
    from evolift.detector2d.detection_sheet import detection_sheet
    from evolift.detector2d.evaluation import evaluate_detector
    from evolift.detector2d.image_source import read_source
    from evolift.detector2d.model import load_detector
    from evolift.lifter.data.detection_errors import DetectionErrors, save_detection_errors
    from evolift.posedata.image_file import write_png
    from evolift.posedata.output_file import check_output, write_text
    from evolift.training.device import on_device

    for path in (output, errors, sheet):
        if path is not None:
            check_output(path, overwrite=overwrite)
    model = on_device(load_detector(checkpoint), device)
    with progress_bar("evaluating", None) as advance:
        table, found = evaluate_detector(model, data, flip=flip_test, advance=advance, **options)
    if output is not None:
        write_text(output, table.to_csv(index=False), overwrite=overwrite)
    if errors is not None:
        made = DetectionErrors.between(found.joints, found.truth, found.visibility, model.settings.skeleton)
        save_detection_errors(errors, made, overwrite=overwrite)
    if sheet is not None:
        skeleton = model.settings.skeleton
        source = read_source(data, skeleton, options["boxes"])
        write_png(sheet, detection_sheet(found, source, skeleton), overwrite=overwrite)
    click.echo(
        table.dropna(axis=1, how="all").to_string(index=False, float_format=lambda value: f"{value:.3f}")
    )


@detector.command(name="augment-preview", cls=RecipeCommand)
@click.argument("store", type=ExistingFile)
@output_option("PNG sheet")
@click.option(
    "--rows", type=click.IntRange(1, 50), default=6, show_default=True, help="Pictures from the store."
)
@click.option("--columns", type=click.IntRange(1, 20), default=5, show_default=True, help="Draws of each.")
@click.option("--size", type=click.IntRange(32), default=256, show_default=True, help="Of a crop, pixels.")
@click.option("--skeleton", default="H36M17", show_default=True)
@_with(_crop_options)
@_padding_option
@_with(_augmentation_options)
@seed_option
@overwrite_option
def augment_preview(store: Path, output: Path, **options: Any) -> None:
    """Draw augmented crops of STORE with their labels; the first of each row is not augmented.

    Right limbs vermilion, left blue; hidden joints are rings.

    Example: evolift detector augment-preview lspet.h5 -o sheet.png --occlude 1
    """
    from PIL import Image

    from evolift.detector2d.augment_preview import augmentation_sheet
    from evolift.detector2d.image_source import read_source
    from evolift.detector2d.occlusion import synthetic_occluders
    from evolift.detector2d.samples import CropSettings
    from evolift.posedata.output_file import check_output, whole_file
    from evolift.posedata.skeleton import skeleton_by_name

    overwrite = options.pop("overwrite")
    check_output(output, overwrite=overwrite)
    augmentation, occlusion, occluders = _chance(options)
    skeleton = skeleton_by_name(options["skeleton"])
    settings = CropSettings(
        (options["size"],) * 2,
        skeleton,
        padding=options["padding"],
        augmentation=augmentation,
        occlusion=occlusion,
        occluders=(occluders or synthetic_occluders()) if occlusion else (),
    )
    source = read_source(store, skeleton, options["boxes"])
    sheet = augmentation_sheet(source, settings, options["rows"], options["columns"], options["seed"])
    with whole_file(output, overwrite=overwrite) as partial:
        Image.fromarray(sheet).save(partial, format="png")
    click.echo(str(output))
