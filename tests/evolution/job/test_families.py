"""Children beside their parents."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evolift.artifacts.shipped_files import sample_poses
from evolift.evolution.job.algorithm import evolve
from evolift.evolution.job.families import families, largest_length_change
from evolift.evolution.settings import EvolutionSettings
from evolift.posedata.errors import StoreError
from evolift.posedata.selection import select_rows
from evolift.posedata.skeleton import H36M17
from evolift.posedata.store import PoseStore


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("families") / "few.h5"
    select_rows(sample_poses(), path, share=0.005)
    return path


def _evolved(few: Path, name: str, **changes: object) -> PoseStore:
    target = few.with_name(name)
    evolve(
        few,
        target,
        EvolutionSettings(ratio=5, generations=2, **({"body_rate": 0.0, "length_rate": 0.0} | changes)),
        overwrite=True,
    )  # type: ignore[arg-type]
    return PoseStore(target)


def _bones(joints: np.ndarray) -> np.ndarray:
    a, b = np.array(H36M17.bones).T
    lengths: np.ndarray = np.linalg.norm(joints[..., a, :] - joints[..., b, :], axis=-1)
    return lengths


def test_a_family_is_two_recorded_poses_and_their_child(few: Path) -> None:
    with PoseStore(few) as store:
        recorded = np.sort(_bones(store.read().joints_3d), -1)
    with _evolved(few, "evolved.h5") as store:
        found = list(families(store, 3))
    assert len(found) == 3
    for family in found:
        for pose in (*family.parents, family.child):  # all three have a recorded body
            assert np.abs(recorded - np.sort(_bones(pose))).max(-1).min() < 0.1
            np.testing.assert_allclose(pose[0], 0, atol=1e-3)
        # They face -y: the left hip is to the viewer's right.
        left, right = (
            family.parents[:, H36M17.index("left_hip")],
            family.parents[:, H36M17.index("right_hip")],
        )
        assert ((left - right)[:, 0] > 50).all()


def test_bodies_are_kept_unless_lengths_are_changed(few: Path) -> None:
    with _evolved(few, "evolved.h5") as store:
        assert largest_length_change(store) < 0.1
    with _evolved(few, "longer.h5", length_rate=1.0, length_spread=0.2) as store:
        assert largest_length_change(store) > 20


def test_a_store_without_children_is_refused(few: Path) -> None:
    with PoseStore(few) as store:
        with pytest.raises(StoreError, match=r"few\.h5: it holds no children"):
            next(families(store, 1))
        with pytest.raises(StoreError, match=r"few\.h5: it holds no children"):
            largest_length_change(store)
