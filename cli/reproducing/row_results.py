"""The table of `evolift reproduce`: a line for each row and seed, and which orderings of the report hold here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evolift.cli.reproducing.plan import Plan, RowRun
from evolift.cli.reproducing.plan_run import PlanResult
from evolift.cli.reproducing.report_rows import ORDERINGS, ROWS, Ordering
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
    """Which of the report's orderings hold among our scores: the means over the seeds that both rows have.

    One holds if it holds in every seed, does not if it holds in none, and is undecided if seeds disagree. No verdict is
    given where the scale makes both rows the same training, or gives the same network to rows that the report compares
    for theirs.
    """
    import pandas as pd

    return pd.DataFrame([_ordering_line(ordering, results) for ordering in ORDERINGS])


def _ordering_line(ordering: Ordering, results: list[RowResult]) -> dict[str, object]:
    pairs = [
        (better, worse)
        for better in results
        for worse in results
        if (better.run.row.number, worse.run.row.number) == (ordering.better, ordering.worse)
        and better.run.seed == worse.run.seed
    ]
    scored = [split for split in ordering.splits if any(_pair(split, *pair) for pair in pairs)]
    split = scored[0] if scored else ordering.splits[0]
    scores = [pair for better, worse in pairs if (pair := _pair(split, better, worse))]
    verdict, *remarks = _where_alike(ordering, pairs)
    first, second = (ROWS[number] for number in (ordering.better, ordering.worse))
    if first.split != second.split:
        remarks.append(
            f"the report scored row {first.number} on {first.split}, row {second.number} on {second.split}"
        )
    wins = sum(better < worse for better, worse in scores)
    if not scores:
        verdict = "not run"
    elif not verdict:
        verdict = {len(scores): "yes", 0: "no"}.get(wins, "undecided")
    means = [sum(column) / len(scores) for column in zip(*scores, strict=True)] or [math.nan, math.nan]
    return {
        "the report shows": ordering.claim,
        "rows": f"{ordering.better} below {ordering.worse}",
        "split": split,
        "first (mm)": means[0],
        "second (mm)": means[1],
        "difference (mm)": means[0] - means[1],
        "holds here": verdict,
        "seeds in which it holds": f"{wins} of {len(scores)}"
        if verdict in ("yes", "no", "undecided")
        else "",
        "remark": "; ".join(filter(None, remarks)),
    }


def _pair(split: str, better: RowResult, worse: RowResult) -> tuple[float, float] | None:
    """Both rows' scores on a split, if both have one."""
    if split in better.scores and split in worse.scores:
        return better.scores[split], worse.scores[split]
    return None


def _where_alike(ordering: Ordering, pairs: list[tuple[RowResult, RowResult]]) -> tuple[str, str]:
    """What stands in place of a verdict, if anything, and a remark, where a scale makes two rows alike."""
    if any(better.run.model.identity == worse.run.model.identity for better, worse in pairs):
        return "cannot be told", "both rows are the same training at this scale"
    same = sorted({a.run.backbone for a, b in pairs if a.run.backbone == b.run.backbone})
    if not (ordering.backbones_differ and same):
        return "", ""
    if ordering.is_of_backbones_alone:
        return "cannot be told", f"both rows have the network {', '.join(same)} at this scale"
    return "", f"without the change of backbone: both rows have {', '.join(same)} at this scale"


def caption(plan: Plan) -> str:
    """What the scores are of, to stand above them."""
    if plan.is_comparable:
        return f"MPJPE in mm on Human3.6M; {plan.scale.purpose}."
    return (
        f"Scale {plan.scale.name}: {plan.scale.purpose}. MPJPE in mm on other data than Human3.6M or at another scale: "
        "compare these scores with each other, never with published ones, which this table leaves out."
    )


NOTES = (
    "Rows 1 to 5 and 7 to 9: the detector's poses, root-relative, back-projected with the true depth of the root. "
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
