"""`evolift demo`: the whole pipeline on built-in synthetic people, small enough for a laptop's CPU."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from evolift.cli.demo_results import LIFTERS, DemoResults
from evolift.cli.options import AnyPath, RecipeCommand, overwrite_option, run_folder, seed_option

if TYPE_CHECKING:
    import pandas as pd


# As published.
DROPOUT = {"martinez": 0.5, "semgcn": 0.0}


@click.command(cls=RecipeCommand)
@click.option(
    "-o", "--output", type=AnyPath, default=Path("runs/demo"), show_default=True, help="Folder to write."
)
@click.option(
    "--quick", is_flag=True, help="A twentieth of the steps: shows that all stages run, not what they learn."
)
@click.option(
    "--num-workers",
    type=click.IntRange(0),
    default=2,
    show_default=True,
    help="Processes that render and cut out images; never changes the result.",
)
@seed_option
@overwrite_option
@click.pass_context
def demo(
    ctx: click.Context, /, output: Path, quick: bool, num_workers: int, seed: int, overwrite: bool
) -> None:
    """Run every stage on built-in synthetic people and write a report.

    Actors move, evolution breeds more poses, lifters learn with and without them and are tested on people and actions
    that they never saw; people are rendered, a detector learns from the images, detector and lifter are chained and
    fine-tuned end to end, and poses are predicted from held-out images. No data, no download, no GPU.

    Example:

    \b
      evolift demo -o runs/demo
    """
    from evolift.cli.demo_report import write_report
    from evolift.posedata.num_workers import require_workers
    from evolift.posedata.output_file import write_text

    require_workers(num_workers)
    with run_folder(ctx, output, overwrite=overwrite):
        results = DemoResults(output)
        scale = 0.05 if quick else 1.0
        stages: list[tuple[str, Callable[[DemoResults, float, int, int], None]]] = [
            ("actors", _act),
            ("evolution", _evolve),
            ("lifters", _lift),
            ("rendered people", _render),
            ("detector", _detect),
            ("chain", _finetune),
            ("prediction", _predict),
        ]
        for number, (name, run) in enumerate(stages, 1):
            click.secho(f"{number}/{len(stages)} {name}", bold=True, err=True)
            start = time.perf_counter()
            run(results, scale, seed, num_workers)
            results.seconds[name] = time.perf_counter() - start
        write_report(results)
        table = _summary(results)
        write_text(results.path("summary.csv"), table.to_csv(index=False))
        click.echo(_plain_table(table))
        click.echo(f"{sum(results.seconds.values()):.0f} s in all. Report: {results.path('report.html')}")


def _act(results: DemoResults, scale: float, seed: int, num_workers: int) -> None:
    from evolift.posedata.store import PoseStore
    from evolift.synthetic.acting.actors import (
        TEST_ACTIONS,
        TEST_SUBJECTS,
        TRAIN_ACTIONS,
        TRAIN_SUBJECTS,
        write_actor_store,
    )
    from evolift.synthetic.settings import ActorSettings

    unseen = [action for action in TEST_ACTIONS if action not in TRAIN_ACTIONS]
    *training, held_out = TRAIN_SUBJECTS
    for name, subjects in (("train", training), ("validation", [held_out])):
        write_actor_store(
            results.path(f"{name}.h5"),
            ActorSettings(clips_per_action=1, seed=seed),
            subjects=subjects,
            actions=TRAIN_ACTIONS,
        )
    write_actor_store(
        results.path("test.h5"),
        ActorSettings(clips_per_action=2, seed=seed + 1),
        subjects=TEST_SUBJECTS,
        actions=unseen,
    )
    descriptions = {
        "train": "training poses",
        "validation": "validation poses, of another person",
        "test": "test poses, none of their people or actions in training",
    }
    for name, description in descriptions.items():
        with PoseStore(results.path(f"{name}.h5")) as store:
            table = store.table()
        people, actions = table["subject"].nunique(), table["action"].nunique()
        results.say("actors", description, f"{len(table):,} of {people} people in {actions} actions")


def _evolve(results: DemoResults, scale: float, seed: int, num_workers: int) -> None:
    from evolift.cli.progress import progress_bar
    from evolift.evolution.job.algorithm import evolve
    from evolift.evolution.settings import ALGORITHM_1

    settings = ALGORITHM_1.replaced(ratio=5.0, generations=2, seed=seed)
    with progress_bar("evolving", None) as progress:
        report = evolve(results.path("train.h5"), results.path("evolved.h5"), settings, progress=progress)
    results.evolution = report.table()
    refused = sum(tally.refused for tally in report.generations)
    candidates = sum(tally.candidates for tally in report.generations)
    within = report.originals_within_limits / report.originals
    results.say("evolution", "training poses within the anatomical limits", f"{within:.1%}")
    results.say("evolution", "children bred", f"{report.children:,}")
    results.say("evolution", "candidates refused by the joint-angle limits", f"{refused / candidates:.1%}")


def _lift(results: DemoResults, scale: float, seed: int, num_workers: int) -> None:
    from evolift.lifter.evaluation import evaluate_lifters, open_test_set
    from evolift.lifter.model import LifterModel
    from evolift.lifter.settings import LifterSettings, LifterTrainingSettings, PairSettings
    from evolift.lifter.training import train_lifter
    from evolift.posedata.skeleton import H36M17

    pairs = PairSettings(cameras="random", noise=1.5)
    steps = max(3, round(1500 * scale))
    training = LifterTrainingSettings(
        steps=steps,
        validate_every=steps // 3,
        seed=seed,
        accelerator="cpu",
        average_decay=0.0,
        learning_rate=1e-3,
        pairs=pairs,
    )
    models = {}
    for name, (architecture, evolved) in LIFTERS.items():
        folder = results.path(f"lifter_{architecture}{'_evolved' if evolved else ''}")
        results.histories[name] = train_lifter(
            [results.path("evolved.h5")],
            folder,
            validation=[results.path("validation.h5")],
            lifter=LifterSettings(
                architecture=architecture, normalisation="box", dropout=DROPOUT[architecture]
            ),
            training=training.replaced(evolved_share=0.5 if evolved else 0.0),
        )
        models[name] = LifterModel.load(folder / "best.safetensors")
    tests = open_test_set(results.path("test.h5"), H36M17, pairs, seed=seed)
    scores = evaluate_lifters(models, tests)
    results.lifters = scores[scores["name"] == "overall"].set_index("checkpoint")
    for name in LIFTERS:
        row = results.lifters.loc[name]
        results.say(
            "lifter",
            f"{name}, unseen people and actions: MPJPE / P-MPJPE",
            f"{row['mpjpe']:.1f} / {row['p_mpjpe']:.1f} mm",
        )


def _render(results: DemoResults, scale: float, seed: int, num_workers: int) -> None:
    from evolift.cli.progress import progress_bar
    from evolift.synthetic.rendering.people import render_store
    from evolift.synthetic.settings import RenderSettings

    counts = {}
    for number, (name, full) in enumerate((("train", 2000), ("validation", 200), ("test", 300))):
        images = counts[name] = max(32, round(full * scale))
        with progress_bar(f"rendering {name}", images) as progress:
            render_store(
                results.path(f"{name}.h5"),
                results.path(f"renders_{name}.h5"),
                RenderSettings(images=images, size=192, seed=seed + number, num_workers=num_workers),
                progress=progress,
            )
    results.say(
        "rendered people",
        "images with 2D, 3D and true occlusion",
        ", ".join(f"{count:,} {name}" for name, count in counts.items()),
    )


def _lengths(steps: int, scale: float, validations: int) -> tuple[int, int]:
    """Steps of a training at this scale, and those between its validations."""
    steps = max(validations, round(steps * scale))
    return steps, max(1, steps // validations)


def _detect(results: DemoResults, scale: float, seed: int, num_workers: int) -> None:
    from evolift.detector2d.evaluation import evaluate_detector
    from evolift.detector2d.model import DetectorModel
    from evolift.detector2d.settings import DetectorSettings, DetectorTrainingSettings
    from evolift.detector2d.training import train_detector

    folder = results.path("detector")
    steps, validate_every = _lengths(1000, scale, 2)
    results.histories["detector"] = train_detector(
        [results.path("renders_train.h5")],
        folder,
        validation=[results.path("renders_validation.h5")],
        detector=DetectorSettings(
            backbone="mobilenetv4_conv_small",
            input_width=96,
            input_height=96,
            head="light",
            head_widths=(64,),
        ),
        training=DetectorTrainingSettings(
            steps=steps,
            validate_every=validate_every,
            batch_size=32,
            learning_rate=2e-3,
            schedule="cosine",
            warm_up=0.05,
            spread_weight=0.1,
            gradient_clip=5.0,
            seed=seed,
            num_workers=num_workers,
            accelerator="cpu",
        ),
    )
    scores, _ = evaluate_detector(
        DetectorModel.load(folder / "best.safetensors"), results.path("renders_test.h5")
    )
    pck = float(scores.loc[scores["name"] == "overall", "pck_0.2"].iloc[0])
    results.say("detector", "PCK@0.2 of the torso on test images, from scratch", f"{pck:.1%}")


def _finetune(results: DemoResults, scale: float, seed: int, num_workers: int) -> None:
    import pandas as pd

    from evolift.chain.evaluation import chain_table, predict_chain
    from evolift.chain.model import ChainModel
    from evolift.chain.settings import ChainTrainingSettings
    from evolift.chain.training import finetune
    from evolift.detector2d.model import DetectorModel
    from evolift.lifter.model import LifterModel

    test = results.path("renders_test.h5")
    start = ChainModel(
        DetectorModel.load(results.path("detector/best.safetensors")),
        LifterModel.load(results.path("lifter_semgcn_evolved/best.safetensors")),
    )
    results.before = predict_chain(start, test)
    tables = {"before": chain_table(results.before, test, start)}
    folder = results.path("chain")
    steps, validate_every = _lengths(300, scale, 2)
    results.histories["chain"] = finetune(
        [results.path("renders_train.h5")],
        folder,
        chain=start,
        validation=[results.path("renders_validation.h5")],
        training=ChainTrainingSettings(
            steps=steps,
            validate_every=validate_every,
            batch_size=32,
            learning_rate=5e-4,
            lifter_learning_rate=5e-4,
            gradient_clip=5.0,
            seed=seed,
            num_workers=num_workers,
            accelerator="cpu",
        ),
    )
    tuned = ChainModel.load(folder / "best.safetensors")
    results.after = predict_chain(tuned, test)
    tables["after"] = chain_table(results.after, test, tuned)
    results.chain = pd.concat(
        [table.assign(chain=f"{name} fine-tuning") for name, table in tables.items()], ignore_index=True
    )
    for name, table in tables.items():
        detected = table.iloc[1]
        results.say(
            "chain",
            f"image to 3D on test images {name} fine-tuning: MPJPE / P-MPJPE",
            f"{detected['mpjpe']:.1f} / {detected['p_mpjpe']:.1f} mm",
        )


def _predict(results: DemoResults, scale: float, seed: int, num_workers: int) -> None:
    from evolift.cli.progress import progress_bar
    from evolift.posedata.store import PoseStore
    from evolift.prediction.file_prediction import predict_files
    from evolift.prediction.settings import ModelSettings, PredictSettings

    with PoseStore(results.path("renders_test.h5"), validate=False) as store:
        poses = store.read(slice(0, 6))
        images = [store.image_folder / name for name in poses.image or ()]
    models = ModelSettings(chain=str(results.path("chain/best.safetensors")))
    with progress_bar("predicting", begins_when_told=True) as progress:
        predicted = predict_files(
            images,
            results.path("predictions"),
            PredictSettings(models=models),
            progress=progress,
            report=lambda sentence: click.echo(sentence, err=True),
        )
    done = len(predicted.clips)
    results.say("prediction", "test images predicted, without their person boxes", str(done))


def _summary(results: DemoResults) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(results.lines)


def _plain_table(table: pd.DataFrame) -> str:
    widths = {str(name): max(len(str(name)), *(len(str(v)) for v in table[name])) for name in table.columns}
    lines = ["  ".join(name.ljust(width) for name, width in widths.items())]
    for cells in table.astype(str).to_numpy().tolist():
        lines.append("  ".join(cell.ljust(width) for cell, width in zip(cells, widths.values(), strict=True)))
    return "\n".join(line.rstrip() for line in lines)
