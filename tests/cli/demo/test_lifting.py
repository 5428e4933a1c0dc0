"""The lifters of the demo: which are trained, and what the page tells of their scores."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from evolift.cli.demo.lifting import LiftingResult, lifting_jobs
from evolift.cli.demo.plan import DemoPlan
from evolift.cli.demo.report import _bars, _verdict


@pytest.mark.parametrize(
    ("seed", "seeds", "names"),
    [
        (0, 1, ["semgcn_without_0", "semgcn_with_0", "martinez_with_0"]),
        (
            7,
            2,
            [
                "semgcn_without_7",
                "semgcn_with_7",
                "semgcn_without_8",
                "semgcn_with_8",
                "martinez_with_7",
                "martinez_with_8",
            ],
        ),
    ],
)
def test_every_seed_trains_each_kind_and_the_slow_ones_begin(seed: int, seeds: int, names: list[str]) -> None:
    assert list(lifting_jobs(DemoPlan(Path("demo"), seed, seeds, 2))) == names


def result(*errors: tuple[float, float]) -> LiftingResult:
    """Of SemGCN with the seeds 0, 1, ..., each (without, with evolved poses), and of Martinez with them."""
    rows = [
        ("SemGCN", poses, seed, error, error / 2)
        for seed, pair in enumerate(errors)
        for poses, error in zip(("without", "with"), pair, strict=True)
    ] + [("Martinez MLP", "with", seed, 100.0 + seed, 60.0) for seed in range(len(errors))]
    scores = pd.DataFrame(rows, columns=["network", "poses", "seed", "mpjpe", "p_mpjpe"])
    return LiftingResult(scores, 10, None)  # type: ignore[arg-type]  # no poses are shown here


@pytest.mark.parametrize(
    ("errors", "sentence"),
    [
        ([(100.0, 90.0)], "With evolved poses the error of SemGCN is 10.0% less with seed 0 than without."),
        (
            [(100.0, 90.0), (80.0, 84.0)],
            "With evolved poses the error of SemGCN is 10.0% less with seed 0, 5.0% more with seed 1 than without. "
            "Evolution did not gain with every seed here.",
        ),
    ],
)
def test_the_gain_of_each_seed_is_told(errors: list[tuple[float, float]], sentence: str) -> None:
    assert _verdict(result(*errors)) == sentence


def test_bars_of_two_seeds_have_their_range() -> None:
    one, two = _bars(result((100.0, 90.0)), "mpjpe"), _bars(result((100.0, 90.0), (100.0, 90.0)), "mpjpe")
    apart = _bars(result((100.0, 90.0), (120.0, 110.0)), "mpjpe")
    assert one.shape == two.shape == apart.shape
    assert (one != two).any()  # whiskers of no length
    assert (two != apart).any()
