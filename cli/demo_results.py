"""What the stages of `evolift demo` leave for its report."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from evolift.lifter.settings import Architecture

if TYPE_CHECKING:
    import pandas as pd

    from evolift.chain.evaluation import ChainPredictions

LIFTERS: dict[str, tuple[Architecture, bool]] = {
    "Martinez MLP": ("martinez", False),
    "SemGCN": ("semgcn", False),
    "SemGCN + evolved": ("semgcn", True),
}
"""Name -> architecture, and whether evolved poses are trained on."""


@dataclass
class DemoResults:
    """What the stages leave for the report.

    Args:
        output: folder of the demo.
        seconds: of each stage.
        lines: of the summary: stage, what, value.
        histories: learning curves by name of the run.
    """

    output: Path
    seconds: dict[str, float] = field(default_factory=dict)
    lines: list[dict[str, str]] = field(default_factory=list)
    histories: dict[str, pd.DataFrame] = field(default_factory=dict)
    evolution: pd.DataFrame | None = None
    lifters: pd.DataFrame | None = None
    chain: pd.DataFrame | None = None
    before: ChainPredictions | None = None
    after: ChainPredictions | None = None

    def say(self, stage: str, what: str, value: str) -> None:
        """Add a row to the summary table: stage, what was measured, and its result as text."""
        self.lines.append({"stage": stage, "what": what, "result": value})

    def path(self, name: str) -> Path:
        """Of a file or folder of the demo."""
        return self.output / name
