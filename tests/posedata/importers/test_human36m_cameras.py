from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from evolift.posedata.camera import Camera
from evolift.posedata.errors import InputError
from evolift.posedata.importers.human36m import CAMERA_SIZES
from evolift.posedata.importers.human36m_camera_numbers import EXTRINSICS, INTRINSICS
from evolift.posedata.importers.human36m_cameras import (
    CameraSet,
    built_in_cameras,
    human36m_cameras,
    read_human36m_cameras,
)
from tests.posedata import videopose3d_cameras
from tests.posedata.human36m_files import metadata_xml

SUBJECTS = ("S1", "S5", "S6", "S7", "S8", "S9", "S11")


def all_cameras() -> list[Camera]:
    return list(built_in_cameras().values())


def people(count: int = 200) -> np.ndarray:
    """Points where people act: within 1.5 m of the middle and up to 1.8 m high, mm."""
    rng = np.random.default_rng(0)
    return np.column_stack([rng.uniform(-1500, 1500, (count, 2)), rng.uniform(0, 1800, count)])


def official_projection(camera: Camera, p: np.ndarray, points: np.ndarray, share: int = 1) -> np.ndarray:
    """Human3.6M's own formula (ProjectPointRadial of its software; 3d-pose-baseline, src/cameras.py), one point at a time.

    `share` 2 doubles the term in p that goes with the point, which makes it OpenCV's.
    """
    k1, k2, _, _, k3 = camera.distortion
    seen = []
    for point in points:
        X = camera.R @ (point - camera.position)
        x, y = X[0] / X[2], X[1] / X[2]
        r2 = x * x + y * y
        factor = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3 + share * (p[0] * y + p[1] * x)
        seen.append(camera.K[:2, :2] @ [x * factor + p[1] * r2, y * factor + p[0] * r2] + camera.K[:2, 2])
    return np.array(seen)


def test_four_cameras_of_the_seven_subjects_with_poses() -> None:
    cameras = built_in_cameras()
    assert list(cameras) == [(subject, name) for subject in SUBJECTS for name in CAMERA_SIZES]
    assert list(CAMERA_SIZES) == ["54138969", "55011271", "58860488", "60457274"]
    sizes = [(cameras["S5", name].width, cameras["S5", name].height) for name in CAMERA_SIZES]
    assert sizes == [(1000, 1002), (1000, 1000), (1000, 1000), (1000, 1002)]
    assert all(camera.name == "/".join(key) for key, camera in cameras.items())
    with pytest.raises(TypeError):
        cameras["S1", "54138969"] = cameras["S5", "54138969"]  # type: ignore[index]  # they are shared


@pytest.mark.parametrize("camera", all_cameras(), ids=lambda camera: camera.name)
def test_each_camera_is_a_rotation_around_the_place(camera: Camera) -> None:
    np.testing.assert_allclose(camera.R @ camera.R.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(camera.R) == pytest.approx(1)
    assert 4000 < np.hypot(*camera.position[:2]) < 6500
    assert 1000 < camera.position[2] < 2000
    assert camera.R[1, 2] < -0.95  # down in the image is down in the world
    seen, _ = cv2.projectPoints(people(), cv2.Rodrigues(camera.R)[0], camera.t, camera.K, camera.distortion)
    np.testing.assert_allclose(camera.project(people()), seen[:, 0], atol=1e-3)
    middle = camera.project(np.array([[0.0, 0.0, 900.0]]))[0]
    assert (np.abs(middle - 500) < 250).all()


@pytest.mark.parametrize("subject", SUBJECTS)
def test_the_four_look_at_one_place(subject: str) -> None:
    cameras = [built_in_cameras()[subject, name] for name in CAMERA_SIZES]
    # The point nearest to the four optical axes: sum of (1 - d d') (x - c) = 0.
    projectors = [np.eye(3) - np.outer(camera.R[2], camera.R[2]) for camera in cameras]
    right = sum(M @ camera.position for M, camera in zip(projectors, cameras, strict=True))
    place = np.linalg.solve(sum(projectors), right)
    for M, camera in zip(projectors, cameras, strict=True):
        assert np.linalg.norm(M @ (place - camera.position)) < 420
        assert camera.R[2] @ (place - camera.position) > 4000
    assert np.hypot(*place[:2]) < 600
    assert 350 < place[2] < 480
    # Each stands in another corner of the room.
    assert len({tuple(np.sign(camera.position[:2])) for camera in cameras}) == 4


def test_all_are_those_that_videopose3d_prints() -> None:
    assert list(videopose3d_cameras.EXTRINSICS) == list(built_in_cameras())
    for key, (w, x, y, z, *position) in videopose3d_cameras.EXTRINSICS.items():
        camera = built_in_cameras()[key]
        np.testing.assert_allclose(camera.R.T, Rotation.from_quat([x, y, z, w]).as_matrix(), atol=2e-7)
        np.testing.assert_allclose(camera.position, position, atol=3e-4)
        f_and_c, distortion = np.split(np.array(videopose3d_cameras.INTRINSICS[key[1]]), [4])
        np.testing.assert_allclose([*np.diag(camera.K)[:2], *camera.K[:2, 2]], f_and_c, atol=1e-4)
        np.testing.assert_allclose(camera.distortion[[0, 1, 4, 3, 2]], distortion, atol=1e-8)


def test_tangential_distortion_is_in_opencvs_order() -> None:
    """Human3.6M's own projection with p as it is here differs from OpenCV's by half of one term, and by nothing else."""
    for name in CAMERA_SIZES:
        camera = built_in_cameras()["S1", name]
        p = camera.distortion[2:4]
        ours = camera.project(people())
        np.testing.assert_allclose(official_projection(camera, p, people(), 2), ours, atol=1e-9)
        assert np.abs(official_projection(camera, p[::-1], people(), 2) - ours).max() > 0.05
        distance = np.linalg.norm(official_projection(camera, p, people()) - ours, axis=-1)
        assert distance.mean() < 0.15
        assert distance.max() < 0.7


def test_metadata_xml_of_these_numbers_gives_the_same_cameras(tmp_path: Path) -> None:
    outer = np.zeros((4, 11, 6))
    for subject, cameras in EXTRINSICS.items():
        outer[:, int(subject[1:]) - 1] = list(cameras.values())
    numbers = np.concatenate([outer.reshape(-1), np.array(list(INTRINSICS.values())).reshape(-1)])
    (tmp_path / "metadata.xml").write_text(metadata_xml(numbers))
    read = read_human36m_cameras(tmp_path / "metadata.xml")
    for key, camera in built_in_cameras().items():
        for name in ("K", "R", "t", "distortion"):
            np.testing.assert_array_equal(getattr(read[key], name), getattr(camera, name))


def test_a_set_says_where_its_cameras_are_from(tmp_path: Path) -> None:
    built_in = human36m_cameras(None)
    assert (built_in.source, built_in.hashes()) == ("built in", {})
    assert built_in.covers(["S1", "S11"])
    assert not built_in.covers(["S1", "CMU_action"])
    with pytest.raises(InputError, match="evolift has built in no camera 54138969 of S2: choose other"):
        built_in.camera("S2", "54138969")
    (tmp_path / "metadata.xml").write_text(metadata_xml())
    given = human36m_cameras(tmp_path / "metadata.xml")
    assert (given.source, list(given.hashes()), given.notes) == ("metadata.xml", ["metadata.xml"], ())
    assert given.camera("S2", "54138969").name == "S2/54138969"
    with pytest.raises(InputError, match=r"metadata\.xml has no camera 1 of S1"):
        CameraSet(given.cameras, given.path).camera("S1", "1")
