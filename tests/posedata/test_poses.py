from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from evolift.posedata.poses import NO_PARENT, Lineage, Poses, labelled, repeated_label

Make = Callable[..., Poses]


def with_everything(make_poses: Make, rows: int) -> Poses:
    rng = np.random.default_rng(0)
    return dataclasses.replace(
        make_poses(rows),
        joints_2d=rng.uniform(0, 500, (rows, 17, 2)).astype(np.float32),
        visibility=rng.integers(0, 3, (rows, 17), np.uint8),
        camera=np.zeros(rows, np.int32),
        image=[f"{row}.jpg" for row in range(rows)],
        box=np.ones((rows, 4), np.float32),
        lineage=Lineage.unbred(rows),
    )


def test_rows_are_taken_in_the_order_asked_for(make_poses: Make) -> None:
    poses = with_everything(make_poses, 10)
    for rows in (slice(2, 7, 2), np.array([5, 1, 1]), np.arange(10) % 3 == 0):
        taken = poses[rows]
        numbers = np.arange(10)[rows]
        assert taken.frame.tolist() == numbers.tolist()
        assert list(taken.image or ()) == [f"{row}.jpg" for row in numbers]
        assert list(taken.subject) == [poses.subject[int(row)] for row in numbers]
        assert taken.joints_3d is not None
        assert poses.joints_3d is not None
        np.testing.assert_array_equal(taken.joints_3d, poses.joints_3d[numbers])
        assert taken.lineage is not None
        assert len(taken.lineage.parent_a) == len(numbers)
        assert len(taken) == len(numbers)


def test_concatenation_joins_labels(make_poses: Make) -> None:
    first, second = make_poses(4), make_poses(3, 1)
    renamed = dataclasses.replace(second, action=repeated_label("jump", 3))
    joined = Poses.concatenate([first, renamed])
    assert list(joined.action) == [*first.action, "jump", "jump", "jump"]
    assert joined.frame.tolist() == [0, 1, 2, 3, 0, 1, 2]
    whole = with_everything(make_poses, 6)
    again = Poses.concatenate([whole[:2], whole[2:]])
    assert list(again.image or ()) == list(whole.image or ())
    assert again.lineage is not None
    assert (again.lineage.parent_a == NO_PARENT).all()
    assert list(again.lineage.operator) == [""] * 6


def test_what_is_refused(make_poses: Make) -> None:
    poses = make_poses(4)
    with pytest.raises(ValueError, match="poses need joints_3d or joints_2d"):
        dataclasses.replace(poses, joints_3d=None)
    with pytest.raises(ValueError, match="joints_2d and visibility must be given together"):
        dataclasses.replace(poses, joints_2d=np.zeros((4, 17, 2), np.float32))
    with pytest.raises(ValueError, match="image has 3 rows, frame has 4"):
        dataclasses.replace(poses, image=["a.jpg"] * 3)
    with pytest.raises(ValueError, match="nothing to concatenate"):
        Poses.concatenate([])
    with pytest.raises(ValueError, match="parts have different columns"):
        Poses.concatenate([poses, dataclasses.replace(poses, camera=np.zeros(4, np.int32))])


def test_labels() -> None:
    assert list(labelled(np.array([1, 0, 1], np.int32), ["a", "b"])) == ["b", "a", "b"]
    assert isinstance(repeated_label("x", 0), pd.Categorical)
