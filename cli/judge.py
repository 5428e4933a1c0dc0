"""`evolift judge`: whether evolution pays on sources that a lifter never saw."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import rich_click as click

from evolift.cli.options import (
    AnyPath,
    ExistingFile,
    RecipeCommand,
    num_workers_option,
    overwrite_option,
    resume_option,
    run_folder,
)
from evolift.cli.settings_options import settings_options, taken_settings
from evolift.evolution.settings import EvolutionSettings
from evolift.lifter.judge_settings import JudgeSettings
from evolift.posedata.errors import InputError


@click.command(
    cls=RecipeCommand,
    epilog="Example:  evolift judge walks.h5 dance.h5 -o runs/judge --arm body_rate=0 --arm body_rate=0.5 --seeds 3",
)
@click.argument("sources", nargs=-1, required=True, type=ExistingFile)
@click.option("-o", "--output", type=AnyPath, required=True, help="Folder to write.")
@click.option(
    "--test",
    "tests",
    multiple=True,
    type=ExistingFile,
    help="Further store that every lifter is tested on and none trained; repeatable.",
)
@click.option(
    "--arm",
    "arms",
    multiple=True,
    metavar="SETTINGS",
    help="A way to evolve, as settings that differ from the defaults of evolift evolve: body_rate=0.5,sigma=10; repeatable. The defaults if left out.",
)
@settings_options(JudgeSettings)
@num_workers_option
@overwrite_option
@resume_option
@click.pass_context
def judge(
    ctx: click.RichContext,
    /,
    sources: tuple[Path, ...],
    output: Path,
    tests: tuple[Path, ...],
    arms: tuple[str, ...],
    num_workers: int,
    overwrite: bool,
    resume: bool,
    **options: Any,
) -> None:
    """Train lifters without and with evolved poses on some of the stores SOURCES, and test them on the others.

    Each source is a store of other people, motions or bodies. The folder gets scores.csv, summary.csv, directions.csv, joints.png,
    directions.png, report.html and all runs. A thousand steps take about a minute on one core; with --resume nothing is bred or
    trained twice, and --seeds may be more than before.
    """
    import pandas as pd

    from evolift.evolution.job.workers import block_workers
    from evolift.lifter.evolution_judge import judge_evolution, summary, write_judgement

    settings = taken_settings(JudgeSettings, options)
    ways = {arm or "evolved": _evolution(arm) for arm in arms or ("",)}
    with (
        run_folder(ctx, output, overwrite=overwrite, resume=resume, may_change={"seeds"}),
        block_workers(num_workers) as who,
    ):
        parts = []
        for scores in judge_evolution(
            sources, output, ways, settings, tests=tests, workers=who, resume=resume
        ):
            parts.append(scores)
            row = scores[scores["name"] == "overall"].iloc[0]
            click.echo(
                f"{row['trained on']} to {row['tested on']}, {row['arm']}, seed {row['seed']}: MPJPE {row['mpjpe']:.1f} mm, P-MPJPE {row['p_mpjpe']:.1f} mm"
            )
        every = pd.concat(parts, ignore_index=True)
        write_judgement(every, output)
    click.echo(summary(every).to_string(index=False, float_format="{:.1f}".format))
    click.echo(f"{output / 'report.html'}: where it gains")


def _evolution(arm: str) -> EvolutionSettings:
    """Settings of evolution that differ from the defaults as an arm says, such as `body_rate=0.5,sigma=10`."""
    given: dict[str, Any] = {}
    for part in filter(None, arm.split(",")):
        field, equals, text = (word.strip() for word in part.partition("="))
        if not equals:
            raise InputError(f"`arms`: {arm!r} must look like body_rate=0.5,sigma=10")
        try:
            given[field.replace("-", "_")] = msgspec.json.decode(text)
        except msgspec.DecodeError:
            given[field.replace("-", "_")] = text
    defaults = EvolutionSettings()
    unknown = sorted(set(given) - set(defaults.to_dict()))
    if unknown:
        raise InputError(
            f"`arms`: there is no setting {unknown[0]!r} of evolution; see `evolift evolve --help`"
        )
    return defaults.replaced(**given)
