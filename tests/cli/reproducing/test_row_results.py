from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from evolift.cli.reproducing.plan import Plan, RowRun
from evolift.cli.reproducing.plan_run import PlanResult
from evolift.cli.reproducing.report_rows import ROWS
from evolift.cli.reproducing.row_results import RowResult, markdown, ordering_table, row_results, score_table
from evolift.cli.reproducing.scale import read_scale
from evolift.cli.reproducing.stage_run import StageResult
from evolift.cli.reproducing.stages import BEST, Stage
from evolift.posedata.errors import InputError


def row_run(number: int, seed: int = 0) -> RowRun:
    is_chain = number in (6, *range(10, 15))
    train = Stage("finetune" if is_chain else "detector train", {"steps": number, "seed": seed})
    model = train.product(BEST)
    score = Stage("chain evaluate" if is_chain else "detector evaluate", {}, (model,))
    split = ROWS[number].split
    return RowRun(ROWS[number], seed, (train, score), model, is_chain, {split: score}, {}, "net")


def result_of(number: int, score: float | None, seed: int = 0) -> RowResult:
    run = row_run(number, seed)
    scores = {} if score is None else {run.row.split: score}
    return RowResult(run, scores, 90.0, None if score is not None else "evolift x failed: see log")


def plan_of(*runs: RowRun, comparable: bool = False) -> Plan:
    return Plan(read_scale("small"), runs, tuple(s for run in runs for s in run.stages), comparable)


def lines_of(results: list[RowResult]) -> dict[str, dict[str, Any]]:
    """The lines of the orderings' table, by their rows."""
    lines = ordering_table(results).to_dict("records")
    return {line["rows"]: {str(name): value for name, value in line.items()} for line in lines}


def test_scores_are_read_from_what_the_commands_write(tmp_path: Path) -> None:
    detector, chain = row_run(5), row_run(12)
    tables = {
        detector: "name,mpjpe\nhead,1.0\noverall,120.5\nmean of joints,3.0\n",
        chain: "input,mpjpe\nlifter on labelled 2D,50.0\nlifter on detected 2D,90.25\n",
    }
    for run, text in tables.items():
        path = run.scores[run.row.split].product().located(tmp_path)
        path.parent.mkdir(parents=True)
        path.write_text(text)
    plan = plan_of(detector, chain)
    done = PlanResult({stage.key: StageResult(None, 30.0) for stage in plan.stages})
    first, second = row_results(plan, done, tmp_path)
    assert (first.score, second.score) == (120.5, 90.25)
    assert first.seconds == 60
    path = detector.scores["test"].product().located(tmp_path)
    path.write_text("name,error\noverall,3.0\n")
    with pytest.raises(InputError, match="it has no MPJPE"):
        row_results(plan, done, tmp_path)


def test_orderings_are_means_over_the_seeds_that_both_rows_have() -> None:
    results = [
        *(result_of(12, score, seed) for seed, score in enumerate((100.0, 110.0))),
        *(result_of(13, score, seed) for seed, score in enumerate((90.0, 112.0, 10.0))),
        *(result_of(11, score, seed) for seed, score in enumerate((120.0, 130.0))),
        result_of(14, None),
        result_of(2, 80.0),
        result_of(1, 70.0),
    ]
    table = lines_of(results)
    assert (table["13 below 12"]["first (mm)"], table["13 below 12"]["second (mm)"]) == (101.0, 105.0)
    assert table["13 below 12"]["difference (mm)"] == pytest.approx(-4.0)
    assert table["13 below 12"]["seeds in which it holds"] == "1 of 2"
    assert table["13 below 12"]["holds here"] == "undecided"
    assert table["12 below 11"]["holds here"] == "yes"
    assert table["12 below 11"]["seeds in which it holds"] == "2 of 2"
    assert table["2 below 1"]["holds here"] == "no"
    assert table["2 below 1"]["seeds in which it holds"] == "0 of 1"
    assert table["14 below 13"]["holds here"] == "not run"
    assert pd.isna(table["14 below 13"]["difference (mm)"])
    assert table["14 below 13"]["seeds in which it holds"] == ""


def test_rows_that_the_report_scored_on_two_splits_are_compared_on_the_test_split() -> None:
    fifth, ninth = result_of(5, 100.0), result_of(9, 50.0)
    fifth.scores["validation"] = 40.0
    table = lines_of([fifth, ninth])
    line = table["5 below 9"]
    assert (line["split"], line["holds here"], line["difference (mm)"]) == ("validation", "yes", -10.0)
    ninth.scores["test"] = 99.0
    line = lines_of([fifth, ninth])["5 below 9"]
    assert (line["split"], line["holds here"], line["difference (mm)"]) == ("test", "no", 1.0)
    assert line["remark"] == "the report scored row 5 on test, row 9 on validation"


def test_no_verdict_on_backbones_where_the_scale_has_one_network_for_both() -> None:
    def result(number: int, backbone: str, of_row: int) -> RowResult:
        run = dataclasses.replace(row_run(of_row), row=ROWS[number], backbone=backbone)
        return RowResult(run, {"test": float(number)}, 90.0, None)

    def line(better: RowResult, worse: RowResult) -> dict[str, Any]:
        rows = f"{better.run.row.number} below {worse.run.row.number}"
        return lines_of([better, worse])[rows]

    shared = line(result(8, "one", 7), result(7, "one", 7))
    assert shared["holds here"] == "cannot be told"
    assert shared["seeds in which it holds"] == ""
    assert shared["remark"] == "both rows are the same training at this scale"
    alike = line(result(8, "one", 8), result(7, "one", 7))
    assert alike["holds here"] == "cannot be told"
    assert alike["remark"] == "both rows have the network one at this scale"
    other = line(result(8, "one", 8), result(7, "two", 7))
    assert (other["holds here"], other["remark"]) == ("no", "")
    mixed = line(result(5, "one", 5), result(4, "one", 4))
    assert mixed["holds here"] == "no"
    assert mixed["remark"] == "without the change of backbone: both rows have one at this scale"
    same = line(result(4, "one", 4), result(3, "one", 3))
    assert (same["holds here"], same["remark"]) == ("no", "")


def test_published_scores_are_left_out_where_they_do_not_compare(tmp_path: Path) -> None:
    results = [result_of(5, 123.4), result_of(12, None)]
    runs = [result.run for result in results]
    small = plan_of(*runs)
    text = markdown(small, results, tmp_path)
    table = score_table(small, results, tmp_path)
    for number in (5, 12):
        assert f"{ROWS[number].published:.1f}" not in text
    assert "published (mm)" not in table
    assert "Scale small: " in text
    assert "never with published ones" in text
    assert "| 5 | 0 | ResNeXt101 | net | I, O, A | 123.4 | test | 1.5 | [" in text
    assert "evolift x failed: see log" in text
    assert pd.isna(table["ours (mm)"].iloc[1])
    link = f"stages/{runs[0].stages[0].name}/run"
    assert f"({link})" in text
    compared = plan_of(*runs, comparable=True)
    assert list(score_table(compared, results, tmp_path)["published (mm)"]) == [54.14, 54.12]
    assert "Human3.6M; " in markdown(compared, results, tmp_path)
