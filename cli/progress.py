"""A progress bar with rate and time left, for commands that do not train."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from evolift.posedata.progress import Progress


@contextlib.contextmanager
def progress_bar(
    description: str, total: int | None = None, *, begins_when_told: bool = False
) -> Iterator[Progress]:
    """Show what is told as a bar.

    The bar goes to standard error, so that what a command prints can be piped.

    Args:
        description: what is done.
        total: how many items there are, None if that is told later or never.
        begins_when_told: show the bar when the first is told, so that work which is refused before leaves none.
    """
    from rich import progress as bars
    from rich.console import Console

    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TextColumn("{task.fields[rate]}"),
        bars.TimeElapsedColumn(),
        bars.TimeRemainingColumn(),
    )
    shown = bars.Progress(*columns, console=Console(stderr=True))
    task = shown.add_task(description, total=total, rate="")

    def progress(done: int, total: int | None = None) -> None:
        if total is not None:
            shown.update(task, total=total)
        shown.advance(task, done)
        speed = shown.tasks[0].speed
        shown.update(task, rate=f"{speed:,.0f}/s" if speed and speed >= 1 else "")
        shown.start()  # if it has not begun yet

    if not begins_when_told:
        shown.start()
    try:
        yield progress
    finally:
        if shown.live.is_started:
            shown.stop()
