from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.optimize import brentq, minimize_scalar

from evolift.detector2d.back_projection import back_projected, depth_of_an_adult
from evolift.detector2d.evaluation import evaluate_detector
from evolift.detector2d.model import DetectorModel
from evolift.detector2d.settings import DetectorSettings
from evolift.posedata.camera import Camera, look_at
from evolift.posedata.errors import InputError
from evolift.posedata.mean_lengths import MEAN_LENGTHS
from evolift.posedata.poses import Poses
from evolift.posedata.skeleton import H36M17, Skeleton
from evolift.posedata.store import PoseStore, PoseStoreWriter, Provenance

DISTORTION = np.array([-0.2, 0.25, -0.001, -0.002, 0.01])


@pytest.fixture
def two_cameras(make_poses, tmp_path: Path) -> Path:
    """Eight poses before two cameras, one of them distorted; the last has no camera."""
    poses = make_poses(8)
    cameras = []
    for number, distortion in enumerate((np.zeros(5), DISTORTION)):
        R, t = look_at(np.array([4000.0, 900.0 * number, 1300.0]), np.array([0.0, 0.0, 900.0]))
        cameras.append(
            Camera.from_focal_length(300.0 + 50 * number, 320, 320, R=R, t=t, distortion=distortion)
        )
    camera = np.array([0, 1, 1, 0, 1, 0, 1, -1], np.int32)
    path = tmp_path / "two.h5"
    with PoseStoreWriter(path, H36M17, "world", Provenance("test"), cameras=cameras) as writer:
        writer.append(
            Poses(poses.subject, poses.action, poses.frame, joints_3d=poses.joints_3d, camera=camera)
        )
    return path


def test_true_pixels_and_depths_give_the_true_poses(two_cameras: Path) -> None:
    with PoseStore(two_cameras) as store:
        poses, cameras = store.read(), store.cameras
    assert poses.joints_3d is not None
    assert poses.camera is not None
    rows = [5, 1, 6, 7]
    pixels, depth, expected = [], [], []
    for row in rows:
        seen_by = cameras[max(0, poses.camera[row])]
        world = poses.joints_3d[row].astype(np.float64)
        in_camera = seen_by.to_camera(world)
        pixels.append(seen_by.project(world))
        depth.append(in_camera[:, 2] - in_camera[0, 2])
        expected.append(in_camera - in_camera[0])
    found, known = back_projected(
        two_cameras,
        torch.tensor(rows),
        torch.from_numpy(np.stack(pixels)).float(),
        torch.from_numpy(np.stack(depth)).float(),
        H36M17,
    )
    assert known.tolist() == [True, True, True, False]
    np.testing.assert_allclose(found[:3].numpy(), np.stack(expected)[:3], atol=0.05)
    assert not found[3].any()


def test_wrong_pixels_and_depths_against_a_plain_loop(two_cameras: Path) -> None:
    """Camera 0 has no distortion, so a ray is a line through the pinhole."""
    with PoseStore(two_cameras) as store:
        poses, camera = store.read(), store.cameras[0]
    assert poses.joints_3d is not None
    rng = np.random.default_rng(0)
    pixels, depth = rng.uniform(50, 250, (1, 17, 2)), rng.uniform(-400, 400, (1, 17))
    root = camera.to_camera(poses.joints_3d[3].astype(np.float64))[0, 2]
    points = np.zeros((17, 3))
    for joint in range(17):
        z = root + depth[0, joint]
        points[joint] = [(pixels[0, joint, axis] - camera.K[axis, 2]) / 300.0 * z for axis in (0, 1)] + [z]
    found, _ = back_projected(
        two_cameras,
        torch.tensor([3]),
        torch.from_numpy(pixels).float(),
        torch.from_numpy(depth).float(),
        H36M17,
    )
    np.testing.assert_allclose(found[0].numpy(), points - points[0], atol=0.01)


@pytest.mark.parametrize("head", ["light", "regression"])
def test_a_volumetric_detector_is_scored_in_mm(head: str, image_store: Path) -> None:
    settings = DetectorSettings(
        backbone="test_resnet", input_width=64, input_height=64, depth_bins=4, head=head, head_widths=(8,)
    )
    table, found = evaluate_detector(DetectorModel(settings), image_store)
    assert found.pose is not None
    away = (found.pose - found.joints_3d).square().sum(-1).sqrt().mean()
    assert table.set_index("name").loc["overall", "mpjpe"] == pytest.approx(float(away), rel=1e-5)
    # The root counts among the joints, as the command says beside the number.
    assert table.set_index("name").loc["pelvis", "mpjpe"] == pytest.approx(0, abs=1e-3)


def test_stores_without_3d_have_no_such_score(photograph_store: Path) -> None:
    settings = DetectorSettings(
        backbone="test_resnet", input_width=64, input_height=64, depth_bins=4, head="light", head_widths=(8,)
    )
    table, _ = evaluate_detector(DetectorModel(settings), photograph_store)
    assert "mpjpe" not in table


def _length(rays: np.ndarray, relative: np.ndarray, root: float) -> float:
    points = rays * (relative + root)[:, None]
    return sum(float(np.linalg.norm(points[child] - points[parent])) for parent, child in H36M17.bones)


def test_depth_of_an_adult_against_scipy(make_poses) -> None:
    joints = make_poses(6).joints_3d.astype(np.float64)
    R, t = look_at(np.array([3000.0, 800.0, 1300.0]), np.array([0.0, 0.0, 900.0]))
    camera = Camera.from_focal_length(300.0, 160, 200, R=R, t=t)
    points = camera.to_camera(joints)
    rays, relative = points / points[..., 2:], points[..., 2] - points[:, :1, 2]
    total = sum(
        MEAN_LENGTHS[H36M17.joints[child].removeprefix("left_").removeprefix("right_")]
        for _, child in H36M17.bones
    )
    found = depth_of_an_adult(torch.from_numpy(rays), torch.from_numpy(relative), H36M17)
    for row in range(6):
        own = _length(rays[row], relative[row], points[row, 0, 2])
        expected = brentq(lambda z, row=row: _length(rays[row], relative[row], z) - total, 1000, 20_000)
        assert float(found[row]) == pytest.approx(expected, abs=1e-3)
        # A person of another size stands nearer or farther in about the same proportion.
        assert float(found[row]) / points[row, 0, 2] == pytest.approx(total / own, rel=0.1)


def test_depths_that_make_every_adult_too_large() -> None:
    generator = np.random.default_rng(0)
    plane = generator.uniform(-0.05, 0.05, (17, 2))
    rays = np.concatenate([plane, np.ones((17, 1))], 1)
    relative = generator.uniform(-900, 900, 17)
    relative[0] = 0
    found = float(depth_of_an_adult(torch.from_numpy(rays[None]), torch.from_numpy(relative[None]), H36M17))
    minimum = minimize_scalar(lambda z: _length(rays, relative, z), bounds=(300, 50_000), method="bounded")
    assert 300 <= found < 50_000
    assert _length(rays, relative, found) == pytest.approx(minimum.fun, rel=0.02)


def test_a_skeleton_of_unknown_size() -> None:
    skeleton = Skeleton("pair", ("nose", "tail"), (None, "nose"))
    with pytest.raises(InputError, match="skeleton pair shares no bone with H36M17"):
        depth_of_an_adult(torch.ones(1, 2, 3), torch.zeros(1, 2), skeleton)


def test_both_scores_of_a_volumetric_detector(image_store: Path) -> None:
    settings = DetectorSettings(
        backbone="test_resnet", input_width=64, input_height=64, depth_bins=4, head="light", head_widths=(8,)
    )
    table, found = evaluate_detector(DetectorModel(settings), image_store)
    assert found.pose_of_size is not None
    away = (found.pose_of_size - found.joints_3d).square().sum(-1).sqrt().mean()
    assert table.set_index("name").loc["overall", "mpjpe_of_size"] == pytest.approx(float(away), rel=1e-5)
    assert not torch.allclose(found.pose, found.pose_of_size)
