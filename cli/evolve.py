"""`evolift evolve`: grow a pose store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from evolift.evolution.clips.settings import ClipSettings
from evolift.evolution.job.worker_server import start_worker_server
from evolift.evolution.settings import EvolutionSettings
from evolift.lifter.loop_settings import LoopSettings
from evolift.posedata.errors import InputError
from evolift.posedata.garbage_collection import lasting_imports
from evolift.posedata.settings import Settings
from evolift.prediction.settings import ModelSettings

if TYPE_CHECKING:
    from evolift.evolution.job.block_workers import BlockWorkers

EXAMPLE = """
Example:  evolift evolve train.h5 -o evolved.h5 --ratio 10 --limits anatomical

Example:  evolift evolve train.h5 -o runs/loop --loop 5 --validation validation.h5
Example:  evolift evolve clips.h5 -o motions.h5 --clips --fps 30 --preview motions.html
"""


@click.command(cls=RecipeCommand, epilog=EXAMPLE)
@click.argument("source", type=ExistingFile)
@output_option("Pose store")
@settings_options(EvolutionSettings)
@click.option(
    "--donor",
    "donors",
    multiple=True,
    type=ExistingFile,
    help="Store of other people or motions whose limbs children may get; their bodies stay those of SOURCE. Repeatable.",
)
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
@click.option(
    "--loop",
    "rounds",
    metavar="N",
    type=click.IntRange(min=1),
    panel=LoopSettings.panel,
    help="Evolve in a loop of at most N rounds: evolve, train a lifter, score it, evolve anew what it got wrong; once and without a lifter if left out.",
)
@click.option(
    "--validation",
    multiple=True,
    type=ExistingFile,
    panel=LoopSettings.panel,
    help="Store of poses that are not trained on, best of another person: its error ends the loop and chooses what is kept; a loop needs one, repeatable.",
)
@settings_options(LoopSettings, leave_out=("rounds",))
@click.option(
    "--clips",
    "is_of_clips",
    is_flag=True,
    panel=ClipSettings.panel,
    help="Breed motions instead of single poses: children are clips, with the options of single poses left out.",
)
@settings_options(ClipSettings)
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
    donors: tuple[Path, ...],
    hardness: Path | None,
    coverage_of: Path | None,
    rounds: int | None,
    validation: tuple[Path, ...],
    is_of_clips: bool,
    **options: Any,
) -> None:
    """Grow the pose store SOURCE by crossover, mutation and selection under joint-angle limits (Algorithm 1).

    The result holds the poses of SOURCE first, then the children. Evolve training subjects only: a child's limbs may
    be those of any subject in SOURCE. An interrupted run leaves a folder beside the output and goes on with --resume.

    With --loop the output is a folder: evolved.h5 and lifter.safetensors of what erred least, rounds.csv, report.html,
    and the stores and trainings of each round. So far neither pressure has paid on other people: it
    measures whether one does on yours.

    With --clips, children are motions: clips of consecutive frames.
    """
    if num_workers and cluster is None:
        start_worker_server()  # its imports take as long as ours: both at a time
    with lasting_imports():
        from evolift.cli.progress import progress_bar
        from evolift.evolution.job.algorithm import evolve as run
        from evolift.evolution.job.coverage import coverage_of as coverage
        from evolift.evolution.job.coverage import require_probes
        from evolift.evolution.job.workers import block_workers
        from evolift.posedata.output_file import check_output
        from evolift.posedata.store import PoseStore

    settings = taken_settings(EvolutionSettings, options)
    clips = taken_settings(ClipSettings, options)
    loop = taken_settings(LoopSettings, options, **({} if rounds is None else {"rounds": rounds}))
    of_loop = _changed(loop) | {"rounds": rounds, "validation": validation}
    if is_of_clips:
        why = "is of single poses, which clips are not: leave it out"
        _require_none(why, donors=donors, hardness=hardness, coverage_of=coverage_of, **of_loop)
        if device != "cpu":
            raise InputError("`device`: clips are bred on the CPU: leave it out")
        with block_workers(num_workers, cluster) as who:
            _evolve_clips(ctx, source, output, settings, clips, preview, overwrite, resume, who)
        return
    _require_none("is of motions: add `is_of_clips`, or leave it out", **_changed(clips))
    if rounds is not None:
        why = (
            "does not go with `rounds`, which weighs parents and writes a page itself: leave one of them out"
        )
        _require_none(why, preview=preview, hardness=hardness, coverage_of=coverage_of)
        with block_workers(num_workers, cluster) as who:
            _evolve_in_loop(
                source,
                output,
                settings,
                loop,
                validation=validation,
                donors=donors,
                overwrite=overwrite,
                resume=resume,
                workers=who,
                device=device,
            )
        return
    if (hardness is None) == (settings.sampling == "hardness"):
        raise InputError(
            "`sampling` hardness and `hardness` LIFTER.safetensors belong together: give both or neither"
        )
    inputs = (source, hardness, coverage_of, *donors, *validation)
    check_output(output, overwrite=overwrite or resume, inputs=inputs)
    if preview is not None:
        check_output(preview, overwrite=overwrite or resume, inputs=inputs)
    _require_none("belongs to `rounds`: give both or neither", **of_loop)
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
            donors=donors,
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


def _changed(settings: Settings) -> dict[str, Any]:
    """Values that are not the defaults, by field."""
    defaults = type(settings)().flat()
    return {name: value for name, value in settings.flat().items() if value != defaults[name]}


def _require_none(why: str, **options: Any) -> None:
    """Refuse options that would have no effect.

    Raises:
        InputError: one is given.
    """
    for name, value in options.items():
        if value not in (None, ()):
            raise InputError(f"`{name}` {why}")


def _evolve_in_loop(
    source: Path, output: Path, evolution: EvolutionSettings, loop: LoopSettings, **options: Any
) -> None:
    """Run the loop, and say what each round did."""
    from evolift.lifter.evolution_loop import LIFTER, STORE, evolve_in_loop
    from evolift.lifter.loop_report import PAGE, kept_row, pressure_gains

    def tell(row: Mapping[str, Any]) -> None:
        click.echo(
            f"round {row['round']}, {row['sampling']}: {row['children']} children, MPJPE {row['mpjpe']:.1f} mm, P-MPJPE {row['p_mpjpe']:.1f} mm, "
            f"hardness of the originals {row['hardness']:.1f} mm, of the hardest tenth {row['hardest tenth']:.1f} mm"
        )

    rounds = evolve_in_loop(source, output, evolution, loop, on_round=tell, **options)
    kept = kept_row(rounds)
    click.echo(f"{output / STORE}, {output / LIFTER}: round {kept['round']}, {kept['sampling']}")
    over = "parents drawn alike" if loop.control else "the first round"
    for gain in pressure_gains(rounds).to_dict("records"):
        click.echo(
            f"{gain['sampling']} over {over}: {gain['gain, %']:.1f} % less error, mean of {gain['rounds']} rounds ({gain['from']:.1f} to {gain['to']:.1f})"
        )
    click.echo(f"{output / PAGE}: where it gained")


def _evolve_clips(
    ctx: click.RichContext,
    source: Path,
    output: Path,
    settings: EvolutionSettings,
    clips: ClipSettings,
    preview: Path | None,
    overwrite: bool,
    resume: bool,
    workers: BlockWorkers,
) -> None:
    """Breed motions, and say what selection did."""
    from evolift.cli.progress import progress_bar
    from evolift.evolution.clips.clip_evolution import evolve_clips, number_of_children
    from evolift.evolution.clips.clip_preview import write_clip_preview
    from evolift.posedata.output_file import check_output
    from evolift.posedata.store import PoseStore

    check_output(output, overwrite=overwrite or resume, inputs=(source,))
    if preview is not None:
        check_output(preview, overwrite=overwrite or resume, inputs=(source,))
    with PoseStore(source, validate=False) as store:
        children = number_of_children(settings, clips, len(store))
    with progress_bar("breeding clips", children) as progress:
        report = evolve_clips(
            source,
            output,
            settings,
            clips,
            overwrite=overwrite,
            resume=resume,
            workers=workers,
            progress=progress,
        )
    write_settings(ctx, output, {"report": report.to_dict()})
    if preview is not None:
        write_clip_preview(output, preview, overwrite=overwrite or resume)
    click.echo(report.table().to_string(index=False, float_format="{:.4f}".format))
    for reason, times in report.reasons().items():
        click.echo(f"  refused by {reason}: {times}")
    click.echo(
        f"{output}: {report.originals} clips of {clips.clip_frames} frames in the source ({report.originals_within_limits} within the limits) and {report.children} children"
    )
