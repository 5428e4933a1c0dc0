from __future__ import annotations

import pytest

from evolift.cli.recipe_file import read_recipe
from evolift.cli.reproducing.report_rows import ORDERINGS, ROWS, chosen_rows
from evolift.posedata.errors import InputError


def test_there_are_14_rows_with_a_recipe_that_tells_the_published_score() -> None:
    assert list(ROWS) == list(range(1, 15))
    for row in ROWS.values():
        expected = read_recipe(row.recipe)["expected"]
        assert f"{row.split} split: MPJPE {row.published:.2f} mm" in expected


def test_the_orderings_are_those_of_the_report_and_hold_in_it() -> None:
    pairs = [(ordering.better, ordering.worse) for ordering in ORDERINGS]
    assert pairs == [
        (2, 1), (3, 1), (4, 3), (5, 4), (8, 5), (8, 7), (5, 9), (11, 10), (12, 11), (13, 12), (14, 13)
    ]  # fmt: skip
    for better, worse in pairs:
        assert ROWS[better].published < ROWS[worse].published


def test_orderings_compare_on_the_report_s_split_or_on_the_test_split_where_it_has_two() -> None:
    splits = {(ordering.better, ordering.worse): ordering.splits for ordering in ORDERINGS}
    assert splits.pop((5, 9)) == ("test", "validation")
    for (better, worse), chosen in splits.items():
        assert chosen == (ROWS[better].split,) == (ROWS[worse].split,)


def test_one_ordering_is_of_backbones_alone() -> None:
    assert [(o.better, o.worse) for o in ORDERINGS if o.is_of_backbones_alone] == [(8, 7)]
    assert [(o.better, o.worse) for o in ORDERINGS if o.backbones_differ] == [(3, 1), (5, 4), (8, 7)]


@pytest.mark.parametrize(
    ("texts", "rows"),
    [
        ((), dict.fromkeys(range(1, 15), 1)),
        (("3",), {3: 1}),
        (("5", "1-2"), {1: 1, 2: 1, 5: 1}),
        (("9-11x2", "10x3"), {9: 2, 10: 3, 11: 2}),
        (("1,4-5",), {1: 1, 4: 1, 5: 1}),
    ],
)
def test_chosen_rows(texts: tuple[str, ...], rows: dict[int, int]) -> None:
    assert chosen_rows(texts) == rows


@pytest.mark.parametrize("text", ["15", "0", "5-3", "3x0", "two", "1-", "-1"])
def test_what_is_no_row_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"rows look like|rows are 1 to 14"):
        chosen_rows((text,))
