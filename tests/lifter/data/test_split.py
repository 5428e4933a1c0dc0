from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from evolift.lifter.data.split import split_rows
from evolift.lifter.settings import Split
from evolift.posedata.errors import InputError
from evolift.posedata.store import PoseStore


@pytest.fixture
def table(evolved_store):
    with PoseStore(evolved_store) as store:
        return store.table()


def ancestors(table, row: int) -> set[int]:
    found = {row}
    for name in ("parent_a", "parent_b"):
        parent = int(table[name].iloc[row])
        if parent >= 0:
            found |= ancestors(table, parent)
    return found


@pytest.mark.parametrize(
    "split",
    [Split(validation_share=0.2), Split(validation_subjects=("bob",)), Split(validation_actions=("sit",))],
)
def test_nothing_that_trains_descends_from_what_validates(table, split) -> None:
    training, validation = split_rows(table, split, 0)
    assert len(validation)
    assert not set(training) & set(validation)
    for row in training:
        assert not ancestors(table, int(row)) & set(validation.tolist())
    dropped = set(range(80)) - set(training) - set(validation)
    for row in dropped:  # and nothing is dropped without a reason
        bred = table["generation"].iloc[row] > 0
        assert bred
        named = table["subject"].iloc[row] == "bob" or table["action"].iloc[row] == "sit"
        assert named or ancestors(table, row) & set(validation.tolist())


def test_share_holds_out_whole_clips(table) -> None:
    _, validation = split_rows(table, Split(validation_share=0.2), 0)
    clips = table.iloc[:40].groupby(["subject", "action"], observed=True).indices
    held = [rows for rows in clips.values() if set(rows) <= set(validation)]
    assert sum(len(rows) for rows in held) == len(validation) == 10


def test_share_depends_on_the_seed_only(table) -> None:
    chosen = {tuple(split_rows(table, Split(validation_share=0.2), seed)[1]) for seed in range(12)}
    again = split_rows(table, Split(validation_share=0.2), 0)[1]
    assert len(chosen) > 1
    np.testing.assert_array_equal(again, split_rows(table, Split(validation_share=0.2), 0)[1])


def test_only_named_subjects_and_actions_are_used(table) -> None:
    training, validation = split_rows(
        table, Split(subjects=("ann",), actions=("sit",), validation_share=0.0), 0
    )
    assert set(table["subject"].iloc[training]) == {"ann"}
    assert set(table["action"].iloc[training]) == {"sit"}
    assert len(validation) == 0


def test_bad_names_and_empty_parts_are_refused(table) -> None:
    with pytest.raises(InputError, match="there is no subject 'carl': the store has ann, bob"):
        split_rows(table, Split(subjects=("carl",)), 0)
    with pytest.raises(InputError, match="no poses are left for training"):
        split_rows(table, Split(subjects=("ann",), validation_subjects=("ann",)), 0)
    with pytest.raises(
        InputError, match=r"`validation_share` must be a number of at least 0 and at most 0\.9, not 1\.0"
    ):
        Split(validation_share=1.0)


def test_children_of_a_subject_that_is_not_asked_for_do_not_train() -> None:
    table = pd.DataFrame(
        {
            "subject": pd.Categorical(["01", "02", "01", "01"]),
            "action": pd.Categorical(["walk"] * 4),
            "generation": [0, 0, 1, 1],
            "parent_a": [-1, -1, 0, 0],
            "parent_b": [-1, -1, 1, 0],
        }
    )
    training, _ = split_rows(table, Split(subjects=("01",), validation_share=0), 0)
    assert training.tolist() == [0, 3]
