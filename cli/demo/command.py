"""`evolift demo`: real poses in, what each part gains out, small enough for a laptop's CPU."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from evolift.cli.demo.plan import FEW_SHARE, HELD_OUT_CLIPS, TEST_SUBJECT, TRAINING_SUBJECTS, DemoPlan, quick
from evolift.cli.options import (
    AnyPath,
    ExistingFile,
    RecipeCommand,
    overwrite_option,
    run_folder,
    seed_option,
)

if TYPE_CHECKING:
    from evolift.cli.demo.results import DemoResults


@click.command(cls=RecipeCommand)
@click.option(
    "-o", "--output", type=AnyPath, default=Path("runs/demo"), show_default=True, help="Folder to write."
)
@click.option(
    "--photo",
    "photos",
    type=ExistingFile,
    multiple=True,
    help="A photograph of yours, to be shown first; repeatable.",
)
@click.option(
    "--quick",
    is_flag=True,
    help="A handful of steps: shows that all parts run, not what they learn.",
)
@click.option(
    "--num-workers",
    type=click.IntRange(0),
    default=2,
    show_default=True,
    help="Processes that render and train; never changes the result.",
)
@click.option(
    "--seeds",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Seeds of the lifters: with several, the page shows how far they are apart; each more takes three minutes longer.",
)
@seed_option
@overwrite_option
@click.pass_context
def demo(
    ctx: click.Context,
    /,
    output: Path,
    photos: tuple[Path, ...],
    quick: bool,
    num_workers: int,
    seeds: int,
    seed: int,
    overwrite: bool,
) -> None:
    """Show on real motion capture what each part of the package gains, and write a page of it.

    A photograph and a film go through the shipped chain; evolution breeds poses from 54 recorded ones, and lifters learn
    without and with them; detector and chain are fine-tuned on rendered people. Everything is scored on a person whom
    nothing was trained on. No data, no download, no GPU.

    Example:

    \b
      evolift demo -o runs/demo
    """
    from evolift.cli.demo.report import summary, write_report
    from evolift.posedata.image_file import read_image
    from evolift.posedata.num_workers import require_workers

    require_workers(num_workers)
    with run_folder(ctx, output, overwrite=overwrite):
        for photo in photos:
            read_image(photo)  # so that one that is none is refused before anything is written
        plan = DemoPlan(output, seed, seeds, num_workers, photos)
        results = _run(_quick(plan) if quick else plan)
        write_report(results)
        for line in summary(results):
            click.echo(line)


_quick = quick


def _run(plan: DemoPlan) -> DemoResults:
    from evolift.cli.demo.breeding import breed
    from evolift.cli.demo.jobs import Job, run_jobs
    from evolift.cli.demo.lifting import lifting_jobs, score_lifters
    from evolift.cli.demo.results import DemoResults
    from evolift.cli.demo.shipped_chain import predict_with_shipped_chain
    from evolift.cli.demo.tuning import render_people, tune
    from evolift.cli.progress import progress_bar

    start = time.perf_counter()
    jobs: dict[str, Job] = {"detector and chain": (tune, (plan,)), **lifting_jobs(plan)}
    answers = {}
    with progress_bar("demo", 4 + len(jobs)) as progress:
        _select_poses(plan)
        bred = breed(plan)
        progress(1)
        shipped = predict_with_shipped_chain(plan)
        progress(1)
        render_people(plan)
        progress(1)
        for name, answer in run_jobs(jobs, plan.num_workers):
            answers[name] = answer
            progress(1)
        lifted = score_lifters(plan)
        progress(1)
    return DemoResults(
        plan, shipped, bred, lifted, answers["detector and chain"], time.perf_counter() - start
    )


def _select_poses(plan: DemoPlan) -> None:
    """The sample of real poses, split by person and clip."""
    from evolift.artifacts.shipped_files import sample_poses
    from evolift.posedata.selection import select_rows

    sample, recorded = sample_poses(), list(TRAINING_SUBJECTS)
    # The few are drawn by the same seed whatever the demo's, as `evolift data select --share 0.01` draws them.
    select_rows(sample, plan.path("few.h5"), subjects=recorded, share=FEW_SHARE)
    select_rows(sample, plan.path("train.h5"), subjects=recorded, without_actions=HELD_OUT_CLIPS)
    select_rows(sample, plan.path("validation.h5"), actions=HELD_OUT_CLIPS)
    select_rows(sample, plan.path("test.h5"), subjects=[TEST_SUBJECT])
