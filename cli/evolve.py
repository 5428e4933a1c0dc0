"""`evolift evolve`: grow a pose store."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import rich_click as click

from evolift.cli.options import (
    ExistingFile,
    RecipeCommand,
    criteria_option,
    output_option,
    overwrite_option,
    resume_option,
    seed_option,
    workers_option,
    write_settings,
)

EXAMPLE = """
Example:  evolift evolve train.h5 -o evolved.h5 --ratio 10 --limits anatomical
"""


@click.command(cls=RecipeCommand, epilog=EXAMPLE)
@click.argument("source", type=ExistingFile)
@output_option("Pose store")
@click.option(
    "--ratio", type=float, default=20.0, show_default=True, help="Size of the result over the source."
)
@click.option("--target-size", type=click.IntRange(1), help="Poses in the result; wins over --ratio.")
@click.option(
    "--generations", type=click.IntRange(1), default=5, show_default=True, help="Rounds of breeding."
)
@click.option(
    "--limits",
    default="anatomical",
    show_default=True,
    help="Limits that children must keep: anatomical, fitted:FILE or akhter-black:FILE.",
)
@criteria_option
@click.option(
    "--crossover-rate", type=float, default=0.9, show_default=True, help="Share that exchanges sub-trees."
)
@click.option(
    "--two-point-rate", type=float, default=0.5, show_default=True, help="Share of those with two cuts."
)
@click.option("--mutation-rate", type=float, default=1.0, show_default=True, help="Share with bones turned.")
@click.option(
    "--per-bone-rate",
    type=float,
    default=0.4,
    show_default=True,
    help="Chance of each bone of those to be turned; 0 turns exactly one.",
)
@click.option("--sigma", type=float, default=20.0, show_default=True, help="Size of a turn, degrees.")
@click.option("--turn-rate", type=float, default=1.0, show_default=True, help="Share with a new heading.")
@click.option("--tilt-sigma", type=float, default=25.0, show_default=True, help="Tilt of those, degrees.")
@click.option(
    "--crossed-lengths",
    type=click.Choice(["kept", "swapped"]),
    default="kept",
    show_default=True,
    help="Whose bone lengths an exchanged limb has: the receiver's or the giver's.",
)
@click.option("--length-rate", type=float, default=0.0, show_default=True, help="Share with bones scaled.")
@click.option(
    "--length-spread", type=float, default=0.1, show_default=True, help="Largest change of a length."
)
@click.option(
    "--template-rate",
    type=float,
    default=0.0,
    show_default=True,
    help="Share that gets the bone lengths of a random subject of SOURCE.",
)
@click.option(
    "--mirror-rate", type=float, default=0.5, show_default=True, help="Share mirrored left to right."
)
@click.option(
    "--settle/--no-settle",
    default=True,
    show_default=True,
    help="Move children up or down to stand as high as the parent whose body they have.",
)
@click.option(
    "--sampling",
    type=click.Choice(["uniform", "novelty", "hardness"]),
    default="uniform",
    show_default=True,
    help="Parents: all alike, or more often those far from other poses, or those that the lifter of --hardness gets wrong.",
)
@click.option(
    "--hardness",
    type=ExistingFile,
    help="Lifter checkpoint whose error weighs parents (--sampling hardness).",
)
@click.option(
    "--min-change",
    type=float,
    default=0.0,
    show_default=True,
    help="Refuse children nearer than this to a parent, mm.",
)
@click.option(
    "--min-distance",
    type=float,
    default=0.0,
    show_default=True,
    help="Refuse duplicates: children nearer than this, mm, to any pose before their generation or of their block.",
)
@click.option(
    "--preview",
    type=click.Path(dir_okay=False, path_type=Path),
    help="HTML page to write: children beside their parents, refused candidates, limb directions, coverage.",
)
@click.option(
    "--coverage-of",
    type=ExistingFile,
    help="Store of other poses, for example of a held-out person: tell how near they lie to the nearest pose before and after.",
)
@seed_option
@workers_option
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
    workers: int,
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
    from evolift.evolution.job.preview import write_preview
    from evolift.evolution.job.workers import block_workers
    from evolift.evolution.settings import EvolutionSettings
    from evolift.lifter.pose_hardness import pose_hardness
    from evolift.posedata.errors import InputError
    from evolift.posedata.output_file import check_output
    from evolift.posedata.store import PoseStore

    settings = EvolutionSettings(**options)
    if (hardness is None) == (settings.sampling == "hardness"):
        raise InputError(
            "--sampling hardness and --hardness LIFTER.safetensors belong together: give both or neither"
        )
    if preview is not None:
        check_output(preview, overwrite=overwrite)
    with PoseStore(source, validate=False) as store:
        children = settings.size_from(len(store)) - len(store)
        if coverage_of is not None:
            with PoseStore(coverage_of) as probes:
                require_probes(probes, store.skeleton)
        score = pose_hardness(hardness, store.skeleton) if hardness is not None else None
    with block_workers(workers, cluster) as who, progress_bar("breeding", children) as advance:
        report = run(
            source,
            output,
            settings,
            overwrite=overwrite,
            resume=resume,
            workers=who,
            hardness=score,
            further_inputs=[hardness] if hardness is not None else [],
            progress=advance,
        )
    record: dict[str, Any] = {"report": report.to_dict()}
    if coverage_of is not None:
        with (
            PoseStore(coverage_of) as probes,
            PoseStore(output, validate=False) as evolved,
            progress_bar("comparing", len(evolved)) as advance,
        ):
            covered = coverage(probes, evolved, progress=advance)
        record["coverage"] = asdict(covered)
    write_settings(ctx, output, record)
    if preview is not None:
        write_preview(output, settings, preview, overwrite=overwrite)
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
