from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evolift.posedata.camera import Camera
from evolift.posedata.errors import InputError, OutputError
from evolift.posedata.importers.human36m import H36M17_OF_32, Choice
from evolift.posedata.importers.human36m_cameras import (
    BUILT_IN,
    CameraKey,
    built_in_cameras,
    read_human36m_cameras,
)
from evolift.posedata.importers.mmpose_npz import import_mmpose, read_mmpose_cameras
from evolift.posedata.skeleton import H36M17
from evolift.posedata.store import PoseStore
from tests.posedata.human36m_files import S1_POSITION, walking, write_metadata

SEQUENCES = (("S1", "Directions_1"), ("S1", "TakingPhoto"), ("S9", "Greeting"), ("S11", "Directions"))


def write_cameras(folder: Path, edit: Callable[[dict[Any, Any]], object] = id) -> Path:
    """The layout of mmpose's cameras.pkl: R and T from camera to world, metres, columns."""
    table: dict[Any, Any] = {}
    for key, camera in read_human36m_cameras(write_metadata(folder)).items():
        k1, k2, p1, p2, k3 = camera.distortion
        table[key] = {
            "R": camera.R.T, "T": camera.position[:, None] / 1000,
            "c": camera.K[:2, 2:], "f": np.diag(camera.K)[:2, None],
            "k": np.array([[k1], [k2], [k3]]), "p": np.array([[p1], [p2]]),
            "w": camera.width, "h": camera.height, "name": "camera1", "id": key[1],
        }  # fmt: skip
    edit(table)
    (folder / "cameras.pkl").write_bytes(pickle.dumps(table))
    return folder / "cameras.pkl"


def mmpose_arrays(
    folder: Path, standing_pose: np.ndarray, cameras: Mapping[CameraKey, Camera] | None = None
) -> dict[str, np.ndarray]:
    """The layout of h36m_train.npz, every fifth of 11 frames, two cameras: those of a metadata.xml if None are given."""
    cameras = read_human36m_cameras(write_metadata(folder)) if cameras is None else cameras
    rows: dict[str, list[Any]] = {name: [] for name in ("imgname", "center", "scale", "part", "S")}
    for subject, name in SEQUENCES:
        joints = walking(11, standing_pose)[::5, H36M17_OF_32].astype(np.float64)
        for camera in ("54138969", "60457274"):
            view = f"{subject}_{name}.{camera}"
            for index, pose in enumerate(joints):
                seen = cameras[subject, camera].project(pose)
                low, high = seen.min(0), seen.max(0)
                rows["imgname"].append(f"{subject}/{view}/{view}_{5 * index + 1:06d}.jpg")
                rows["center"].append((low + high) / 2)
                rows["scale"].append(1.2 * (high - low).max() / 200)
                rows["part"].append(np.concatenate([seen, np.ones((17, 1))], 1))
                in_camera = cameras[subject, camera].to_camera(pose) / 1000
                rows["S"].append(np.concatenate([in_camera, np.ones((17, 1))], 1))
    return {name: np.array(values) for name, values in rows.items()}


def write_mmpose(folder: Path, arrays: dict[str, np.ndarray]) -> Path:
    np.savez(folder / "h36m_train.npz", **arrays)  # type: ignore[arg-type]  # no flag among the names
    return folder / "h36m_train.npz"


@pytest.fixture
def arrays(tmp_path: Path, standing_pose: np.ndarray) -> dict[str, np.ndarray]:
    return mmpose_arrays(tmp_path, standing_pose)


def test_rows_of_the_store(tmp_path: Path, arrays: dict[str, np.ndarray], standing_pose: np.ndarray) -> None:
    path = write_mmpose(tmp_path, arrays)
    summary = import_mmpose(path, tmp_path / "out.h5", cameras=write_cameras(tmp_path))
    assert (summary.sequences, summary.poses) == (2, 12)
    assert set(summary.left_out) == {"S9 Greeting", "S11 Directions"}
    with PoseStore(tmp_path / "out.h5", skeleton=H36M17) as store:
        poses = store.read()
        assert store.coordinate_frame == "world"
        assert [camera.name for camera in store.cameras] == ["S1/54138969", "S1/60457274"]
        assert [(camera.width, camera.height) for camera in store.cameras] == [(1000, 1002)] * 2
    assert list(poses.action) == ["Directions 1"] * 6 + ["Photo"] * 6
    assert poses.frame.tolist() == [1, 6, 11] * 4
    assert poses.camera is not None
    assert poses.camera.tolist() == [0, 0, 0, 1, 1, 1] * 2
    assert poses.joints_3d is not None
    assert poses.joints_2d is not None
    assert poses.box is not None
    np.testing.assert_allclose(poses.joints_3d[3:6], walking(11, standing_pose)[::5, H36M17_OF_32], atol=1e-2)
    np.testing.assert_allclose(poses.joints_2d, arrays["part"][:12, :, :2], rtol=1e-5)
    np.testing.assert_allclose(poses.box[:, :2] + poses.box[:, 2:] / 2, arrays["center"][:12], rtol=1e-5)
    np.testing.assert_allclose(poses.box[:, 2:].T, [200 * arrays["scale"][:12]] * 2, rtol=1e-5)


def test_metadata_instead_and_images(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    path, metadata = write_mmpose(tmp_path, arrays), tmp_path / "metadata.xml"
    choice = Choice(("S9",), with_shifted=True)
    with pytest.raises(InputError, match=r"S9_Greeting\.54138969_000001\.jpg is missing"):
        import_mmpose(path, tmp_path / "out.h5", metadata=metadata, images=tmp_path, choice=choice)
    for name in arrays["imgname"]:
        (tmp_path / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "images" / name).write_bytes(b"an image")
    import_mmpose(path, tmp_path / "one.h5", metadata=metadata, images=tmp_path / "images", choice=choice)
    with PoseStore(tmp_path / "one.h5") as store:
        assert [store.image_folder / name for name in store.read().image or ()] == [
            tmp_path / "images" / name for name in arrays["imgname"][12:18]
        ]


def test_built_in_cameras_or_those_beside_the_file(tmp_path: Path, standing_pose: np.ndarray) -> None:
    folder = tmp_path / "annotation_body3d" / "fps10"
    folder.mkdir(parents=True)
    path = write_mmpose(folder, mmpose_arrays(tmp_path, standing_pose, built_in_cameras()))
    target = tmp_path / "out.h5"
    summary = import_mmpose(path, target)
    assert summary.notes == (BUILT_IN,)
    with PoseStore(target) as store:
        poses = store.read()
        assert store.provenance.parameters["cameras"] == "built in"
        assert list(store.provenance.inputs) == ["h36m_train.npz"]
    assert poses.joints_3d is not None
    np.testing.assert_allclose(poses.joints_3d[3:6], walking(11, standing_pose)[::5, H36M17_OF_32], atol=1e-2)
    # Cameras in a file beside it win, and these are other ones.
    beside = write_cameras(folder.parent)
    path = write_mmpose(folder, mmpose_arrays(tmp_path, standing_pose))
    summary = import_mmpose(path, target, overwrite=True)
    assert summary.notes == (f"cameras: those of {beside}",)
    with PoseStore(target) as store:
        assert store.provenance.parameters["cameras"] == "cameras.pkl"
        assert store.cameras[1].position[0] == pytest.approx(S1_POSITION[0] + 330)
        assert sorted(store.provenance.inputs) == ["cameras.pkl", "h36m_train.npz"]
    assert import_mmpose(path, target, metadata=tmp_path / "metadata.xml", overwrite=True).notes == ()


def test_unlabelled_joints(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    arrays["part"][0, 3] = [900, 900, 0]
    import_mmpose(write_mmpose(tmp_path, arrays), tmp_path / "out.h5", cameras=write_cameras(tmp_path))
    with PoseStore(tmp_path / "out.h5") as store:
        poses = store.read(slice(0, 1))
    assert poses.visibility is not None
    assert poses.joints_2d is not None
    assert poses.visibility[0].tolist() == [2, 2, 2, 0] + [2] * 13
    assert poses.joints_2d[0, 3].tolist() == [0, 0]


BAD: list[tuple[Callable[[dict[str, np.ndarray]], object], str]] = [
    (lambda a: a.pop("S"), "has no array 'S': it has imgname, center, scale, part"),
    (lambda a: a.update(S=a["S"][:, :16]), r"S must have the shape \(rows, 17, 4\) in C order, it has \(24, 16, 4\)"),
    (lambda a: a.update(scale=a["scale"][:20]), "its arrays differ in length"),
    (lambda a: a.update({name: values[:0] for name, values in a.items()}), "holds no rows"),
    (lambda a: a.update(S=a["S"].astype(object)), "S holds pickled objects, which are refused"),
    (lambda a: a["S"].__setitem__((3, 2, 1), np.nan), r"S\[3\] is not finite"),
    (lambda a: a["scale"].__setitem__(5, 0), r"scale\[5\] is not positive"),
    (lambda a: a["imgname"].__setitem__(2, "image2.jpg"), r"imgname\[2\] 'image2\.jpg' does not tell"),
    (lambda a: a.update(imgname=np.arange(24)), "imgname must be texts"),
    (lambda a: a.update(S=a["S"] * [1, 1, -1, 1]), "px beside its 2D joints: give the cameras that belong to it"),
    (lambda a: a.update(S=a["S"] + [0.1, 0, 0, 0]), "px beside its 2D joints"),
]  # fmt: skip


@pytest.mark.parametrize(("damage", "message"), BAD)
def test_damaged_files_are_one_sentence_and_leave_nothing(
    tmp_path: Path,
    arrays: dict[str, np.ndarray],
    damage: Callable[[dict[str, np.ndarray]], object],
    message: str,
) -> None:
    damage(arrays)
    path, cameras = write_mmpose(tmp_path, arrays), write_cameras(tmp_path)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match=message):
        import_mmpose(path, tmp_path / "out.h5", cameras=cameras)
    assert sorted(tmp_path.iterdir()) == before


BAD_CAMERAS: list[tuple[Callable[[dict[Any, Any]], object], str]] = [
    (lambda t: t.clear(), "is not a table of cameras"),
    (lambda t: t.update(S1={}), r"is not a table by \(subject, camera\)"),
    (lambda t: t["S1", "54138969"].pop("k"), "must have 'k' with 3 finite numbers"),
    (lambda t: t["S1", "54138969"].update(T=np.zeros(2)), "must have 'T' with 3 finite numbers"),
    (lambda t: t["S1", "54138969"].update(R=np.ones((3, 3))), "R is not a rotation"),
    (lambda t: t.update(extra=print), "holds more than plain arrays and containers"),
    (
        lambda t: t.pop(("S1", "60457274")),
        r"cameras\.pkl has no camera 60457274 of S1: choose other `subjects`",
    ),
]


@pytest.mark.parametrize(("edit", "message"), BAD_CAMERAS)
def test_bad_cameras(
    tmp_path: Path, arrays: dict[str, np.ndarray], edit: Callable[[dict[Any, Any]], object], message: str
) -> None:
    path = write_mmpose(tmp_path, arrays)
    with pytest.raises(InputError, match=message):
        import_mmpose(path, tmp_path / "out.h5", cameras=write_cameras(tmp_path, edit))
    assert not (tmp_path / "out.h5").exists()


def test_cameras_come_back(tmp_path: Path) -> None:
    read = read_mmpose_cameras(write_cameras(tmp_path))
    expected = read_human36m_cameras(tmp_path / "metadata.xml")
    assert list(read) == list(expected)
    for key, camera in read.items():
        for name in ("K", "R", "t", "distortion"):
            np.testing.assert_allclose(getattr(camera, name), getattr(expected[key], name), atol=1e-9)


def test_options_that_do_not_fit(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    path = write_mmpose(tmp_path, arrays)
    with pytest.raises(InputError, match="give one of `cameras` and `metadata`"):
        import_mmpose(
            path, tmp_path / "out.h5", cameras=write_cameras(tmp_path), metadata=tmp_path / "metadata.xml"
        )
    with pytest.raises(InputError, match="has no row of these subjects"):
        import_mmpose(path, tmp_path / "out.h5", metadata=tmp_path / "metadata.xml", choice=Choice(("S5",)))
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(InputError, match=r"is not a sound \.npz file"):
        import_mmpose(path, tmp_path / "out.h5", metadata=tmp_path / "metadata.xml")
    (tmp_path / "out.h5").write_text("mine")
    with pytest.raises(OutputError, match="exists"):
        import_mmpose(path, tmp_path / "out.h5", metadata=tmp_path / "metadata.xml")
