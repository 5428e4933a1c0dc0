"""How long work tells that it goes on: what everything that takes a while is given to call."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class Progress(Protocol):
    """Is told of work as it is done; `evolift.cli.progress.progress_bar` shows it."""

    def __call__(self, done: int, total: int | None = None) -> object:
        """Take note.

        Args:
            done: items done since the last call.
            total: how many there are in all, once that is known.
        """
        ...


def no_progress(done: int, total: int | None = None) -> None:
    """Takes no note: the default everywhere."""
