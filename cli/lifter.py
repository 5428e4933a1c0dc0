"""`evolift lifter train | train-refiner | evaluate | convert`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from evolift.cli.lifter_options import lifter_options, lifter_settings
from evolift.cli.options import (
    ExistingFile,
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
)

if TYPE_CHECKING:
    from evolift.posedata.skeleton import Skeleton


@click.group()
def lifter() -> None:
    """Stage two: train and evaluate the 2D-to-3D graph network."""


_cameras_option = click.option(
    "--cameras",
    type=click.Choice(["ring", "random", "store"]),
    default="ring",
    show_default=True,
    help="Four cameras as in Human3.6M, random ones, or those of the store.",
)

_camera_options = (
    _cameras_option,
    click.option(
        "--noise",
        type=click.FloatRange(0),
        default=0.0,
        show_default=True,
        help="Gaussian error of 2D joints, per cent of the person's size.",
    ),
    click.option(
        "--errors",
        type=ExistingFile,
        help="Errors of 2D joints that a detector really made; of `evolift detector evaluate --errors`.",
    ),
    click.option(
        "--missing",
        type=click.FloatRange(0, 1, max_open=True),
        default=0.0,
        show_default=True,
        help="Probability that a 2D joint is not found.",
    ),
    click.option(
        "--depth-noise",
        type=click.FloatRange(0),
        default=0.0,
        show_default=True,
        help="Error of the input depth in mm (with --input-axes 3).",
    ),
)

_row_options = (
    click.option("--subject", "subjects", multiple=True, help="Use only this subject; repeatable."),
    click.option("--action", "actions", multiple=True, help="Use only this action; repeatable."),
)

_learning_options = (
    click.option(
        "--turn/--no-turn",
        default=True,
        show_default=True,
        help="Turn the ring of cameras at random for each pose.",
    ),
    click.option("--flip/--no-flip", default=True, show_default=True, help="Mirror half of the pairs."),
    click.option("--batch-size", type=click.IntRange(1), default=64, show_default=True),
    click.option("--loss", type=click.Choice(["mse", "l1"]), default="l1", show_default=True),
    click.option(
        "--bone-weight",
        type=click.FloatRange(0),
        default=0.0,
        show_default=True,
        help="Of the L1 error of bone vectors in metres, summed over bones (target xyz).",
    ),
    click.option(
        "--symmetry-weight",
        type=click.FloatRange(0),
        default=0.0,
        show_default=True,
        help="Of the difference in length of left and right bones in metres, summed over pairs (target xyz).",
    ),
    click.option("--learning-rate", type=click.FloatRange(0, min_open=True), default=2e-3, show_default=True),
    click.option(
        "--schedule",
        type=click.Choice(["published", "cosine", "one-cycle", "constant"]),
        default="one-cycle",
        show_default=True,
        help="Of the learning rate; published is x0.96 per 100,000 steps.",
    ),
    click.option(
        "--validation",
        "validation_stores",
        multiple=True,
        type=ExistingFile,
        help="Validate on all poses of this store, instead of on a part of STORES; repeat for more.",
    ),
    click.option(
        "--validation-subject", "validation_subjects", multiple=True, help="Validate on this subject."
    ),
    click.option("--validation-action", "validation_actions", multiple=True, help="Validate on this action."),
    click.option(
        "--validation-share",
        type=click.FloatRange(0, 0.9),
        default=0.1,
        show_default=True,
        help="Else validate on clips drawn at random, at least this share of the rows.",
    ),
    click.option(
        "--evolved-share",
        type=click.FloatRange(0, 1, max_open=True),
        help="Share of evolved poses among the draws; all rows alike if left out.",
    ),
    click.option(
        "--store-weight",
        "store_weights",
        type=float,
        multiple=True,
        help="How often a row of each store is drawn; one per store.",
    ),
)


def _with(*groups: tuple[Callable[[Any], Any], ...]) -> Callable[[Function], Function]:
    def decorate(function: Function) -> Function:
        for option in reversed([option for group in groups for option in group]):
            function = option(function)
        return function

    return decorate


@lifter.command(cls=RecipeCommand)
@click.argument("stores", nargs=-1, required=True, type=ExistingFile)
@output_option("Run folder")
@click.option("--skeleton", default="H36M17", show_default=True, help="Joints of input and output.")
@lifter_options
@_with(_camera_options, _row_options, _learning_options)
@click.option("--start-from", type=ExistingFile, help="Begin with the weights of this checkpoint.")
@training_options(steps=100_000, validate_every=2_000, gradient_clip=1.0, average_decay=0.999)
@click.pass_context
def train(ctx: click.RichContext, /, stores: tuple[Path, ...], output: Path, **options: Any) -> None:
    """Train a lifter on pairs made on the fly from STORES of 3D poses.

    Example: evolift lifter train cmu.h5 evolved.h5 -o runs/lifter --validation-share 0.1 --steps 20000
    """
    from evolift.lifter.training import train_lifter
    from evolift.posedata.skeleton import skeleton_by_name
    from evolift.training.process_rank import is_first_process

    record = command_record(ctx)
    overwrite, resume = options.pop("overwrite"), options.pop("resume")
    start_from = options.pop("start_from")
    lifter = lifter_settings(options, skeleton_by_name(options.pop("skeleton")))
    record |= _detection_errors(options, lifter.skeleton)
    settings = _learning_settings(options)
    with run_folder(ctx, output, overwrite=overwrite, resume=resume):
        history = train_lifter(
            stores, output, lifter=lifter, start_from=start_from, record=record, resume=resume, **settings
        )
    if is_first_process():
        best = history.sort_values("mpjpe", kind="stable").iloc[0]
        click.echo(
            f"{output / 'best.safetensors'}: {best['mpjpe']:.1f} mm on the validation poses at step {int(best['step'])}"
        )


@lifter.command("train-refiner", cls=RecipeCommand)
@click.argument("stores", nargs=-1, required=True, type=ExistingFile)
@output_option("Run folder")
@click.option("--skeleton", default="H36M17", show_default=True, help="Joints of the poses.")
@click.option("--hidden", type=click.IntRange(1), default=512, show_default=True, help="Width of the layers.")
@click.option(
    "--layers", type=click.IntRange(0), default=1, show_default=True, help="On either side of the code."
)
@click.option("--code", type=click.IntRange(1), default=128, show_default=True, help="Narrowest width.")
@click.option("--dropout", type=click.FloatRange(0, 1, max_open=True), default=0.0, show_default=True)
@click.option(
    "--noise",
    type=click.FloatRange(0),
    default=20.0,
    show_default=True,
    help="Gaussian error of x and y of the joints to mend, mm.",
)
@click.option(
    "--depth-noise",
    type=click.FloatRange(0),
    default=40.0,
    show_default=True,
    help="Of their depth, mm; lifters err most in it.",
)
@click.option(
    "--dropped",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.05,
    show_default=True,
    help="Probability that a joint is lost.",
)
@_with((_cameras_option,), _row_options, _learning_options)
@training_options(steps=50_000, validate_every=2_000, gradient_clip=1.0, average_decay=0.999)
@click.pass_context
def train_refiner(ctx: click.RichContext, /, stores: tuple[Path, ...], output: Path, **options: Any) -> None:
    """Train a denoising autoencoder that mends 3D poses, on STORES of clean ones seen by cameras.

    Try it on a lifter by `evolift lifter evaluate --refiner`.

    Example: evolift lifter train-refiner cmu.h5 -o runs/refiner --noise 20 --depth-noise 40
    """
    from evolift.lifter.refiner import RefinerSettings
    from evolift.lifter.refiner_training import PoseFaults, train_refiner
    from evolift.posedata.skeleton import skeleton_by_name
    from evolift.training.process_rank import is_first_process

    record = command_record(ctx)
    overwrite, resume = options.pop("overwrite"), options.pop("resume")
    faults = PoseFaults(**taken(options, PoseFaults))
    options["skeleton"] = skeleton_by_name(options["skeleton"])
    refiner = RefinerSettings(**taken(options, RefinerSettings))
    settings = _learning_settings(options)
    with run_folder(ctx, output, overwrite=overwrite, resume=resume):
        history = train_refiner(
            stores, output, refiner=refiner, faults=faults, record=record, resume=resume, **settings
        )
    if is_first_process():
        best = history.sort_values("mpjpe", kind="stable").iloc[0]
        click.echo(
            f"{output / 'best.safetensors'}: {best['mpjpe_given']:.1f} mm mended to {best['mpjpe']:.1f} mm on the validation poses at step {int(best['step'])}"
        )


def _learning_settings(options: dict[str, Any]) -> dict[str, Any]:
    """Take the values of the options that both trainings have, as arguments of `train_lifter`."""
    from evolift.lifter.data.pairs import PairSettings
    from evolift.lifter.data.split import Split
    from evolift.lifter.training import DataSettings, LearningSettings
    from evolift.posedata.camera_rig import RingRig

    training = training_settings(options)
    options["ring"] = RingRig(turn=options.pop("turn"))
    options["split"] = Split(seed=training.seed, **taken(options, Split))
    return {
        "training": training,
        "pairs": PairSettings(**taken(options, PairSettings)),
        "learning": LearningSettings(**taken(options, LearningSettings)),
        "data": DataSettings(**taken(options, DataSettings)),
        "validation_stores": options.pop("validation_stores"),
    }


def _detection_errors(options: dict[str, Any], skeleton: Skeleton) -> dict[str, object]:
    """Read the file of --errors in place, and say which it was."""
    from evolift.lifter.data.detection_errors import load_detection_errors
    from evolift.posedata.output_file import hashes_of

    path = options["errors"]
    if path is None:
        return {}
    options["errors"] = load_detection_errors(path, skeleton)
    return {"detection_errors": hashes_of([path])}


@lifter.command(cls=RecipeCommand)
@click.argument("checkpoints", nargs=-1, required=True, type=ExistingFile)
@click.option("--data", type=ExistingFile, required=True, help="Pose store to evaluate on.")
@output_option("Folder for scores.csv, scores.md and cases_*.png")
@_with(_camera_options, _row_options)
@click.option("--poses", type=click.IntRange(1), help="Evaluate at most so many poses, evenly spread.")
@click.option("--flip-test", is_flag=True, help="Average with the prediction of the mirrored input.")
@click.option(
    "--refiner",
    type=ExistingFile,
    help="Score each lifter with this refiner on top too; of `evolift lifter train-refiner`.",
)
@seed_option
@overwrite_option
@click.pass_context
def evaluate(
    ctx: click.RichContext, /, checkpoints: tuple[Path, ...], data: Path, output: Path, **options: Any
) -> None:
    """Score lifter CHECKPOINTS side by side on a store of 3D poses seen by fixed cameras.

    Errors are root-relative, in mm. A lifter of target z gets x and y from the truth and is scored on z alone.

    Example: evolift lifter evaluate runs/lifter/best.safetensors --data test.h5 -o runs/scores
    """
    from PIL import Image

    from evolift.lifter.case_picture import case_picture
    from evolift.lifter.data.pairs import PairSettings
    from evolift.lifter.evaluation import (
        EVERY_POSE,
        evaluate_lifters,
        markdown_report,
        open_test_set,
        predict,
    )
    from evolift.lifter.model import Lifter, load_lifter
    from evolift.lifter.refiner import Refined, load_refiner
    from evolift.posedata.errors import InputError
    from evolift.posedata.output_file import whole_file, write_text

    models: dict[str, Lifter] = {_name(path, checkpoints): load_lifter(path) for path in checkpoints}
    refiner = options.pop("refiner")
    if refiner is not None:
        on_top = load_refiner(refiner)
        models |= {f"{name} + refiner": Refined(model, on_top) for name, model in models.items()}
    skeletons = {model.skeleton for model in models.values()}
    if len(skeletons) > 1:
        raise InputError("the checkpoints are of different skeletons: evaluate them one by one")
    flip_test = options.pop("flip_test")
    skeleton = skeletons.pop()
    _detection_errors(options, skeleton)
    tests = open_test_set(
        data,
        skeleton,
        PairSettings(**taken(options, PairSettings)),
        seed=options["seed"],
        subjects=options["subjects"],
        actions=options["actions"],
        poses=options["poses"] or EVERY_POSE,
    )
    with run_folder(ctx, output, overwrite=options["overwrite"]):
        scores = evaluate_lifters(models, tests, flip_test=flip_test)
        write_text(output / "scores.csv", scores.to_csv(index=False))
        write_text(output / "scores.md", markdown_report(scores))
        for name, model in models.items():
            picture = case_picture(predict(model, tests, flip_test=flip_test), tests)
            file_name = "cases_" + "".join(c if c.isalnum() else "_" for c in name) + ".png"
            with whole_file(output / file_name, overwrite=True) as partial:
                Image.fromarray(picture).save(partial, format="png")
    for _, row in scores[scores["group"] == "all"].iterrows():
        click.echo(
            f"{row['checkpoint']}, {row['name']}: MPJPE {row['mpjpe']:.1f} mm, P-MPJPE {row['p_mpjpe']:.1f} mm, PCK@150 {row['pck_150']:.3f}"
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
    from evolift.lifter.model import parameter_count, save_lifter
    from evolift.lifter.public_checkpoint import load_public_checkpoint
    from evolift.posedata.output_file import check_output, sha256_of

    check_output(output, overwrite=overwrite)
    model = load_public_checkpoint(checkpoint)
    record = {**command_record(ctx), "inputs": {checkpoint.name: sha256_of(checkpoint)}}
    save_lifter(output, model, record, overwrite=overwrite)
    click.echo(f"{output}: {parameter_count(model):,} parameters, {model.skeleton.name}")


def _name(path: Path, among: tuple[Path, ...]) -> str:
    """Shortest name that tells a checkpoint from the others."""
    for name in (path.stem, f"{path.parent.name}/{path.stem}"):
        others = [p for p in among if p != path and name in (p.stem, f"{p.parent.name}/{p.stem}")]
        if not others:
            return name
    return str(path)
