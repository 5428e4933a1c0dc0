"""The table of what became of damaged files, behind the tests that made it."""

from __future__ import annotations

from collections import Counter

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    counts = {
        name: Counter(verdicts)
        for report in reports
        for key, (name, verdicts) in getattr(report, "user_properties", ())
        if key == "verdicts"
    }
    if not counts:
        return
    from tests.robustness.verdicts import VERDICTS

    terminalreporter.section("verdicts on damaged files")
    counts["all"] = sum(counts.values(), Counter())
    terminalreporter.line(f"{'':30}" + "".join(f"{verdict:>10}" for verdict in VERDICTS))
    for name, verdicts in counts.items():
        terminalreporter.line(f"{name:30}" + "".join(f"{verdicts[verdict]:10}" for verdict in VERDICTS))
