from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
import scipy.io

from evolift.posedata.errors import InputError, OutputError
from evolift.posedata.importers.mpi_inf_3dhp import H36M17_OF_28, import_mpi_inf_3dhp
from evolift.posedata.importers.mpi_inf_3dhp_test_set import H36M17_OF_17, import_mpi_inf_3dhp_test_set
from evolift.posedata.importers.skeletool_calibration import read_skeletool_cameras
from evolift.posedata.skeleton import H36M17
from evolift.posedata.store import PoseStore
from tests.posedata.importers.test_human36m_cdf import write_video

# Camera 0 of S1/Seq1, a public fact; the others here differ by where they stand.
INTRINSIC = "1497.693 0 1024.704 0 0 1497.103 1051.394 0 0 0 1 0 0 0 0 1"
ROTATION = np.array([
    [0.9650164, 0.00488022, 0.262144], [-0.004488356, -0.9993728, 0.0351275], [0.262151, -0.03507521, -0.9643893],
])  # fmt: skip
TRANSLATION = np.array([-562.8666, 1398.138, 3852.623])
K = np.array([[1497.693, 0, 1024.704], [0, 1497.103, 1051.394], [0, 0, 1]])
# The joints of H36M17 by the names that mpii_get_joint_set.m gives the 28.
NAMES_28 = [
    "spine3",
    "spine4",
    "spine2",
    "spine",
    "pelvis",
    "neck",
    "head",
    "head_top",
    "left_clavicle",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
    "left_hand",
    "right_clavicle",
    "right_shoulder",
    "right_elbow",
    "right_wrist",
    "right_hand",
    "left_hip",
    "left_knee",
    "left_ankle",
    "left_foot",
    "left_toe",
    "right_hip",
    "right_knee",
    "right_ankle",
    "right_foot",
    "right_toe",
]
NAMES_17 = [
    "head_top",
    "neck",
    "right_shoulder",
    "right_elbow",
    "right_wrist",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
    "right_hip",
    "right_knee",
    "right_ankle",
    "left_hip",
    "left_knee",
    "left_ankle",
    "pelvis",
    "spine",
    "head",
]
OTHER_NAMES = {"thorax": "neck", "nose": "head", "head": "head_top"}
"""`head` is the base of the skull there: it only fills the place of the nose, which is unlabelled."""
LABELLED = [joint != "nose" for joint in H36M17.joints]


def calibration() -> str:
    lines = ["Skeletool Camera Calibration File V1.0"]
    for name in range(14):
        shift = TRANSLATION + np.array([10 * name, 0, 0])
        extrinsic = np.vstack([np.hstack([ROTATION, shift[:, None]]), [0, 0, 0, 1]])
        lines += [
            f"name          {name}", "  sensor      10 10", "  size        2048 2048", "  animated    0",
            f"  intrinsic   {INTRINSIC} ", f"  extrinsic   {' '.join(f'{value:.7g}' for value in extrinsic.ravel())} ",
            "  radial      0",
        ]  # fmt: skip
    return "\n".join([*lines, ""])


def people(frames: int, standing_pose: np.ndarray) -> np.ndarray:
    """(frames, 17, 3) mm, world with z up, someone who moves a little."""
    return standing_pose + np.random.default_rng(0).normal(0, 15, (frames, 17, 3))


def write_sequence(
    folder: Path, joints: np.ndarray, edit: Callable[[dict[str, np.ndarray]], object] = id
) -> Path:
    """The layout of S1/Seq1: annot.mat with a cell for each camera, camera.calibration."""
    folder.mkdir(parents=True, exist_ok=True)
    annotation = {name: np.empty((14, 1), object) for name in ("annot2", "annot3", "univ_annot3")}
    y_up = np.stack([joints[..., 0], joints[..., 2], -joints[..., 1]], -1)
    for camera in range(14):
        in_camera = np.zeros((len(joints), 28, 3))
        in_camera[:, H36M17_OF_28] = y_up @ ROTATION.T + TRANSLATION + [10 * camera, 0, 0]
        seen = np.zeros((len(joints), 28, 2))
        seen[:, H36M17_OF_28] = (in_camera[:, H36M17_OF_28] / in_camera[:, H36M17_OF_28, 2:] @ K.T)[..., :2]
        annotation["annot2"][camera, 0] = seen.reshape(len(joints), 56)
        annotation["annot3"][camera, 0] = in_camera.reshape(len(joints), 84)
        annotation["univ_annot3"][camera, 0] = 0.9 * in_camera.reshape(len(joints), 84)
    edit(annotation)
    scipy.io.savemat(folder / "annot.mat", annotation)
    (folder / "camera.calibration").write_text(calibration())
    return folder


def test_joints_are_taken_by_their_names() -> None:
    for taken, names in ((H36M17_OF_28, NAMES_28), (H36M17_OF_17, NAMES_17)):
        for joint, index in zip(H36M17.joints, taken, strict=True):
            assert names[index] == OTHER_NAMES.get(joint, joint)


def check_nose_is_unlabelled(path: Path) -> None:
    """In 2D and in 3D, and so that no box knows of it; all other joints are visible."""
    with PoseStore(path) as store:
        poses = store.read()
        assert store.unlabelled == ("nose",)
    for row in poses.visibility:
        assert row.tolist() == [2 if is_labelled else 0 for is_labelled in LABELLED]
    nose = H36M17.index("nose")
    assert (poses.joints_2d[:, nose] == 0).all()
    assert np.isnan(poses.joints_3d[:, nose]).all()
    assert np.isfinite(poses.joints_3d[:, LABELLED]).all()
    seen = poses.joints_2d[:, LABELLED]
    low, high = seen.min(1), seen.max(1)
    np.testing.assert_allclose(poses.box[:, :2] + poses.box[:, 2:] / 2, (low + high) / 2, rtol=1e-4)


def test_rows_of_the_store(tmp_path: Path, standing_pose: np.ndarray) -> None:
    joints = people(11, standing_pose)
    write_sequence(tmp_path / "data" / "S1" / "Seq2", joints)
    summary = import_mpi_inf_3dhp(tmp_path / "data", tmp_path / "out.h5", fps=10)
    assert (summary.sequences, summary.poses, summary.left_out) == (1, 8 * 3, {})
    with PoseStore(tmp_path / "out.h5", skeleton=H36M17) as store:
        poses = store.read()
        assert store.coordinate_frame == "world"
        assert [camera.name for camera in store.cameras] == [
            f"S1/Seq2/{name}" for name in (0, 1, 2, 4, 5, 6, 7, 8)
        ]
        cameras = store.cameras
    assert poses.frame[:3].tolist() == [1, 6, 11]  # 50 frames per second
    assert poses.joints_3d is not None
    assert poses.joints_2d is not None
    assert poses.camera is not None
    np.testing.assert_allclose(poses.joints_3d[-3:, LABELLED], joints[::5, LABELLED], atol=0.05)
    y_up = joints[5, :, [0, 2, 1]].T * [1, 1, -1]
    seen, _ = cv2.projectPoints(y_up, cv2.Rodrigues(ROTATION)[0], TRANSLATION + np.array([80, 0, 0]), K, None)
    np.testing.assert_allclose(poses.joints_2d[-2, LABELLED], seen[LABELLED, 0], atol=0.05)
    check_nose_is_unlabelled(tmp_path / "out.h5")
    assert cameras[0].position[2] > 1000  # a camera at the height of a chest, not below the floor
    assert set(poses.action) == {"Seq2"}


def test_frames_of_the_videos(tmp_path: Path, standing_pose: np.ndarray) -> None:
    folder = write_sequence(tmp_path / "data" / "S6" / "Seq2", people(6, standing_pose))
    with pytest.raises(InputError, match=r"video_0\.avi is missing"):
        import_mpi_inf_3dhp(tmp_path / "data", tmp_path / "out.h5", videos=True)
    write_video(folder / "imageSequence" / "video_0.avi", 6, (2048, 2048))
    summary = import_mpi_inf_3dhp(
        tmp_path / "data", tmp_path / "out.h5", videos=True, cameras=["0", "2"], fps=12.5
    )
    assert summary.left_out == {"S6 Seq2 camera 2": "its video is too short"}
    with PoseStore(tmp_path / "out.h5") as store:
        poses = store.read()
        images = [cv2.imread(str(store.image_folder / image)) for image in poses.image or ()]
    assert poses.frame.tolist() == [1, 3, 5]
    for image, frame in zip(images, poses.frame, strict=True):
        assert image is not None
        assert abs(float(image.mean()) - (20 + 10 * (frame - 1))) < 6


def test_calibration_files(tmp_path: Path) -> None:
    path = tmp_path / "camera.calibration"
    for edit, message in (
        (lambda text: text[10:], "does not start with"),
        (lambda text: text.replace("radial      0", "radial      0.1", 1), "camera 0 has radial distortion"),
        (lambda text: text.replace("  size        2048 2048\n", "", 1), "camera 0 has no size"),
        (
            lambda text: text.replace("size        2048 2048", "size        2048", 1),
            "line 4: size must be 2 numbers",
        ),
        (lambda text: text.replace("name          1\n", "name          0\n"), "camera 0 is there twice"),
        (lambda text: text.replace("0.9650164", "2.0", 1), "R is not a rotation"),
        (lambda text: text.splitlines()[0], "holds no cameras"),
    ):
        path.write_text(edit(calibration()))
        with pytest.raises(InputError, match=message):
            read_skeletool_cameras(path, "")


def cut(annotation: dict[str, np.ndarray]) -> None:
    annotation["annot2"][0, 0] = annotation["annot2"][0, 0][:3]


def not_finite(annotation: dict[str, np.ndarray]) -> None:
    annotation["annot3"][0, 0][4, :] = np.nan


BAD: list[tuple[Callable[[dict[str, np.ndarray]], object], str]] = [
    (lambda a: a.pop("annot3"), "annot3 must have an entry for each of 14 cameras"),
    (lambda a: a.update(annot2=a["annot2"][:5]), "annot2 must have an entry for each of 14 cameras"),
    (lambda a: a["annot3"].__setitem__((0, 0), np.zeros((6, 51))), r"annot3\{1\} must be numbers of shape \(frames, 84\)"),
    (cut, "camera 0: 2D has 3 frames and 3D 6"),
    (not_finite, r"annot3\{1\}, frame 5: a joint is not finite"),
    (lambda a: a.update(annot3=a["univ_annot3"] + 100), "px beside its 2D joints"),
]  # fmt: skip


@pytest.mark.parametrize(("edit", "message"), BAD)
def test_damaged_files_are_one_sentence_and_leave_nothing(
    tmp_path: Path, standing_pose: np.ndarray, edit: Callable[[dict[str, np.ndarray]], object], message: str
) -> None:
    write_sequence(tmp_path / "data" / "S1" / "Seq1", people(6, standing_pose), edit)
    with pytest.raises(InputError, match=message):
        import_mpi_inf_3dhp(tmp_path / "data", tmp_path / "out.h5")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["data"]


def test_choices_that_do_not_fit(tmp_path: Path, standing_pose: np.ndarray) -> None:
    write_sequence(tmp_path / "data" / "S1" / "Seq1", people(6, standing_pose))
    with pytest.raises(InputError, match="there is no camera '14': choose from 0 to 13"):
        import_mpi_inf_3dhp(tmp_path / "data", tmp_path / "out.h5", cameras=["14"])
    with pytest.raises(InputError, match="has no subject 'S2': it has S1"):
        import_mpi_inf_3dhp(tmp_path / "data", tmp_path / "out.h5", subjects=["S2"])
    with pytest.raises(InputError, match="fps must be above 0 and at most the 25 of the source, not 50"):
        import_mpi_inf_3dhp(tmp_path / "data", tmp_path / "out.h5", fps=50)
    with pytest.raises(InputError, match=r"holds no S1/Seq1/annot\.mat"):
        import_mpi_inf_3dhp(tmp_path / "data" / "S1" / "Seq1", tmp_path / "out.h5")
    (tmp_path / "out.h5").write_text("mine")
    with pytest.raises(OutputError, match="exists"):
        import_mpi_inf_3dhp(tmp_path / "data", tmp_path / "out.h5")


def write_test_set(folder: Path, joints: np.ndarray, *, images: bool = True) -> Path:
    """The layout of mpi_inf_3dhp_test_set: MATLAB's HDF5, axes the other way round; frame 2 is not valid."""
    in_camera = np.zeros((len(joints), 1, 17, 3))
    y_up = np.stack([joints[..., 0], joints[..., 2], -joints[..., 1]], -1)
    in_camera[:, 0, H36M17_OF_17] = y_up @ ROTATION.T + TRANSLATION
    place = folder / "TS1"
    (place / "imageSequence").mkdir(parents=True) if images else place.mkdir(parents=True)
    with h5py.File(place / "annot_data.mat", "w") as file:
        file["annot3"], file["univ_annot3"] = in_camera, 0.9 * in_camera
        file["annot2"] = (in_camera / in_camera[..., 2:] @ K.T)[..., :2]
        file["valid_frame"] = np.array([[1.0], [0.0]] + [[1.0]] * (len(joints) - 2))
        file["activity_annotation"] = np.full((len(joints), 1), 3.0)
    for number in range(1, len(joints) + 1) if images else ():
        cv2.imwrite(
            str(place / "imageSequence" / f"img_{number:06d}.jpg"), np.zeros((2048, 2048, 3), np.uint8)
        )
    return folder


def test_the_test_set(tmp_path: Path, standing_pose: np.ndarray) -> None:
    joints = people(5, standing_pose)
    source = write_test_set(tmp_path / "test", joints)
    summary = import_mpi_inf_3dhp_test_set(source, tmp_path / "out.h5")
    assert (summary.sequences, summary.poses, summary.unmarked) == (1, 4, 1)
    with PoseStore(tmp_path / "out.h5", skeleton=H36M17) as store:
        poses = store.read()
        (camera,) = store.cameras
        assert store.coordinate_frame == "camera"
        assert all((store.image_folder / image).is_file() for image in poses.image or ())
    np.testing.assert_allclose(camera.K, K, atol=1e-3)
    assert poses.frame.tolist() == [1, 3, 4, 5]
    assert set(poses.action) == {"activity 3"}
    assert poses.joints_3d is not None
    y_up = joints[2, :, [0, 2, 1]].T * [1, 1, -1]
    np.testing.assert_allclose(
        poses.joints_3d[1, LABELLED], (y_up @ ROTATION.T + TRANSLATION)[LABELLED], atol=0.01
    )
    check_nose_is_unlabelled(tmp_path / "out.h5")


def test_a_damaged_test_set(tmp_path: Path, standing_pose: np.ndarray) -> None:
    source = write_test_set(tmp_path / "test", people(5, standing_pose), images=False)
    target = tmp_path / "out.h5"
    with pytest.raises(InputError, match="'TS2' is not one that is there"):
        import_mpi_inf_3dhp_test_set(source, target, subjects=["TS2"])
    (source / "TS2" / "imageSequence").mkdir(parents=True)
    (source / "TS2" / "annot_data.mat").write_bytes((source / "TS1" / "annot_data.mat").read_bytes())
    with pytest.raises(InputError, match="TS1 has no folder imageSequence and TS2 has one"):
        import_mpi_inf_3dhp_test_set(source, target)
    with pytest.raises(InputError, match=r"img_000001\.jpg is missing"):
        import_mpi_inf_3dhp_test_set(source, target, subjects=["TS2"])
    path = source / "TS1" / "annot_data.mat"
    for factors in ([1, 1, 1], [-1, 1, 1]):
        with h5py.File(path, "r+") as file:
            file["annot3"][...] = factors * (file["annot3"][...] + 300 * np.sin(np.arange(51)).reshape(17, 3))
        with pytest.raises(InputError, match="no camera sees its 3D joints where its 2D joints are"):
            import_mpi_inf_3dhp_test_set(source, target, subjects=["TS1"])
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(InputError, match=r"annot_data\.mat is not a MATLAB 7\.3 file"):
        import_mpi_inf_3dhp_test_set(source, target, subjects=["TS1"])
    assert not target.exists()
