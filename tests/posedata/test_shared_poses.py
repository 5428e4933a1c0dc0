"""Poses that stores have in common, against a plain loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evolift.posedata import shared_poses as module
from evolift.posedata.poses import Poses
from evolift.posedata.shared_poses import shared_poses
from evolift.posedata.skeleton import H36M16, H36M17
from evolift.posedata.store import PoseStore, PoseStoreWriter, Provenance


def written(path: Path, *batches: Poses, unlabelled: tuple[str, ...] = ()) -> Path:
    provenance = Provenance("test")
    with PoseStoreWriter(path, H36M17, "world", provenance, unlabelled=unlabelled) as writer:
        for batch in batches:
            writer.append(batch)
    return path


def test_poses_are_found_in_whatever_row_and_store(
    make_poses: Callable[..., Poses], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "READ_ROWS", 7)
    first, second, third = (make_poses(20, seed=seed) for seed in range(3))
    stores = [written(tmp_path / "a.h5", first), written(tmp_path / "b.h5", second, first)]
    assert first.joints_3d is not None
    assert second.joints_3d is not None
    assert third.joints_3d is not None
    moved = first.joints_3d.copy()
    moved[:, 3, 1] = np.nextafter(moved[:, 3, 1], np.float32(np.inf))
    asked = np.concatenate(
        [third.joints_3d[:3], second.joints_3d[[19, 0, 0]], moved[:4], first.joints_3d[5:6]]
    )
    with PoseStore(stores[0]) as one, PoseStore(stores[1]) as other:
        expected = [
            any(np.array_equal(pose, held) for held in [*first.joints_3d, *second.joints_3d])
            for pose in asked
        ]
        assert (
            shared_poses(asked, [one, other]).tolist()
            == expected
            == [False] * 3 + [True] * 3 + [False] * 4 + [True]
        )
        assert shared_poses(asked, [one]).tolist() == [False] * 10 + [True]
        assert not shared_poses(asked, []).any()
        assert not shared_poses(asked[:, : len(H36M16)], [one, other]).any()
        assert shared_poses(asked[:0], [one]).shape == (0,)


def test_joints_without_labels_are_alike(make_poses: Callable[..., Poses], tmp_path: Path) -> None:
    poses = make_poses(4)
    assert poses.joints_3d is not None
    joints = poses.joints_3d.copy()
    joints[:, H36M17.index("nose")] = np.nan
    paths = [
        written(tmp_path / name, replace(poses, joints_3d=joints), unlabelled=("nose",))
        for name in ("a.h5", "b.h5")
    ]
    with PoseStore(paths[0]) as one, PoseStore(paths[1]) as other:
        held = one.read().joints_3d
        assert held is not None
        assert shared_poses(held, [other]).all()
