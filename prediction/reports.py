"""Sentences said while a prediction goes on: which weights are used, what a file was recognised as, notes."""

from __future__ import annotations

from collections.abc import Callable

Report = Callable[[str], object]
"""Is called with one sentence at a time."""


def report_nothing(sentence: str) -> None:
    """Says nothing: the default everywhere."""
