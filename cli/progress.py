"""Progress of commands, with rate and time left."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from evolift.posedata.progress import Progress


@contextlib.contextmanager
def progress_bar(description: str, total: int | None = None) -> Iterator[Progress]:
    """Show what is told, from the first time on, see `evolift.training.progress_display.ProgressDisplay`.

    Args:
        description: what is done.
        total: how many items there are, None if that is told later or never.
    """
    from evolift.training.progress_display import ProgressDisplay

    display = ProgressDisplay(description, total)
    try:
        yield display
    finally:
        display.stop()
