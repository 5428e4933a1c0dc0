"""The demo, at a twentieth of its steps: every stage runs, and the report shows them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from evolift.chain.model import ChainModel
from tests.conftest import Finished

STAGES = {"actors", "evolution", "lifter", "rendered people", "detector", "chain", "prediction"}


def test_the_quick_demo_ends_with_a_table_and_a_report(
    evolift: Callable[..., Finished], tmp_path: Path
) -> None:
    output = tmp_path / "demo"
    result = evolift("demo", "--quick", "--num-workers", "0", "-o", output)
    assert result.returncode == 0, result.stderr
    summary = pd.read_csv(output / "summary.csv")
    assert set(summary["stage"]) == STAGES
    assert all(str(what) in result.stdout for what in summary["what"])
    ChainModel.load(output / "chain" / "best.safetensors")
    assert (output / "predictions" / "page.html").stat().st_size > 50_000
    report = (output / "report.html").read_text()
    assert report.count("data:image/") >= 5
    assert "before fine-tuning" in report


def test_a_finished_demo_is_not_replaced_unasked(evolift: Callable[..., Finished], tmp_path: Path) -> None:
    output = tmp_path / "demo"
    output.mkdir()
    (output / "mine.txt").write_text("kept")
    result = evolift("demo", "--quick", "-o", output)
    assert result.returncode == 2
    assert "--overwrite" in result.stderr
    assert [path.name for path in output.iterdir()] == ["mine.txt"]
