from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from evolift.posedata.camera import Camera
from evolift.posedata.errors import EvoliftError, InputError
from evolift.posedata.importers.human36m import CAMERA_SIZES, H36M17_OF_32, Choice
from evolift.posedata.importers.human36m_cameras import BUILT_IN, CameraKey, built_in_cameras
from evolift.posedata.importers.pose_baseline import import_pose_baseline
from evolift.posedata.importers.pose_baseline_cameras import read_pose_baseline_cameras
from evolift.posedata.importers.settings import PoseBaselineSettings
from evolift.posedata.joint_mapping import mapping_between
from evolift.posedata.skeleton import H36M17, MPII16
from evolift.posedata.store import PoseStore
from tests.posedata.human36m_files import hourglass, walking, write_pose_baseline


def made_up_cameras() -> dict[CameraKey, Camera]:
    """Human3.6M's with other tangential distortion."""
    return {
        key: replace(camera, distortion=np.array([-0.2, 0.2, 0.003, -0.001, 0.01]))
        for key, camera in built_in_cameras().items()
    }


def test_rows_are_poses_with_what_the_detector_finds(tmp_path: Path, standing_pose: np.ndarray) -> None:
    source, target = write_pose_baseline(tmp_path, standing_pose), tmp_path / "out.h5"
    summary = import_pose_baseline(source, target, PoseBaselineSettings(fps=25))
    assert (summary.sequences, summary.poses) == (2, 4 * (6 + 4))
    assert summary.left_out == {"S11 Directions": "its video is corrupt"}
    assert summary.notes == (
        "cameras: those of cameras.h5, whose tangential distortion p is in OpenCV's order",
    )
    with PoseStore(target, skeleton=H36M17) as store:
        poses, cameras, provenance = store.read(), store.cameras, store.provenance
        assert store.coordinate_frame == "world"
    assert [camera.name for camera in cameras] == [f"S1/{name}" for name in CAMERA_SIZES]
    assert provenance.parameters["joints_2d"] == "hourglass"
    assert provenance.parameters["cameras"] == "cameras.h5"
    assert "S1/StackedHourglass/Directions_1.60457274.h5" in provenance.inputs
    assert len(provenance.inputs) == 1 + 2 + 8
    assert poses.camera is not None
    assert poses.camera.tolist() == [*([0] * 6 + [1] * 6 + [2] * 6 + [3] * 6), *sorted([0, 1, 2, 3] * 4)]
    assert poses.frame[:8].tolist() == [1, 3, 5, 7, 9, 11, 1, 3]
    assert list(poses.action[22:26]) == ["Directions 1"] * 2 + ["Photo"] * 2
    joints = walking(14, standing_pose)[:12:2]
    assert poses.joints_3d is not None
    np.testing.assert_array_equal(poses.joints_3d[6:12], joints[:, H36M17_OF_32])
    assert poses.joints_2d is not None
    assert poses.visibility is not None
    expected, visibility = mapping_between(MPII16, H36M17).convert(
        hourglass(joints, built_in_cameras()["S1", "55011271"])
    )
    np.testing.assert_allclose(poses.joints_2d[6:12], expected, atol=1e-2)
    np.testing.assert_array_equal(poses.visibility[6:12], visibility)
    # Limbs are found where the cameras see them; the units and frames of both fit.
    for joint in ("left_wrist", "right_ankle", "thorax", "head"):
        index = H36M17.index(joint)
        seen = cameras[1].project(poses.joints_3d[6:12, index])
        np.testing.assert_allclose(poses.joints_2d[6:12, index], seen, atol=1e-2)


@pytest.mark.parametrize("is_opencv", [True, False])
def test_human36ms_cameras_come_back_in_either_order_of_p(
    tmp_path: Path, standing_pose: np.ndarray, is_opencv: bool
) -> None:
    path = write_pose_baseline(tmp_path, standing_pose, is_opencv=is_opencv) / "cameras.h5"
    cameras, was_opencv = read_pose_baseline_cameras(path.read_bytes(), str(path))
    assert was_opencv == is_opencv
    assert list(cameras) == [(subject, name) for subject in ("S1", "S11") for name in CAMERA_SIZES]
    for key, camera in cameras.items():
        for name in ("K", "R", "t", "distortion"):
            np.testing.assert_allclose(
                getattr(camera, name), getattr(built_in_cameras()[key], name), atol=1e-9
            )
    # The archive's own rule: R as h5py reads it, from the right.
    points = walking(1, standing_pose)[0].astype(np.float64)
    with h5py.File(path) as file:
        group = file["subject11/camera3"]
        R, T = group["R"][()], group["T"][()].reshape(3)
    np.testing.assert_allclose(cameras["S11", "58860488"].to_camera(points), (points - T) @ R, atol=1e-9)


def test_p_of_other_cameras_is_reversed(tmp_path: Path, standing_pose: np.ndarray) -> None:
    made_up = made_up_cameras()
    source = write_pose_baseline(tmp_path, standing_pose, cameras=made_up, is_opencv=False)
    summary = import_pose_baseline(source, tmp_path / "out.h5")
    assert summary.notes == (
        "cameras: those of cameras.h5, whose tangential distortion p is in the reverse of OpenCV's order",
    )
    with PoseStore(tmp_path / "out.h5") as store:
        for camera in store.cameras:
            expected = made_up["S1", camera.name.removeprefix("S1/")]
            np.testing.assert_allclose(camera.distortion, expected.distortion, atol=1e-12)


def test_zip_without_cameras_and_projected_joints(tmp_path: Path, standing_pose: np.ndarray) -> None:
    def edit(root: Path) -> None:
        (root / "cameras.h5").unlink()
        shutil.rmtree(root / "S1" / "StackedHourglass")

    source = write_pose_baseline(tmp_path, standing_pose, edit=edit)
    archive = Path(shutil.make_archive(str(tmp_path / "h36m"), "zip", tmp_path, "h36m"))
    with pytest.raises(
        InputError,
        match=r"no S1/StackedHourglass/Directions_1\.54138969\.h5: choose other `joints_2d`",
    ):
        import_pose_baseline(archive, tmp_path / "out.h5")
    projected = PoseBaselineSettings(joints_2d="projected")
    for path in (archive, source):
        summary = import_pose_baseline(path, tmp_path / f"{path.name}.h5", projected)
        assert (summary.poses, summary.notes) == (4 * (12 + 7), (BUILT_IN,))
    with PoseStore(tmp_path / "h36m.zip.h5") as store:
        poses = store.read()
        assert list(store.provenance.inputs) == ["h36m.zip"]
        assert store.provenance.parameters["cameras"] == "built in"
        camera = store.cameras[3]
    assert poses.joints_3d is not None
    assert poses.joints_2d is not None
    assert poses.visibility is not None
    assert (poses.visibility == 2).all()
    np.testing.assert_allclose(camera.project(poses.joints_3d[36:48]), poses.joints_2d[36:48], atol=1e-2)
    with PoseStore(tmp_path / "h36m.h5") as store:
        np.testing.assert_array_equal(store.read().joints_2d, poses.joints_2d)


def test_fine_tuned_detections(tmp_path: Path, standing_pose: np.ndarray) -> None:
    def edit(root: Path) -> None:
        (root / "S1" / "StackedHourglass").rename(root / "S1" / "StackedHourglassFineTuned240")

    source = write_pose_baseline(tmp_path, standing_pose, edit=edit)
    tuned = PoseBaselineSettings(joints_2d="hourglass-finetuned")
    assert import_pose_baseline(source, tmp_path / "out.h5", tuned).poses == 4 * (12 + 7)
    with pytest.raises(InputError, match="choose other `joints_2d`"):
        import_pose_baseline(source, tmp_path / "out.h5", overwrite=True)


def replaced_values(
    name: str, dataset: str, change: Callable[[np.ndarray], np.ndarray]
) -> Callable[[Path], None]:
    """An edit that writes other values into one dataset of one file."""

    def edit(root: Path) -> None:
        with h5py.File(root / name, "r+") as file:
            values = file[dataset][()]
            del file[dataset]
            file[dataset] = change(values)

    return edit


def with_nan(values: np.ndarray) -> np.ndarray:
    values[3, 2] = np.nan
    return values


def truncated(root: Path) -> None:
    path = root / "S1/StackedHourglass/Photo.58860488.h5"
    path.write_bytes(path.read_bytes()[:700])


def linked(root: Path) -> None:
    with h5py.File(root / "S1/MyPoses/3D_positions/Photo.h5", "w") as file:
        file["3D_positions"] = h5py.ExternalLink("Directions 1.h5", "3D_positions")


def twice(root: Path) -> None:
    shutil.copy(root / "S1/MyPoses/3D_positions/Photo.h5", root / "S1/MyPoses/3D_positions/TakingPhoto.h5")


def without_subject(root: Path) -> None:
    with h5py.File(root / "cameras.h5", "r+") as file:
        del file["subject1"]


POSES, DETECTIONS = "S1/MyPoses/3D_positions/Photo.h5", "S1/StackedHourglass/Photo.54138969.h5"
DAMAGES: list[tuple[Callable[[Path], None], str]] = [
    (replaced_values(POSES, "3D_positions", np.transpose), r"must have the shape \(96, frames\), it has \(7, 96\)"),
    (replaced_values(POSES, "3D_positions", lambda v: v / 1000), "legs are not as long as a person's in millimetres"),
    (replaced_values(POSES, "3D_positions", with_nan), "must have a dataset '3D_positions' of finite numbers"),
    (replaced_values(DETECTIONS, "poses", lambda v: v[:, :14]), r"must have the shape \(frames, 16, 2\), it has"),
    (replaced_values(DETECTIONS, "poses", lambda v: v[:5]), "has 5 frames, the 3D joints have 7"),
    (replaced_values(DETECTIONS, "poses", lambda v: v + 300), r"Photo\.54138969\.h5: its 3D joints .* 424 px beside"),
    (replaced_values("cameras.h5", "subject1/camera2/R", lambda v: 2 * v), "R is not a rotation"),
    (replaced_values("cameras.h5", "subject1/camera2/k", lambda v: v[:2]), "subject1/camera2/k must have 3 numbers, it has 2"),
    (replaced_values("cameras.h5", "subject1/camera2/Name", lambda v: v + 1), r"subject1/camera2/Name is '66122382', none of"),
    (without_subject, r"cameras\.h5 has no camera 54138969 of S1"),
    (truncated, r"Photo\.58860488\.h5 is not a readable HDF5 file"),
    (linked, r"Photo\.h5: /3D_positions is a link; links are refused"),
    (twice, "are the same sequence: keep one of them"),
]  # fmt: skip


@pytest.mark.parametrize(("damage", "message"), DAMAGES)
def test_damaged_files_are_one_sentence_and_leave_nothing(
    tmp_path: Path, standing_pose: np.ndarray, damage: Callable[[Path], None], message: str
) -> None:
    source = write_pose_baseline(tmp_path, standing_pose, edit=damage)
    with pytest.raises(EvoliftError, match=message) as caught:
        import_pose_baseline(source, tmp_path / "out.h5")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == [source]


def test_what_cannot_be_chosen(tmp_path: Path, standing_pose: np.ndarray) -> None:
    source = write_pose_baseline(tmp_path, standing_pose)
    with pytest.raises(InputError, match="has no subject 'S5': it has S1, S11"):
        import_pose_baseline(source, tmp_path / "out.h5", choice=Choice(("S5",)))
    with pytest.raises(InputError, match=r"holds no S1/MyPoses/3D_positions/\*\.h5"):
        import_pose_baseline(source / "S1" / "StackedHourglass", tmp_path / "out.h5")
    with pytest.raises(
        InputError, match="`joints_2d` must be one of hourglass, hourglass-finetuned, projected"
    ):
        PoseBaselineSettings(joints_2d="cpn")  # type: ignore[arg-type]  # wrong on purpose
