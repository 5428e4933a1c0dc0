"""Running a plan: stage after stage; what a failed stage is needed for is left out, the rest goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from evolift.cli.reproducing.plan import Plan, RowRun
from evolift.cli.reproducing.stage_run import Execute, StageResult, in_a_process, is_finished, run_stage
from evolift.cli.reproducing.stages import Stage
from evolift.posedata.errors import InputError
from evolift.posedata.extras import require_installed


@dataclass(frozen=True)
class PlanResult:
    """How the stages of a plan ended, by key; those that could not begin are missing."""

    stages: dict[str, StageResult]

    def problem(self, run: RowRun) -> str | None:
        """Why a row has no score; None if it has."""
        for stage in run.stages:
            result = self.stages.get(stage.key)
            if result is not None and result.problem is not None:
                return result.problem
        return None

    def seconds(self, run: RowRun) -> float:
        """Of all stages of a row, those that it shares with other rows too."""
        return sum(self.stages[stage.key].seconds for stage in run.stages if stage.key in self.stages)

    @property
    def has_failed(self) -> bool:
        """Whether at least one stage of the plan failed."""
        return any(result.problem is not None for result in self.stages.values())


def require_extras(plan: Plan, root: Path) -> None:
    """Refuse to begin if a stage would end for want of a package that is an extra of the distribution.

    Args:
        plan: whose stages are looked at, but for those that are finished.
        root: folder for all of them.

    Raises:
        InputError: naming the rows, the packages and how to install them.
    """
    lacking: dict[str, list[str]] = {}
    for stage in plan.stages:
        try:
            _require_extra(stage)
        except InputError as error:
            if not is_finished(stage, root):
                rows = lacking.setdefault(str(error), [])
                rows += [run.label for run in plan.users(stage) if run.label not in rows]
    if lacking:
        raise InputError("; ".join(f"for {', '.join(rows)}: {problem}" for problem, rows in lacking.items()))


def _require_extra(stage: Stage) -> None:
    if stage.command == "data render":
        require_installed("render", "pyvista")
    if stage.options.get("pretrained") == "package":
        from evolift.detector2d.backbone import packaged_weights

        packaged_weights(str(stage.options.get("backbone")))


def run_plan(
    plan: Plan,
    root: Path,
    *,
    execute: Execute = in_a_process,
    begin: Callable[[int, Stage], object] = lambda number, stage: None,
    end: Callable[[StageResult], object] = lambda result: None,
) -> PlanResult:
    """Run the stages of a plan that are not finished.

    Args:
        plan: whose stages are in an order in which they can run.
        root: folder for all of them.
        execute: see `stage_run`.
        begin: told of each stage that runs or is found finished, with its number from 1.
        end: told how it ended.

    Raises:
        InputError: another process is at work on a stage.
    """
    results: dict[str, StageResult] = {}
    for number, stage in enumerate(plan.stages, 1):
        before = [results.get(other.key) for other in stage.before]
        if any(result is None or result.problem is not None for result in before):
            continue
        begin(number, stage)
        results[stage.key] = run_stage(stage, root, execute)
        end(results[stage.key])
    return PlanResult(results)
