"""Which evolved rows follow one another in time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from evolift.posedata.exporters.sequences import child_action, is_bred
from evolift.posedata.poses import Lineage, Poses, labelled
from evolift.posedata.skeleton import H36M17
from evolift.posedata.store import PoseStore, PoseStoreWriter, Provenance

CHILD = child_action("walk", 3)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([("walk", 1, 0), ("walk", 2, 0)], False),
        ([("walk", 1, 0), ("walk", 2, 0), ("walk", 2, 1)], True),  # of a pose, beside it
        ([("walk", 1, 1), ("walk", 2, 1)], True),  # of poses, without them: `data select` takes them alone
        ([("walk", 1, 0), ("walk", 2, 0), (CHILD, 1, 1), (CHILD, 2, 1)], False),  # a clip
        ([(CHILD, 1, 1), (CHILD, 2, 1)], False),
        ([(child_action(CHILD, 90), 1, 2), (child_action(CHILD, 90), 2, 2)], False),  # a clip of a clip
        ([(CHILD, 1, 1), (CHILD, 2, 1), (CHILD, 2, 2)], True),  # a clip, and a child of one of its poses
        ([("walk_child_x", 1, 1)], True),
        ([("walk", 1, 0), ("walk", 1, 0)], False),  # recorded twice is not evolved
    ],
)
def test_evolved_poses_are_told_from_evolved_clips(
    rows: list[tuple[str, int, int]], expected: bool, make_poses: Callable[..., Poses], tmp_path: Path
) -> None:
    actions, frames, generations = zip(*rows, strict=True)
    names = sorted(set(actions))
    none = np.where(np.array(generations) > 0, 0, -1)
    plain = make_poses(len(rows))
    poses = Poses(
        labelled(np.zeros(len(rows), np.int32), ["ann"]),
        labelled(np.array([names.index(one) for one in actions], np.int32), names),
        np.array(frames),
        plain.joints_3d,
        lineage=Lineage(
            np.array(generations, np.int32),
            none,
            np.full(len(rows), -1),
            labelled((np.array(generations) > 0).astype(np.int32), ["", "mutation"]),
        ),
    )
    with PoseStoreWriter(tmp_path / "a.h5", H36M17, "world", Provenance("test")) as writer:
        writer.append(poses)
    with PoseStore(tmp_path / "a.h5") as store:
        assert is_bred(store) == expected


def test_a_store_that_was_never_evolved_has_no_evolved_poses(tiny_store: Path) -> None:
    with PoseStore(tiny_store) as store:
        assert not is_bred(store)
