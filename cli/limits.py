"""`evolift limits`: joint-angle limits, and how poses keep them."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from evolift.cli.options import ExistingFile, RecipeCommand, criteria_option, output_option, overwrite_option


@click.group(cls=click.RichGroup)
def limits() -> None:
    """Fit joint-angle limits, and check poses against them."""


@limits.command(
    cls=RecipeCommand, epilog="Example:  evolift limits fit train.h5 -o limits.h5 --held-out test.h5"
)
@click.argument("source", type=ExistingFile)
@output_option("File of joint limits (.h5)")
@click.option(
    "--smoothing",
    type=float,
    default=25.0,
    show_default=True,
    help="Every seen direction of a bone allows all within this angle, degrees.",
)
@click.option(
    "--parent-smoothing",
    type=float,
    default=45.0,
    show_default=True,
    help="Forearms, shins and the like are compared with poses whose parent bone points within this angle.",
)
@click.option(
    "--support", type=int, default=1, show_default=True, help="Poses that must lie within both angles."
)
@click.option("--held-out", type=ExistingFile, help="Store of other poses: tell how many of them pass.")
@overwrite_option
def fit(
    source: Path,
    output: Path,
    smoothing: float,
    parent_smoothing: float,
    support: int,
    held_out: Path | None,
    overwrite: bool,
) -> None:
    """Learn joint-angle limits from the poses of the store SOURCE; use them as --limits fitted:FILE."""
    from evolift.cli.progress import progress_bar
    from evolift.evolution.limits.fitted_limits import FitSettings
    from evolift.evolution.limits.fitting import fit_store
    from evolift.evolution.limits.limits_report import report_on_store
    from evolift.posedata.output_file import check_output
    from evolift.posedata.store import PoseStore

    settings = FitSettings(smoothing, parent_smoothing, support)
    check_output(output, overwrite=overwrite)
    with PoseStore(source) as store, progress_bar("fitting", len(store)) as advance:
        fitted = fit_store(store, settings, output, overwrite=overwrite, progress=advance)
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
    epilog="Example:  evolift limits check test.h5 --limits fitted:limits.h5 --pictures worst.png",
)
@click.argument("source", type=ExistingFile)
@click.option(
    "--limits",
    "name",
    default="anatomical",
    show_default=True,
    help="anatomical, fitted:FILE or akhter-black:FILE.",
)
@criteria_option
@click.option(
    "--random-limbs",
    is_flag=True,
    help="Also tell how many pass of the same bodies with uniformly random limb directions.",
)
@click.option(
    "--pictures",
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
    name: str,
    criteria: str,
    random_limbs: bool,
    pictures: Path | None,
    fail_below: float,
    overwrite: bool,
) -> None:
    """Tell per bone how many poses of the store SOURCE break its limit."""
    from evolift.cli.progress import progress_bar
    from evolift.evolution.criteria.criterion_sources import criteria_by_names
    from evolift.evolution.kinematics.kinematic_tree import KinematicTree
    from evolift.evolution.limits.limit_sources import limits_by_name
    from evolift.evolution.limits.limits_report import report_on_store
    from evolift.evolution.limits.worst_pictures import write_worst_pictures
    from evolift.posedata.output_file import check_output
    from evolift.posedata.store import PoseStore

    if pictures is not None:
        check_output(pictures, overwrite=overwrite)
    with PoseStore(source) as store:
        tree = KinematicTree(store.skeleton)
        chosen, asked = limits_by_name(name, tree), criteria_by_names(criteria, tree)
        with progress_bar("checking", len(store)) as advance:
            report = report_on_store(
                store, chosen, criteria=asked, random_limbs=random_limbs, progress=advance
            )
        if pictures is not None and len(report.worst):
            write_worst_pictures(store, chosen, report, pictures, overwrite=overwrite)
    click.echo(report.table().to_string(index=False, float_format="{:.2f}".format, na_rep="-"))
    if len(report.worst):
        click.echo(f"worst rows: {', '.join(map(str, report.worst))}")
    click.echo(f"{100 * report.rate:.2f}% of {report.poses} poses keep the limits {report.limits!r}")
    if report.random is not None:
        click.echo(f"{100 * report.random.rate:.2f}% of them do with random limbs")
    if asked:
        plausible = 1 - report.implausible / report.poses
        click.echo(f"{100 * plausible:.2f}% of {report.poses} poses meet the criteria {criteria}")
    if pictures is not None:
        click.echo(
            f"{pictures}: the worst poses" if len(report.worst) else "no pose breaks a limit: no pictures"
        )
    if 100 * report.rate < fail_below:
        ctx.exit(1)
