from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evolift.artifacts.shipped_files import sample_poses
from evolift.evolution.job.algorithm import evolve as evolve_store
from evolift.evolution.job.array_evolution import evolve
from evolift.evolution.settings import EvolutionSettings
from evolift.posedata.errors import InputError, StoreError
from evolift.posedata.store import PoseStore

SETTINGS = EvolutionSettings(ratio=1.5, generations=1)


@pytest.fixture(scope="module")
def poses() -> np.ndarray:
    with PoseStore(sample_poses(), validate=False) as store:
        joints = store.read(slice(0, 400, 20)).joints_3d
    assert joints is not None
    return joints


def test_an_array_grows_as_a_store_of_it_does(poses: np.ndarray, tmp_path: Path) -> None:
    grown = evolve(poses, settings=SETTINGS)
    assert grown.shape == (30, 17, 3)
    np.testing.assert_array_equal(grown[:20], poses)
    with PoseStore.from_array(tmp_path / "poses.h5", poses) as store:
        assert store.read().subject.tolist() == ["someone"] * 20
    report = evolve(tmp_path / "poses.h5", tmp_path / "a.h5", SETTINGS)
    assert report == evolve_store(tmp_path / "poses.h5", tmp_path / "b.h5", SETTINGS)
    assert evolve(poses, tmp_path / "c.h5", SETTINGS, skeleton="H36M17").children == 10
    for name in "abc":
        with PoseStore(tmp_path / f"{name}.h5") as store:
            np.testing.assert_array_equal(store.read().joints_3d, grown)


def test_arrays_that_are_no_poses_are_refused(poses: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        evolve(poses[:, :16])
    assert (
        str(caught.value)
        == "`joints_3d` must be (poses, 17, 3) millimetres for the skeleton H36M17, not (20, 16, 3)"
    )
    with pytest.raises(StoreError, match="mm"):
        evolve(poses / 1000)
    with pytest.raises(InputError, match="`target` must be a path"):
        evolve(tmp_path / "poses.h5")  # type: ignore[call-overload]  # what users do


def test_an_array_is_not_told_as_a_file() -> None:
    with PoseStore(sample_poses()) as store:
        joints_3d = store.read(slice(0, 40)).joints_3d
    with pytest.raises(StoreError, match=r"^the array: .*looks like metres"):
        evolve(joints_3d / 1000)
