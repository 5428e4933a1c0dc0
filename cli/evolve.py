"""`evolift evolve`: grow a pose store."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import rich_click as click

from evolift.cli.options import (
    ExistingCheckpoint,
    ExistingFile,
    RecipeCommand,
    num_workers_option,
    output_option,
    overwrite_option,
    resume_option,
    write_settings,
)
from evolift.cli.settings_options import settings_options, taken_settings
from evolift.evolution.settings import EvolutionSettings
from evolift.prediction.settings import ModelSettings

EXAMPLE = """
Example:  evolift evolve train.h5 -o evolved.h5 --ratio 10 --limits anatomical
"""


@click.command(cls=RecipeCommand, epilog=EXAMPLE)
@click.argument("source", type=ExistingFile)
@output_option("Pose store")
@settings_options(EvolutionSettings)
@click.option(
    "--hardness",
    type=ExistingCheckpoint,
    help="Lifter checkpoint whose error weighs parents (--sampling hardness).",
)
@click.option(
    "--preview",
    type=click.Path(dir_okay=False, path_type=Path),
    help="HTML page to write: children beside their parents, immigrants, bodies, limb directions, refused candidates, coverage.",
)
@click.option(
    "--coverage-of",
    type=ExistingFile,
    help="Store of other poses, for example of a held-out person: tell how near they lie to the nearest pose before and after.",
)
@num_workers_option
@settings_options(ModelSettings, only=("device",))
@click.option(
    "--cluster", help="Address of a dask scheduler whose workers breed, instead of processes on this machine."
)
@overwrite_option
@resume_option
@click.pass_context
def evolve(
    ctx: click.RichContext,
    /,
    source: Path,
    output: Path,
    overwrite: bool,
    resume: bool,
    num_workers: int,
    device: str,
    cluster: str | None,
    preview: Path | None,
    hardness: Path | None,
    coverage_of: Path | None,
    **options: Any,
) -> None:
    """Grow the pose store SOURCE by crossover, mutation and selection under joint-angle limits (Algorithm 1).

    The result holds the poses of SOURCE first, then the children. Evolve training subjects only: a child's limbs may
    be those of any subject in SOURCE. An interrupted run leaves a folder beside the output and goes on with --resume.
    """
    from evolift.cli.progress import progress_bar
    from evolift.evolution.job.algorithm import evolve as run
    from evolift.evolution.job.coverage import coverage_of as coverage
    from evolift.evolution.job.coverage import require_probes
    from evolift.evolution.job.workers import block_workers
    from evolift.posedata.errors import InputError
    from evolift.posedata.output_file import check_output
    from evolift.posedata.store import PoseStore

    settings = taken_settings(EvolutionSettings, options)
    if (hardness is None) == (settings.sampling == "hardness"):
        raise InputError(
            "`sampling` hardness and `hardness` LIFTER.safetensors belong together: give both or neither"
        )
    inputs = (source, hardness, coverage_of)
    check_output(output, overwrite=overwrite or resume, inputs=inputs)
    if preview is not None:
        check_output(preview, overwrite=overwrite or resume, inputs=inputs)
    with PoseStore(source, validate=False) as store:
        children = settings.size_from(len(store)) - len(store)
        if coverage_of is not None:
            with PoseStore(coverage_of) as probes:
                require_probes(probes, store.skeleton)
        score = None
        if hardness is not None:
            from evolift.lifter.pose_hardness import pose_hardness

            score = pose_hardness(hardness, store.skeleton)
    with block_workers(num_workers, cluster) as who, progress_bar("breeding", children) as progress:
        report = run(
            source,
            output,
            settings,
            overwrite=overwrite,
            resume=resume,
            workers=who,
            hardness=score,
            further_inputs=(hardness,) if hardness is not None else (),
            device=device,
            progress=progress,
        )
    record: dict[str, Any] = {"report": report.to_dict()}
    if coverage_of is not None:
        with (
            PoseStore(coverage_of) as probes,
            PoseStore(output, validate=False) as evolved,
            progress_bar("comparing", len(evolved)) as progress,
        ):
            covered = coverage(probes, evolved, progress=progress)
        record["coverage"] = asdict(covered)
    write_settings(ctx, output, record)
    if preview is not None:
        from evolift.evolution.preview.preview_page import write_preview  # matplotlib takes a second

        write_preview(output, settings, preview, overwrite=overwrite or resume)
    click.echo(report.table().to_string(index=False, float_format="{:.4f}".format))
    for reason, times in report.reasons().items():
        click.echo(f"  refused by {reason}: {times}")
    click.echo(
        f"{output}: {report.originals} originals ({report.originals_within_limits} within the limits) and {report.children} children"
    )
    if coverage_of is not None:
        click.echo(
            f"mean distance of the {covered.probes} poses of {coverage_of} to the nearest pose: {covered.before:.1f} mm before, {covered.after:.1f} mm after"
        )
