"""`evolift limits`: joint-angle limits, and how poses keep them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import rich_click as click

from evolift.cli.options import ExistingFile, RecipeCommand, output_option, overwrite_option
from evolift.cli.settings_options import settings_options, taken_settings
from evolift.evolution.settings import EvolutionSettings, FitSettings


@click.group(cls=click.RichGroup)
def limits() -> None:
    """Fit joint-angle limits, and check poses against them."""


@limits.command(
    cls=RecipeCommand, epilog="Example:  evolift limits fit train.h5 -o limits.h5 --held-out test.h5"
)
@click.argument("source", type=ExistingFile)
@output_option("File of joint limits (.h5)")
@settings_options(FitSettings)
@click.option("--held-out", type=ExistingFile, help="Store of other poses: tell how many of them pass.")
@overwrite_option
def fit(
    source: Path,
    output: Path,
    held_out: Path | None,
    overwrite: bool,
    **options: Any,
) -> None:
    """Learn joint-angle limits from the poses of the store SOURCE; use them as --limits fitted:FILE."""
    from evolift.cli.progress import progress_bar
    from evolift.evolution.limits.fitting import fit_store
    from evolift.evolution.limits.limits_report import report_on_store
    from evolift.posedata.output_file import check_output
    from evolift.posedata.store import PoseStore

    settings = taken_settings(FitSettings, options)
    check_output(output, overwrite=overwrite)
    with PoseStore(source) as store, progress_bar("fitting", len(store)) as progress:
        fitted = fit_store(store, output, settings, overwrite=overwrite, progress=progress)
    click.echo("share of the sphere that each bone may point to:")
    for bone, share in fitted.coverage().items():
        click.echo(f"  {bone:<16}{100 * share:6.1f}%")
    click.echo(f"{output}: limits fitted on {fitted.poses} poses")
    if held_out is not None:
        with PoseStore(held_out) as store:
            report = report_on_store(store, fitted)
        click.echo(report.table().to_string(index=False, float_format="{:.2f}".format))
        click.echo(f"{100 * report.rate:.2f}% of {report.poses} poses of {held_out} keep these limits")


@limits.command(
    cls=RecipeCommand,
    epilog="Example:  evolift limits check test.h5 --limits fitted:limits.h5 --figure worst.png",
)
@click.argument("source", type=ExistingFile)
@settings_options(EvolutionSettings, only=("limits", "criteria"))
@click.option(
    "--random-limbs",
    is_flag=True,
    help="Also tell how many pass of the same bodies with uniformly random limb directions.",
)
@click.option(
    "--figure",
    type=click.Path(dir_okay=False, path_type=Path),
    help="PNG to write: the poses that break most limits, broken bones in red.",
)
@click.option(
    "--fail-below",
    type=click.FloatRange(0, 100),
    default=0.0,
    show_default=True,
    help="Exit with code 1 if a smaller percentage of the poses keeps all limits.",
)
@overwrite_option
@click.pass_context
def check(
    ctx: click.RichContext,
    /,
    source: Path,
    limits: str,
    criteria: tuple[str, ...],
    random_limbs: bool,
    figure: Path | None,
    fail_below: float,
    overwrite: bool,
) -> None:
    """Report per bone how many poses of the store SOURCE break its limit."""
    from evolift.cli.progress import progress_bar
    from evolift.evolution.criteria.criterion_sources import criteria_by_names
    from evolift.evolution.kinematics.kinematic_tree import KinematicTree
    from evolift.evolution.limits.limit_sources import joint_limits
    from evolift.evolution.limits.limits_report import report_on_store
    from evolift.evolution.limits.worst_poses import write_worst_poses
    from evolift.posedata.output_file import check_output
    from evolift.posedata.store import PoseStore

    if figure is not None:
        check_output(figure, overwrite=overwrite)
    with PoseStore(source) as store:
        tree = KinematicTree(store.skeleton)
        chosen, asked = joint_limits(limits, tree.skeleton), criteria_by_names(criteria, tree)
        with progress_bar("checking", len(store)) as progress:
            report = report_on_store(
                store, chosen, criteria=asked, random_limbs=random_limbs, progress=progress
            )
        if figure is not None and len(report.worst):
            write_worst_poses(store, chosen, report, figure, overwrite=overwrite)
    click.echo(report.table().to_string(index=False, float_format="{:.2f}".format, na_rep="-"))
    if len(report.worst):
        click.echo(f"worst rows: {', '.join(map(str, report.worst))}")
    click.echo(f"{100 * report.rate:.2f}% of {report.poses} poses keep the limits {report.limits!r}")
    if report.random is not None:
        click.echo(f"{100 * report.random.rate:.2f}% of them do with random limbs")
    if asked:
        plausible = 1 - report.implausible / report.poses
        click.echo(f"{100 * plausible:.2f}% of {report.poses} poses meet the criteria {', '.join(criteria)}")
    if figure is not None:
        click.echo(f"{figure}: the worst poses" if len(report.worst) else "no pose breaks a limit: no figure")
    if 100 * report.rate < fail_below:
        ctx.exit(1)
