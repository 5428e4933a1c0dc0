"""The table of `evolift reproduce`: a line for each row and seed, and which orderings of the report hold here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evolift.cli.reproducing.plan import Plan, RowRun
from evolift.cli.reproducing.plan_run import PlanResult
from evolift.cli.reproducing.report_rows import ORDERINGS, ROWS
from evolift.posedata.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

CHAIN_INPUT = "lifter on detected 2D"


@dataclass(frozen=True)
class RowResult:
    """What became of one row with one seed.

    Args:
        run: the row.
        scores: MPJPE in mm by split; empty if a stage failed.
        seconds: of all stages that it needs.
        problem: why it has no score.
    """

    run: RowRun
    scores: dict[str, float]
    seconds: float
    problem: str | None

    @property
    def score(self) -> float | None:
        """On the split that the report scored the row on."""
        return self.scores.get(self.run.row.split)


def row_results(plan: Plan, result: PlanResult, root: Path) -> list[RowResult]:
    """Scores of all rows of a plan that ran.

    Raises:
        InputError: a file of scores is not what it should be.
    """
    results = []
    for run in plan.rows:
        problem = result.problem(run)
        scores = {} if problem else {split: _score(run, split, root) for split in run.scores}
        results.append(RowResult(run, scores, result.seconds(run), problem))
    return results


def _score(run: RowRun, split: str, root: Path) -> float:
    """MPJPE, mm, of the evaluation's CSV file."""
    import pandas as pd

    path = run.scores[split].product().located(root)
    table = pd.read_csv(path)
    column, name = ("input", CHAIN_INPUT) if run.is_chain else ("name", "overall")
    if column not in table or "mpjpe" not in table:
        raise InputError(f"{path}: it has no MPJPE: the images scored on need 3D joints and cameras")
    return float(table.loc[table[column] == name, "mpjpe"].iloc[0])


def score_table(plan: Plan, results: list[RowResult], root: Path) -> pd.DataFrame:
    """A line for each row and seed.

    Published scores are of Human3.6M: they are a column only where ours are of the same data at full scale.
    """
    import pandas as pd

    lines = []
    for result in results:
        run, row = result.run, result.run.row
        lines.append(
            {"row": row.number, "seed": run.seed, "backbone": row.backbone, "network here": run.backbone}
            | {"extensions": ", ".join(row.extensions) or "–"}
            | ({"published (mm)": row.published} if plan.is_comparable else {})
            | {
                "ours (mm)": float("nan") if result.score is None else result.score,
                "split": row.split,
                "time (min)": result.seconds / 60,
                "run": run.model.located(root).parent.relative_to(root).as_posix(),
            }
            | {
                f"ours on {split} (mm)": result.scores.get(split, float("nan"))
                for split in ("validation", "test")
            }
            | {"problem": result.problem or ""}
        )
    return pd.DataFrame(lines)


def ordering_table(results: list[RowResult]) -> pd.DataFrame:
    """Which of the report's orderings hold among our scores: the means over the seeds that both rows have."""
    import pandas as pd

    scores = {
        (result.run.row.number, result.run.seed): result.score
        for result in results
        if result.score is not None
    }
    lines = []
    for ordering in ORDERINGS:
        pairs = [
            (score, scores[ordering.worse, seed])
            for (number, seed), score in scores.items()
            if number == ordering.better and (ordering.worse, seed) in scores
        ]
        holds, difference, of_seeds = "not run", float("nan"), ""
        if pairs:
            better, worse = (sum(column) / len(pairs) for column in zip(*pairs, strict=True))
            difference = better - worse
            holds = "yes" if difference < 0 else "no"
            of_seeds = f"{sum(a < b for a, b in pairs)} of {len(pairs)}"
        lines.append(
            {
                "the report shows": ordering.claim,
                "rows": f"{ordering.better} below {ordering.worse}",
                "split": ROWS[ordering.better].split,
                "holds here": holds,
                "difference (mm)": difference,
                "seeds in which it holds": of_seeds,
            }
        )
    return pd.DataFrame(lines)


def caption(plan: Plan) -> str:
    """What the scores are of, to stand above them."""
    if plan.is_comparable:
        return f"MPJPE in mm on Human3.6M; {plan.scale.purpose}."
    return (
        f"Scale {plan.scale.name}: {plan.scale.purpose}. MPJPE in mm on other data than Human3.6M or at another scale: "
        "compare these scores with each other, never with published ones, which this table leaves out."
    )


NOTES = (
    "Rows 1 to 5 and 7 to 9: the volumetric detector's poses, root-relative, back-projected with the true depth of the root. "
    "Rows 10 to 14: depth alone, with the true x and y. The checkpoint of a row is the best on the validation split, so scores "
    "on that split flatter; with E (trained on it too) it is the last. Time is that of all stages a row needs, shared ones too."
)


def markdown(plan: Plan, results: list[RowResult], root: Path) -> str:
    """The tables as Markdown, with links to the runs."""
    table = score_table(plan, results, root)
    shown = table.drop(columns=[name for name in table if str(name).startswith("ours on ")])
    if not shown["problem"].any():
        shown = shown.drop(columns="problem")
    shown["run"] = [f"[{Path(run).parent.name}]({run})" for run in shown["run"]]
    lines = ["# The report's rows", "", caption(plan), "", *_markdown_table(shown), "", NOTES, ""]
    lines += ["## Which of the report's orderings hold", "", *_markdown_table(ordering_table(results))]
    return "\n".join(lines) + "\n"


def _markdown_table(table: pd.DataFrame) -> list[str]:
    def cell(value: object) -> str:
        if isinstance(value, float):
            return "–" if math.isnan(value) else f"{value:.1f}"
        return str(value).replace("|", "\\|")

    rows = [list(table.columns), ["---"] * len(table.columns), *table.to_numpy(dtype=object).tolist()]
    return ["| " + " | ".join(cell(value) for value in row) + " |" for row in rows]
