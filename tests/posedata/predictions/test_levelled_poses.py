from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import evolift
from evolift.evolution.criteria.criterion_sources import criteria_by_names
from evolift.evolution.job.algorithm import evolve
from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.limits.anatomical_limits import AnatomicalLimits
from evolift.evolution.limits.limits_report import report_on_store
from evolift.evolution.settings import EvolutionSettings
from evolift.lifter.settings import LifterTrainingSettings, Split
from evolift.lifter.training import open_data
from evolift.posedata.camera import Camera, world_to_camera
from evolift.posedata.predictions.levelled_poses import RULE, LevelledPoses, is_predicted
from evolift.posedata.predictions.prediction_store import write_prediction_store
from evolift.posedata.predictions.predictions import Predictions
from evolift.posedata.skeleton import H36M17
from evolift.posedata.store import PoseStore

K = np.array([[1000.0, 0, 500], [0, 1000, 500], [0, 0, 1]])


def _predicted(path: Path, rows: int, *, is_placed: bool) -> np.ndarray:
    """Real poses as a level camera sees them; their joints in its frame."""
    with PoseStore(evolift.sample_poses()) as store:
        world = store.read(np.arange(rows)).joints_3d
    assert world is not None
    joints = np.stack([world[..., 0], -world[..., 2], world[..., 1]], -1)
    root = joints[:, 0] + [0, 1200, 4000]
    predictions = Predictions(
        H36M17,
        np.full((rows, 17, 2), 5, np.float32),
        (joints - joints[:, :1]).astype(np.float32),
        np.ones((rows, 17), np.float32),
        ("clip",) * rows,
        np.arange(rows),
        ("a",) * rows,
        (root if is_placed else np.full((rows, 3), np.nan)).astype(np.float32),
        np.full((rows, 4), np.nan, np.float32),
        np.zeros(rows, np.int32),
        (Camera(K, 1000, 1000),),
    )
    write_prediction_store(path, predictions)
    return world


@pytest.mark.parametrize("is_placed", [True, False])
def test_people_stand_as_they_stood(tmp_path: Path, is_placed: bool) -> None:
    world = _predicted(tmp_path / "p.h5", 20, is_placed=is_placed)
    with PoseStore(tmp_path / "p.h5") as store:
        assert is_predicted(store)
        levelled, poses = LevelledPoses(store), store.read()
    joints = levelled.joints(poses)
    np.testing.assert_allclose(joints - joints[:, :1], world - world[:, :1], atol=0.1)
    lowest = joints[..., 2].min(1)
    if not is_placed:
        np.testing.assert_allclose(lowest, 0, atol=0.1)
        assert levelled.cameras == []
        return
    assert np.quantile(lowest, 0.05) == pytest.approx(0, abs=0.1)
    np.testing.assert_allclose(np.diff(lowest), np.diff(world[..., 2].min(1)), atol=0.1)
    camera = levelled.cameras[0]
    back = world_to_camera(
        torch.from_numpy(joints).double(), torch.from_numpy(camera.R), torch.from_numpy(camera.t)
    )
    np.testing.assert_allclose(back.numpy(), poses.joints_3d, atol=0.1)


def test_one_predicted_pose_is_evolved_by_mutation(tmp_path: Path) -> None:
    _predicted(tmp_path / "p.h5", 1, is_placed=False)
    settings = EvolutionSettings(target_size=20, generations=1, body_rate=0.0, length_rate=0.0)
    evolve(tmp_path / "p.h5", tmp_path / "e.h5", settings)
    with PoseStore(tmp_path / "e.h5") as store:
        assert (len(store), store.coordinate_frame) == (20, "world")
        assert "camera is taken to be level" in store.provenance.parameters["source_frame"]
        poses = store.read()
    assert poses.joints_3d is not None
    assert poses.lineage is not None
    assert (poses.lineage.parent_b == -1).all()
    parents, children = (list(column) for column in zip(*H36M17.bones, strict=True))
    lengths = np.sort(np.linalg.norm(poses.joints_3d[:, children] - poses.joints_3d[:, parents], axis=-1), 1)
    np.testing.assert_allclose(lengths, np.broadcast_to(lengths[0], lengths.shape), atol=0.5)
    assert len(np.unique(poses.joints_3d.round(1), axis=0)) == 20


def test_whoever_stands_poses_up_says_so_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _predicted(tmp_path / "p.h5", 20, is_placed=True)
    limits = AnatomicalLimits(KinematicTree(H36M17))
    settings = LifterTrainingSettings(split=Split(validation_share=0.5))

    def check() -> None:
        with PoseStore(tmp_path / "p.h5") as store:
            report_on_store(store, limits, criteria=criteria_by_names(("ground",), limits.tree))

    for use in (check, lambda: open_data([tmp_path / "p.h5"], H36M17, settings)):
        caplog.clear()
        use()
        assert [record.getMessage() for record in caplog.records] == [f"{tmp_path / 'p.h5'}: {RULE}"]
