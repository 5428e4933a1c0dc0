from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from evolift.posedata.camera import (
    Camera,
    camera_to_world,
    distort,
    look_at,
    project,
    undistort,
    unproject,
    world_to_camera,
)
from evolift.posedata.errors import InputError

# Human3.6M's camera 54138969: strong real distortion.
H36M_K = np.array([[1145.05, 0, 512.54], [0, 1143.78, 515.45], [0, 0, 1]])
H36M_DISTORTION = np.array([-0.207098, 0.247775, -0.000976, -0.00142447, -0.00307515])


def random_camera(seed: int, strength: float = 1.0) -> Camera:
    rng = np.random.default_rng(seed)
    K = np.array(
        [
            [rng.uniform(300, 2000), 0, rng.uniform(200, 800)],
            [0, rng.uniform(300, 2000), rng.uniform(200, 800)],
            [0, 0, 1],
        ]
    )
    distortion = strength * np.array(
        [
            rng.uniform(-0.3, 0.1),
            rng.uniform(-0.1, 0.3),
            *rng.uniform(-0.002, 0.002, 2),
            rng.uniform(-0.05, 0.05),
        ]
    )
    rotation = Rotation.random(rng=rng).as_matrix()
    return Camera(K, 1000, 1002, rotation, rng.normal(0, 3000, 3), distortion)


def points_seen_by(camera: Camera, seed: int, count: int = 40) -> np.ndarray:
    rng = np.random.default_rng(seed)
    depth = rng.uniform(500, 8000, count)
    plane = rng.uniform(-0.6, 0.6, (count, 2))
    return camera.to_world(np.concatenate([plane * depth[:, None], depth[:, None]], 1))


@given(st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_projection_agrees_with_opencv(seed: int) -> None:
    camera = random_camera(seed)
    world = points_seen_by(camera, seed)
    vector, _ = cv2.Rodrigues(camera.R)
    expected, _ = cv2.projectPoints(world, vector, camera.t, camera.K, camera.distortion)
    np.testing.assert_allclose(camera.project(world), expected[:, 0], atol=1e-3, rtol=0)
    in_camera = world_to_camera(*(torch.from_numpy(v) for v in (world, camera.R, camera.t)))
    pixels = project(in_camera, torch.from_numpy(camera.K), torch.from_numpy(camera.distortion))
    np.testing.assert_allclose(pixels.numpy(), expected[:, 0], atol=1e-3, rtol=0)


@given(st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_unprojection_is_the_inverse_of_projection(seed: int) -> None:
    rng = np.random.default_rng(seed)
    camera = Camera(H36M_K, 1000, 1002, distortion=H36M_DISTORTION)
    depth = torch.from_numpy(rng.uniform(1000, 8000, 30))
    pixels = torch.from_numpy(rng.uniform(0, 1000, (30, 2)))
    K, distortion = torch.from_numpy(camera.K), torch.from_numpy(camera.distortion)
    points = unproject(pixels, depth, K, distortion)
    np.testing.assert_allclose(points[:, 2], depth)
    np.testing.assert_allclose(project(points, K, distortion), pixels, atol=1e-3, rtol=0)
    again = unproject(project(points, K, distortion), depth, K, distortion)
    np.testing.assert_allclose(again, points, atol=1e-2, rtol=0)


def test_undistortion_agrees_with_opencv() -> None:
    pixels = np.random.default_rng(0).uniform(0, 1000, (50, 1, 2))
    criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 100, 1e-12)
    expected = cv2.undistortPoints(pixels, H36M_K, H36M_DISTORTION, criteria=criteria)[:, 0]
    plane = (pixels[:, 0] - H36M_K[:2, 2]) / H36M_K[[0, 1], [0, 1]]
    ours = undistort(torch.from_numpy(plane), torch.from_numpy(H36M_DISTORTION))
    np.testing.assert_allclose(ours.numpy(), expected, atol=1e-6)


def test_skew_is_kept() -> None:
    K = torch.tensor([[1000.0, 30, 500], [0, 900, 400], [0, 0, 1]], dtype=torch.float64)
    points = torch.tensor([[300.0, -200, 2000]], dtype=torch.float64)
    pixels = project(points, K)
    assert pixels.tolist() == [[1000 * 0.15 + 30 * -0.1 + 500, 900 * -0.1 + 400]]
    np.testing.assert_allclose(unproject(pixels, points[:, 2], K), points)


def test_gradients_are_those_of_finite_differences() -> None:
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(4, 3, dtype=torch.float64, generator=generator) + torch.tensor([0.0, 0, 2])
    points.requires_grad_()
    K = torch.tensor([[2.0, 0.1, 1], [0, 3, 1], [0, 0, 1]], dtype=torch.float64, requires_grad=True)
    distortion = torch.tensor([-0.2, 0.1, 0.01, -0.01, 0.02], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(project, (points, K, distortion))
    pixels = project(points, K, distortion).detach().requires_grad_()
    depth = points.detach()[:, 2].clone().requires_grad_()
    assert torch.autograd.gradcheck(unproject, (pixels, depth, K, distortion), atol=1e-4)
    assert torch.autograd.gradcheck(distort, (pixels, distortion))


def test_batches_broadcast_and_equal_one_by_one() -> None:
    cameras = [random_camera(seed) for seed in range(3)]
    R, t, K, d = (
        torch.from_numpy(np.stack([getattr(c, name) for c in cameras]))
        for name in ("R", "t", "K", "distortion")
    )
    world = torch.from_numpy(points_seen_by(cameras[0], 0, 17))
    seen = project(world_to_camera(world, R, t), K, d)
    assert seen.shape == (3, 17, 2)
    for row, camera in enumerate(cameras):
        np.testing.assert_allclose(seen[row], camera.project(world.numpy()), rtol=1e-9)
    np.testing.assert_allclose(
        camera_to_world(world_to_camera(world, R, t), R, t), world.expand(3, 17, 3), atol=1e-6
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_is_kept(dtype: type) -> None:
    camera = random_camera(0)
    points = points_seen_by(camera, 0).astype(dtype)
    assert camera.project(points).dtype == dtype
    assert camera.to_camera(points).dtype == dtype
    np.testing.assert_allclose(camera.to_world(camera.to_camera(points)), points, atol=2e-2)
    assert camera.project(points.reshape(5, 8, 3)).shape == (5, 8, 2)


@given(st.integers(0, 2**31), st.floats(-3, 3))
@settings(max_examples=50, deadline=None)
def test_look_at(seed: int, roll: float) -> None:
    rng = np.random.default_rng(seed)
    position, target = rng.normal(0, 3000, 3), rng.normal(0, 3000, 3)
    R, t = look_at(position, target, roll=roll)
    camera = Camera(H36M_K, 1000, 1002, R, t)
    np.testing.assert_allclose(camera.position, position, atol=1e-6)
    np.testing.assert_allclose(camera.to_camera(target), [0, 0, np.linalg.norm(target - position)], atol=1e-6)
    np.testing.assert_allclose(camera.project(target), H36M_K[:2, 2], atol=1e-6)


def test_an_upright_camera_sees_up_as_up_and_left_as_left() -> None:
    R, t = look_at(np.array([5000.0, 0, 1000]), np.array([0.0, 0, 1000]))
    camera = Camera.from_focal_length(1000.0, 1001, 801, R=R, t=t)
    middle = camera.project(np.array([0.0, 0, 1000]))
    assert middle.tolist() == [500, 400]
    assert camera.project(np.array([0.0, 0, 1500]))[1] < middle[1]
    # Looking along -x with z up, +y is to the right.
    assert camera.project(np.array([0.0, 500, 1000]))[0] > middle[0]
    # A positive roll rotates the image clockwise: what was above goes to the right.
    R, t = look_at(np.array([5000.0, 0, 1000]), np.array([0.0, 0, 1000]), roll=0.3)
    rolled = Camera.from_focal_length(1000.0, 1001, 801, R=R, t=t).project(np.array([0.0, 0, 1500]))
    assert rolled[0] > middle[0]


def test_bad_cameras() -> None:
    good = {"K": H36M_K, "width": 1000, "height": 1002}
    flipped = np.diag([1.0, 1, -1])
    cases: list[tuple[dict[str, object], str]] = [
        ({"K": np.diag([1000.0, np.nan, 1])}, "K has values that are not finite"),
        ({"t": np.array([0, np.inf, 0])}, "t has values that are not finite"),
        ({"distortion": np.array([0, 0, 0, 0, 1e10])}, r"distortion has values beyond 1e\+09"),
        ({"R": flipped}, "R is not a rotation"),
        ({"R": 2 * np.eye(3)}, "R is not a rotation"),
        ({"width": 0}, "image size 0x1002 is not positive"),
        ({"K": np.diag([-1000.0, 1000, 1])}, "focal lengths must be positive"),
    ]
    for change, message in cases:
        with pytest.raises(InputError, match=f"camera 'c': {message}"):
            Camera(**(good | change), name="c")  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(InputError, match="must not stand on, above or below its target"):
        look_at(np.array([0.0, 0, 5000]), np.zeros(3))
    with pytest.raises(InputError, match="must not stand on, above or below its target"):
        look_at(np.zeros(3), np.zeros(3))
