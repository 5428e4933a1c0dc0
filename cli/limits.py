"""`evolift limits`: joint-angle limits, and how poses keep them."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from cli.options import ExistingFile


@click.group(cls=click.RichGroup)
def limits() -> None:
    """Check poses against joint-angle limits."""


@limits.command(epilog="Example:  evolift limits check test.h5 --limits anatomical")
@click.argument("source", type=ExistingFile)
@click.option("--limits", "name", default="anatomical", show_default=True, help="Joint-angle limits.")
@click.option(
    "--fail-below",
    type=click.FloatRange(0, 100),
    default=0.0,
    show_default=True,
    help="Exit with code 1 if a smaller percentage of the poses keeps all limits.",
)
@click.pass_context
def check(ctx: click.RichContext, source: Path, name: str, fail_below: float) -> None:
    """Tell per bone how many poses of the store SOURCE break its limit."""
    from cli.progress import progress_bar
    from evolution.kinematic_tree import KinematicTree
    from evolution.limit_sources import limits_by_name
    from evolution.limits_report import report_on_store
    from posedata.store import PoseStore

    with PoseStore(source) as store, progress_bar("checking", len(store)) as advance:
        report = report_on_store(store, limits_by_name(name, KinematicTree(store.skeleton)), progress=advance)
    click.echo(report.table().to_string(index=False, float_format="{:.2f}".format))
    if len(report.worst):
        click.echo(f"worst rows: {', '.join(map(str, report.worst))}")
    click.echo(f"{100 * report.rate:.2f}% of {report.poses} poses keep the limits {report.limits!r}")
    if 100 * report.rate < fail_below:
        ctx.exit(1)
