"""Sentences said while a prediction goes on: which weights are used, what a file was recognised as, notes."""

from __future__ import annotations

from collections.abc import Callable

Report = Callable[[str], object]
"""Is called with one sentence at a time."""


class Held:
    """Keeps sentences back until what they are about is used, so that errors that come before stand alone."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._held: list[str] = []

    def hold(self, sentence: str) -> None:
        """Keep a sentence."""
        self._held.append(sentence)

    def release(self) -> None:
        """Say what was kept."""
        while self._held:
            self._report(self._held.pop(0))


def nothing() -> None:
    """Does nothing."""


def report_nothing(sentence: str) -> None:
    """Says nothing: the default everywhere."""
