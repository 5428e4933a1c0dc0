from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolift.prediction.tracking.box_tracker import BoxTracker, box_overlaps

_BOX = st.tuples(*[st.integers(0, 20)] * 2, *[st.integers(0, 12)] * 2)


@given(_BOX, _BOX)
def test_overlap_counts_shared_cells(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    def cells(box: tuple[int, ...]) -> set[tuple[int, int]]:
        return {(u, v) for u in range(box[0], box[0] + box[2]) for v in range(box[1], box[1] + box[3])}

    union = cells(a) | cells(b)
    expected = len(cells(a) & cells(b)) / len(union) if union else 0
    assert box_overlaps(np.array([a], float), np.array([b], float))[0, 0] == pytest.approx(expected)


def test_people_that_walk_past_each_other_keep_their_ids() -> None:
    tracker = BoxTracker()
    generator = np.random.default_rng(0)
    for frame in range(60):
        boxes = np.array([[10 + 5 * frame, 100, 60, 150], [310 - 5 * frame, 190, 60, 150]], float)
        order = generator.permutation(2)
        names = tracker.update(boxes[order])
        if frame == 0:
            first = dict(zip(order.tolist(), names, strict=True))
        assert dict(zip(order.tolist(), names, strict=True)) == first


def test_the_best_assignment_of_all_wins_over_the_first_come() -> None:
    tracker = BoxTracker(min_overlap=0.1)
    assert tracker.update(np.array([[0.0, 0, 10, 10], [5, 0, 10, 10]])) == ("1", "2")
    # The first box overlaps track 2 best, but only it overlaps track 1 too.
    assert tracker.update(np.array([[4.0, 0, 10, 10], [8, 0, 10, 10]])) == ("1", "2")


def test_ids_survive_a_gap_but_not_for_ever() -> None:
    tracker = BoxTracker(patience=2)
    box = np.array([[0.0, 0, 10, 10]])
    nobody = np.zeros((0, 4))
    assert tracker.update(box) == ("1",)
    assert [tracker.update(nobody) for _ in range(2)] == [(), ()]
    assert tracker.update(box) == ("1",)
    for _ in range(3):
        tracker.update(nobody)
    assert tracker.update(box) == ("2",)


def test_far_boxes_are_new_people() -> None:
    tracker = BoxTracker()
    assert tracker.update(np.array([[0.0, 0, 10, 10]])) == ("1",)
    assert tracker.update(np.array([[50.0, 0, 10, 10], [1, 0, 10, 10]])) == ("2", "1")


def test_bad_settings() -> None:
    with pytest.raises(ValueError, match="overlap must be in"):
        BoxTracker(min_overlap=0.0)
