"""`evolift reproduce`: the rows of the report's table, run and set in one table."""

from __future__ import annotations

import contextlib
import shlex
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from evolift.cli.options import (
    AnyPath,
    ExistingFile,
    ExistingPath,
    RecipeCommand,
    command_record,
    seed_option,
)

if TYPE_CHECKING:
    from evolift.cli.reproducing.plan import Plan
    from evolift.cli.reproducing.plan_run import PlanResult
    from evolift.cli.reproducing.stage_run import StageResult
    from evolift.cli.reproducing.stages import Stage


@click.command(cls=RecipeCommand)
@click.argument("rows", nargs=-1)
@click.option(
    "--data",
    "stores",
    type=ExistingFile,
    multiple=True,
    help="Store of photographs, of images with 3D joints, or of 3D poses (people are rendered in them); repeat for more. Built-in actors if there are no 3D joints.",
)
@click.option(
    "--scale",
    "scale_name",
    default="full",
    show_default=True,
    help="full (as the rows' recipes say), small (hours become minutes, on two CPU cores), or a .toml file like cli/reproducing/scales/small.toml.",
)
@click.option("--test-subjects", help="People to test on, with commas.  [default: of the scale]")
@click.option(
    "--validation-subjects", help="People of the validation split, with commas.  [default: of the scale]"
)
@click.option("--validation-actions", help="Actions of the validation split instead, with commas.")
@click.option(
    "--occluders",
    type=ExistingPath,
    help="What is pasted in rows with O: a Pascal VOC folder, or a file of `evolift detector cut-outs`. Synthetic if left out.",
)
@click.option(
    "-o", "--output", type=AnyPath, default=Path("runs/reproduce"), show_default=True, help="Folder to write."
)
@click.option("--plan", "only_plan", is_flag=True, help="Check and print the stages, and run nothing.")
@click.option(
    "--num-workers", type=click.IntRange(0), default=1, show_default=True, help="As stages take it."
)
@click.option("--accelerator", default="auto", show_default=True, help="As stages take it.")
@click.option("--devices", default="auto", show_default=True, help="As stages take it.")
@seed_option
@click.pass_context
def reproduce(
    ctx: click.RichContext, /, rows: tuple[str, ...], output: Path, only_plan: bool, **options: Any
) -> None:
    """Run ROWS of the report's table (1 to 14; all if none are named), and set them in one table.

    ROWS look like 3, 1-9, or 10-14x2 (each with two seeds). What rows have in common runs once. Run the same command
    again to go on: finished stages are skipped and interrupted trainings resumed. A stage that fails costs the rows that
    need it; the others go on, and the exit code is 1. The output folder gets table.md, table.csv, orderings.csv,
    report.html with images of each row, and stages/, each with its log.

    Example:

    \b
      evolift reproduce --scale small --data photos_train.h5 --data cmu.h5 \\
        --test-subjects 02 --validation-actions 01_03,01_08,03_03 -o runs/report
    """
    from evolift.cli.reproducing import stage_run
    from evolift.cli.reproducing.data_stages import Division
    from evolift.cli.reproducing.plan import make_plan
    from evolift.cli.reproducing.plan_run import require_extras, run_plan
    from evolift.cli.reproducing.report_rows import chosen_rows
    from evolift.cli.reproducing.scale import read_scale
    from evolift.posedata.num_workers import require_workers

    chosen = chosen_rows(rows)
    scale = read_scale(options["scale_name"])
    division = Division(
        _names(options["test_subjects"], scale.test_subjects),
        _names(options["validation_subjects"], scale.validation_subjects),
        _names(options["validation_actions"], ()),
    )
    plan = make_plan(
        chosen,
        options["stores"],
        scale,
        division,
        seed=options["seed"],
        occluders=options["occluders"],
        execution={
            name.replace("_", "-"): options[name] for name in ("num_workers", "accelerator", "devices")
        },
    )
    require_extras(plan, output)
    if only_plan:
        _print_plan(plan, output)
        return
    require_workers(options["num_workers"])
    _prepare(ctx, output)
    with ended_by_signals():
        result = run_plan(
            plan,
            output,
            execute=stage_run.in_a_process,
            begin=lambda number, stage: _print_stage(plan, number, stage),
            end=_print_result,
        )
    _write_results(plan, result, output)
    if result.has_failed:
        ctx.exit(1)


def _names(given: str | None, otherwise: tuple[str, ...]) -> tuple[str, ...]:
    if given is None:
        return otherwise
    return tuple(name.strip() for name in given.split(",") if name.strip())


def _print_plan(plan: Plan, output: Path) -> None:
    for number, stage in enumerate(plan.stages, 1):
        click.echo(f"{number}. for {_rows_of(plan, stage)}:")
        click.echo(f"   evolift {shlex.join(stage.words(output))}")


def _rows_of(plan: Plan, stage: Stage) -> str:
    users = plan.users(stage)
    if len(users) == len(plan.rows) > 1:
        return "all rows"
    return ", ".join(run.label for run in users)


def _prepare(ctx: click.Context, output: Path) -> None:
    """The folder, refused if something else is in it; and the settings, of the last call."""
    from evolift.posedata.errors import OutputError
    from evolift.posedata.output_file import SETTINGS, check_output, write_json

    if output.is_file():
        raise OutputError(f"{output} is a file: choose another output folder")
    if output.is_dir() and any(output.iterdir()) and not (output / SETTINGS).exists():
        raise OutputError(
            f"{output} was not made by evolift (no {SETTINGS} in it): choose another output folder"
        )
    check_output(output / SETTINGS, overwrite=True)
    write_json(output / SETTINGS, command_record(ctx))


def _print_stage(plan: Plan, number: int, stage: Stage) -> None:
    click.echo(f"{number}/{len(plan.stages)} {stage.name} for {_rows_of(plan, stage)}", err=True)


def _print_result(result: StageResult) -> None:
    if result.problem is not None:
        click.echo(f"Error: {result.problem}", err=True)
    else:
        done = "was finished before, in" if result.was_finished else "took"
        click.echo(f"    {done} {result.seconds:.0f} s", err=True)


def _write_results(plan: Plan, result: PlanResult, output: Path) -> None:
    from evolift.cli.reproducing.result_page import write_page
    from evolift.cli.reproducing.row_results import markdown, ordering_table, row_results, score_table
    from evolift.posedata.output_file import write_text

    results = row_results(plan, result, output)
    text = markdown(plan, results, output)
    write_text(output / "table.md", text)
    write_text(output / "table.csv", score_table(plan, results, output).to_csv(index=False))
    write_text(output / "orderings.csv", ordering_table(results).to_csv(index=False))
    write_page(output / "report.html", plan, results, output)
    click.echo(text)
    seconds = sum(stage.seconds for stage in result.stages.values())
    click.echo(f"{seconds / 60:.0f} min of stages in all. Page: {output / 'report.html'}")


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """While a stage runs, a request to end (SIGTERM) ends it too, as Ctrl+C does."""

    def end(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
