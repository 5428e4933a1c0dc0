"""`evolift lifter train | train-refiner | evaluate | evaluate-clips | calibrate | convert`."""

from __future__ import annotations

import contextlib
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click
from click.core import ParameterSource

from evolift.cli.lifter_options import LIFTER_TYPES, use_option
from evolift.cli.options import (
    AnyPath,
    ExistingCheckpoint,
    ExistingFile,
    RecipeCommand,
    command_record,
    output_option,
    overwrite_option,
    resume_option,
    run_folder,
    seed_option,
)
from evolift.cli.settings_options import settings_options, taken_settings
from evolift.cli.start_options import settings_of_start, start_from_option
from evolift.cli.temporal_options import (
    clip_options,
    frames_option,
    take_temporal_options,
    temporal_options,
    temporal_training_options,
)
from evolift.lifter.settings import (
    EVALUATION_PAIRS,
    LifterSettings,
    LifterTrainingSettings,
    PairSettings,
    ProtocolSettings,
    RefinerSettings,
    RefinerTrainingSettings,
    Split,
)

if TYPE_CHECKING:
    import pandas as pd


@click.group()
def lifter() -> None:
    """Stage two: train and evaluate the 2D-to-3D graph network."""


PAIR_TYPES: dict[str, click.ParamType[Any]] = {"errors": click.Path(exists=True, dir_okay=False)}

FIXED_IN_EVALUATION = {name: EVALUATION_PAIRS.flat()[name] for name in ("batch_size", "rotate_ring", "flip")}
"""Settings of pairs that are no options of an evaluation."""

_validation_option = click.option(
    "--validation",
    multiple=True,
    type=ExistingFile,
    help="Validate on all poses of this store, instead of on a part of STORES; repeat for more.",
)


@lifter.command(cls=RecipeCommand)
@click.argument("stores", nargs=-1, required=True, type=ExistingFile)
@output_option("Run folder")
@use_option
@settings_options(LifterSettings, special=LIFTER_TYPES)
@frames_option
@temporal_options
@start_from_option
@_validation_option
@settings_options(LifterTrainingSettings, special=PAIR_TYPES)
@temporal_training_options
@overwrite_option
@resume_option
@click.pass_context
def train(ctx: click.RichContext, /, stores: tuple[Path, ...], output: Path, **options: Any) -> None:
    """Train a lifter on pairs made on the fly from STORES of 3D poses.

    With --frames it sees so many frames of a clip together. STORES are then of clips, whose frame numbers tell what follows what;
    evolved poses are left out.

    \b
    Example:
      evolift lifter train cmu.h5 evolved.h5 -o runs/lifter --validation-share 0.1 --steps 20000
      evolift lifter train cmu.h5 evolved.h5 -o runs/photos --for photos
      evolift lifter train cmu_30fps.h5 -o runs/temporal --for photos --frames 27
    """
    from evolift.lifter.model import LifterModel
    from evolift.lifter.training import train_lifter
    from evolift.training.process_rank import is_first_process

    start = options["start_from"]
    settings: LifterSettings
    if take_temporal_options(ctx, options):
        from evolift.lifter.temporal.model import TemporalLifter
        from evolift.lifter.temporal.settings import TemporalSettings, TemporalTrainingSettings
        from evolift.lifter.temporal.training import train_temporal_lifter

        settings = temporal = (
            taken_settings(TemporalSettings, options)
            if start is None
            else settings_of_start(ctx, options, TemporalLifter.load(start).settings, start)
        )
        training = taken_settings(TemporalTrainingSettings, options)
        history = train_temporal_lifter(stores, output, lifter=temporal, training=training, **options)
    else:
        settings = (
            taken_settings(LifterSettings, options)
            if start is None
            else settings_of_start(ctx, options, LifterModel.load(start).settings, start)
        )
        history = train_lifter(
            stores,
            output,
            lifter=settings,
            training=taken_settings(LifterTrainingSettings, options),
            **options,
        )
    if is_first_process():
        best = _best(history)
        click.echo(
            f"{output / 'best.safetensors'}: {best['mpjpe']:.1f} mm on the validation poses at step {int(best['step'])}"
        )
        if settings.normalisation == "screen":
            click.echo(
                "It is for cameras placed as in training; for photographs of unknown cameras train with --for photos.",
                err=True,
            )


@lifter.command("train-refiner", cls=RecipeCommand)
@click.argument("stores", nargs=-1, required=True, type=ExistingFile)
@output_option("Run folder")
@settings_options(RefinerSettings)
@start_from_option
@_validation_option
@settings_options(RefinerTrainingSettings)
@overwrite_option
@resume_option
@click.pass_context
def train_refiner(ctx: click.RichContext, /, stores: tuple[Path, ...], output: Path, **options: Any) -> None:
    """Train a denoising autoencoder that mends 3D poses, on STORES of clean ones seen by cameras.

    Try it on a lifter by `evolift lifter evaluate --refiner`.

    Example: evolift lifter train-refiner cmu.h5 -o runs/refiner --noise 20 --depth-noise 40
    """
    from evolift.lifter.refiner import RefinerModel
    from evolift.lifter.refiner_training import train_refiner
    from evolift.training.process_rank import is_first_process

    start = options["start_from"]
    history = train_refiner(
        stores,
        output,
        refiner=taken_settings(RefinerSettings, options)
        if start is None
        else settings_of_start(ctx, options, RefinerModel.load(start).settings, start),
        training=taken_settings(RefinerTrainingSettings, options),
        **options,
    )
    if is_first_process():
        best = _best(history)
        click.echo(
            f"{output / 'best.safetensors'}: {best['mpjpe_given']:.1f} mm mended to {best['mpjpe']:.1f} mm on the validation poses at step {int(best['step'])}"
        )


def _best(history: pd.DataFrame) -> pd.Series[Any]:
    """The row of `best.safetensors`."""
    return history.sort_values("mpjpe", kind="stable").iloc[0]


@lifter.command(cls=RecipeCommand)
@click.argument("checkpoints", nargs=-1, required=True, type=ExistingCheckpoint)
@click.option("--data", type=ExistingFile, required=True, help="Pose store to evaluate on.")
@click.option(
    "-o",
    "--output",
    type=AnyPath,
    help="Folder for scores.csv, scores.md and cases_*.png, beside what is printed.",
)
@settings_options(ProtocolSettings)
@settings_options(PairSettings, leave_out=FIXED_IN_EVALUATION, special=PAIR_TYPES)
@settings_options(Split, only=("subjects", "actions"))
@click.option("--poses", type=click.IntRange(1), help="Evaluate at most so many poses, evenly spread.")
@click.option("--flip-test", is_flag=True, help="Average with the prediction of the mirrored input.")
@click.option(
    "--rays",
    is_flag=True,
    help="Keep depths, and put the joints on the rays of their 2D joints by the test's cameras: better where those are nearly true.",
)
@click.option(
    "--refiner",
    type=ExistingCheckpoint,
    help="Score each lifter with this refiner on top too; of `evolift lifter train-refiner`.",
)
@seed_option
@overwrite_option
@click.pass_context
def evaluate(
    ctx: click.RichContext, /, checkpoints: tuple[Path, ...], data: Path, output: Path | None, **options: Any
) -> None:
    """Score lifter CHECKPOINTS side by side on a store of 3D poses seen by fixed cameras.

    Errors are root-relative, in mm. A lifter of target z gets x and y from the truth and is scored on z alone. What the
    numbers are of (joints, frames, cameras, 2D joints, normalisation) is printed above them and stored in scores.csv. With
    --protocol h36m they compare with published ones; --cameras is then store.

    Example: evolift lifter evaluate runs/lifter/best.safetensors --data test.h5 -o runs/scores
    """
    from evolift.lifter.case_figure import case_figure
    from evolift.lifter.evaluation import (
        EVERY_POSE,
        evaluate_lifters,
        markdown_report,
        open_test_set,
        predict,
    )
    from evolift.lifter.lifter import Lifter
    from evolift.lifter.model import LifterModel
    from evolift.lifter.protocol import protocol_lines
    from evolift.lifter.refiner import Refined, RefinerModel
    from evolift.posedata.errors import InputError
    from evolift.posedata.image_file import write_image
    from evolift.posedata.output_file import write_text

    models: dict[str, Lifter] = {_name(path, checkpoints): LifterModel.load(path) for path in checkpoints}
    refiner = options.pop("refiner")
    if refiner is not None:
        on_top = RefinerModel.load(refiner)
        models |= {f"{name} + refiner": Refined(model, on_top) for name, model in models.items()}
    skeletons = {model.skeleton for model in models.values()}
    if len(skeletons) > 1:
        raise InputError("the checkpoints are of different skeletons: evaluate them one by one")
    how = {name: options.pop(name) for name in ("flip_test", "rays")}
    skeleton = skeletons.pop()
    _take_cameras_of_protocol(ctx, options)
    tests = open_test_set(
        data,
        skeleton,
        taken_settings(PairSettings, options | FIXED_IN_EVALUATION),
        seed=options["seed"],
        subjects=options["subjects"],
        actions=options["actions"],
        poses=options["poses"] or EVERY_POSE,
        protocol=taken_settings(ProtocolSettings, options),
    )
    folder: contextlib.AbstractContextManager[None] = (
        contextlib.nullcontext()
        if output is None
        else run_folder(ctx, output, overwrite=options["overwrite"])
    )
    with folder:
        scores = evaluate_lifters(models, tests, **how)
        if output is not None:
            write_text(output / "scores.csv", scores.to_csv(index=False))
            write_text(output / "scores.md", markdown_report(scores))
            for name, model in models.items():
                figure = case_figure(predict(model, tests, **how), tests)
                file_name = "cases_" + "".join(c if c.isalnum() else "_" for c in name) + ".png"
                write_image(output / file_name, figure, overwrite=True)
    click.echo("\n".join(protocol_lines(scores)))
    for _, row in scores[scores["group"] == "all"].iterrows():
        click.echo(
            f"{row['checkpoint']}, {row['name']}: MPJPE {row['mpjpe']:.1f} mm, P-MPJPE {row['p_mpjpe']:.1f} mm, PCK@150 {row['pck_150']:.3f}"
        )
    for _, row in scores[scores["name"] == "overall"].iterrows():
        if row.get("calibration_error", math.nan) >= 0:
            click.echo(
                f"{row['checkpoint']}, sigma: joints are off by {row['error_over_expected']:.2f} of what it says, expected calibration error {row['calibration_error']:.1f} mm"
            )


@lifter.command(cls=RecipeCommand)
@click.argument("checkpoint", type=ExistingCheckpoint)
@click.option(
    "--data", type=ExistingFile, required=True, help="Store of 3D poses that it did not learn from."
)
@output_option("Checkpoint")
@click.option("--curve", type=AnyPath, help="Draw the reliability curve here (PNG).")
@settings_options(PairSettings, leave_out=FIXED_IN_EVALUATION, special=PAIR_TYPES)
@settings_options(Split, only=("subjects", "actions"))
@click.option("--poses", type=click.IntRange(1), help="Look at at most so many poses, evenly spread.")
@seed_option
@overwrite_option
def calibrate(
    checkpoint: Path, data: Path, output: Path, curve: Path | None, overwrite: bool, **options: Any
) -> None:
    """Make sigma, how sure a lifter says that it is of a joint, the standard deviation that its errors have.

    CHECKPOINT is one of a lifter that `evolift lifter train --loss nll` trained, or of a chain of such a one; its joints stay what
    they are. Give the errors that 2D joints will have, by --errors or --noise: without, sigma is that of true 2D joints.

    Example: evolift lifter calibrate runs/lifter/best.safetensors --data test.h5 -o calibrated.safetensors --noise 1.5
    """
    from evolift.chain.model import ChainModel
    from evolift.lifter.calibration import calibrate as calibrate_lifter
    from evolift.lifter.calibration import reliability_figure
    from evolift.lifter.evaluation import EVERY_POSE, open_test_set
    from evolift.lifter.model import LifterModel
    from evolift.posedata.image_file import write_image
    from evolift.posedata.output_file import check_output, hashes_of
    from evolift.training.checkpoint import load_checkpoint, stage_of

    for path in (output, curve):
        if path is not None:
            check_output(path, overwrite=overwrite)
    is_chain = stage_of(checkpoint) == ChainModel.stage
    model = ChainModel.load(checkpoint) if is_chain else LifterModel.load(checkpoint)
    lifting = model.parts()[1] if isinstance(model, ChainModel) else model
    tests = open_test_set(
        data,
        lifting.skeleton,
        taken_settings(PairSettings, options | FIXED_IN_EVALUATION),
        seed=options["seed"],
        subjects=options["subjects"],
        actions=options["actions"],
        poses=options["poses"] or EVERY_POSE,
    )
    result = calibrate_lifter(lifting, tests)
    record = load_checkpoint(checkpoint, model.stage).record
    model.save(output, {**record, "calibrated_on": hashes_of([data])}, overwrite=overwrite)
    if curve is not None:
        write_image(curve, reliability_figure(result), overwrite=overwrite)
    click.echo(result.table.to_string(index=False, float_format=lambda value: f"{value:.2f}"))
    before, after = result.errors
    click.echo(
        f"{output}: expected calibration error {after:.1f} mm on these poses, {before:.1f} mm before calibration"
    )


@lifter.command("evaluate-clips", cls=RecipeCommand)
@click.argument("checkpoints", nargs=-1, required=True, type=ExistingCheckpoint)
@click.option("--data", type=ExistingFile, required=True, help="Pose store with the clips to evaluate on.")
@click.option(
    "-o", "--output", type=AnyPath, help="Folder for scores.csv and scores.md, beside what is printed."
)
@clip_options
@settings_options(PairSettings, leave_out=FIXED_IN_EVALUATION, special=PAIR_TYPES)
@settings_options(Split, only=("subjects", "actions"))
@click.option("--flip-test", is_flag=True, help="Average with the prediction of the mirrored input.")
@seed_option
@overwrite_option
@click.pass_context
def evaluate_clips(
    ctx: click.RichContext, /, checkpoints: tuple[Path, ...], data: Path, output: Path | None, **options: Any
) -> None:
    """Score lifter CHECKPOINTS side by side on the clips of a store, seen by fixed cameras.

    Lifters of one frame and of several go together, each as it is and smoothed, as `evolift predict --smooth` does. Acceleration errors are in mm/frame^2, and in m/s^2, which compares between frame rates.
    Each camera stands still for ten seconds at most.

    Example: evolift lifter evaluate-clips runs/temporal/best.safetensors runs/lifter/best.safetensors --data test.h5
    """
    from evolift.lifter.temporal.evaluation import (
        evaluate_clips,
        lifter_of_file,
        markdown_report,
        open_test_clips,
        rate_of_lifters,
    )
    from evolift.posedata.errors import InputError
    from evolift.posedata.output_file import write_text

    models = {_name(path, checkpoints): lifter_of_file(path) for path in checkpoints}
    skeletons = {model.skeleton for model in models.values()}
    if len(skeletons) > 1:
        raise InputError("the checkpoints are of different skeletons: evaluate them one by one")
    tests = open_test_clips(
        data,
        skeletons.pop(),
        taken_settings(PairSettings, options | FIXED_IN_EVALUATION),
        rate=rate_of_lifters(list(models.values()), options["frames_per_second"]),
        store_fps=options["store_fps"],
        seed=options["seed"],
        subjects=options["subjects"],
        actions=options["actions"],
    )
    folder: contextlib.AbstractContextManager[None] = (
        contextlib.nullcontext()
        if output is None
        else run_folder(ctx, output, overwrite=options["overwrite"])
    )
    with folder:
        scores = evaluate_clips(models, tests, flip_test=options["flip_test"])
        if output is not None:
            write_text(output / "scores.csv", scores.to_csv(index=False))
            write_text(output / "scores.md", markdown_report(scores, tests))
    click.echo(tests.in_words())
    for _, row in scores[scores["name"] == "overall"].iterrows():
        click.echo(
            f"{row['checkpoint']}: MPJPE {row['mpjpe']:.1f} mm, P-MPJPE {row['p_mpjpe']:.1f} mm, acceleration {row['acceleration']:.2f} mm/frame^2 ({row['acceleration_m_s2']:.2f} m/s^2)"
        )


@lifter.command(cls=RecipeCommand)
@click.argument("checkpoint", type=ExistingFile)
@output_option("Lifter checkpoint (.safetensors)")
@overwrite_option
@click.pass_context
def convert(ctx: click.RichContext, /, checkpoint: Path, output: Path, overwrite: bool) -> None:
    """Turn a CHECKPOINT (.pth.tar) of SemGCN's public implementation into one of this package.

    It is for 16 joints (H36M16), input normalised by `screen`. Only tensors are read, nothing is executed.

    Example: evolift lifter convert ckpt_best.pth.tar -o semgcn.safetensors
    """
    from evolift.lifter.model import parameter_count
    from evolift.lifter.public_checkpoint import load_public_checkpoint
    from evolift.posedata.output_file import check_output, sha256_of

    check_output(output, overwrite=overwrite)
    model = load_public_checkpoint(checkpoint)
    record = {**command_record(ctx), "inputs": {checkpoint.name: sha256_of(checkpoint)}}
    model.save(output, record, overwrite=overwrite)
    click.echo(f"{output}: {parameter_count(model):,} parameters, {model.skeleton.name}")


def _take_cameras_of_protocol(ctx: click.Context, options: dict[str, Any]) -> None:
    """A published protocol brings the store's cameras, where none were asked for; the record of the command says so."""
    if options["protocol"] is not None and ctx.get_parameter_source("cameras") is ParameterSource.DEFAULT:
        options["cameras"] = ctx.params["cameras"] = "store"


def _name(path: Path, among: tuple[Path, ...]) -> str:
    """Shortest name that tells a checkpoint from the others."""
    for name in (path.stem, f"{path.parent.name}/{path.stem}"):
        others = [p for p in among if p != path and name in (p.stem, f"{p.parent.name}/{p.stem}")]
        if not others:
            return name
    return str(path)
