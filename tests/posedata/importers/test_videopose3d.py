from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evolift.posedata.camera import Camera
from evolift.posedata.errors import InputError, OutputError
from evolift.posedata.importers.human36m import CAMERA_SIZES, H36M17_OF_32, Choice
from evolift.posedata.importers.human36m_cameras import BUILT_IN, built_in_cameras, read_human36m_cameras
from evolift.posedata.importers.videopose3d import JOINT_9_NOTE, import_videopose3d
from evolift.posedata.joint_mapping import mapping_between
from evolift.posedata.nose import is_nose
from evolift.posedata.skeleton import COCO17, H36M16, H36M17, MPII16
from evolift.posedata.store import PoseStore
from tests.posedata.human36m_files import S1_POSITION, hourglass, metadata_xml, walking, write_metadata

SEQUENCES = {
    "S1": {"Directions 1": 12, "Photo": 7},
    "S9": {"Greeting": 5, "Walking": 6},
    "S11": {"Directions": 5, "Waiting 1": 6},
}
H36M_METADATA = {
    "layout_name": "h36m",
    "num_joints": 17,
    "keypoints_symmetry": [[4, 5, 6, 11, 12, 13], [1, 2, 3, 14, 15, 16]],
}
COCO_METADATA = {
    "layout_name": "coco",
    "num_joints": 17,
    "keypoints_symmetry": [[1, 3, 5, 7, 9, 11, 13, 15], [2, 4, 6, 8, 10, 12, 14, 16]],
}


@pytest.fixture
def positions(standing_pose: np.ndarray) -> dict[str, dict[str, np.ndarray]]:
    """As data_3d_h36m.npz holds them: metres, 32 joints."""
    return {
        subject: {
            action: walking(frames, standing_pose, seed) / 1000
            for seed, (action, frames) in enumerate(actions.items())
        }
        for subject, actions in SEQUENCES.items()
    }


def write_3d(folder: Path, positions: dict[str, dict[str, np.ndarray]]) -> Path:
    np.savez_compressed(folder / "data_3d_h36m.npz", positions_3d=positions)  # type: ignore[arg-type]  # pickled
    return folder / "data_3d_h36m.npz"


Positions2d = dict[str, dict[str, list[np.ndarray]]]


def noise_2d(joints: int, extra: int = 2, seed: int = 0) -> Positions2d:
    rng = np.random.default_rng(seed)
    return {
        subject: {
            action: [rng.uniform(0, 1000, (frames + extra, joints, 2)).astype(np.float32) for _ in range(4)]
            for action, frames in actions.items()
        }
        for subject, actions in SEQUENCES.items()
    }


def seen_2d(
    positions: dict[str, dict[str, np.ndarray]], see: Callable[[np.ndarray, Camera], np.ndarray]
) -> Positions2d:
    """What Human3.6M's cameras see of positions_3d: `see(joints in mm, camera)`."""
    return {
        subject: {
            action: [
                see(1000 * joints, built_in_cameras()[subject, name]).astype(np.float32)
                for name in CAMERA_SIZES
            ]
            for action, joints in actions.items()
        }
        for subject, actions in positions.items()
    }


def true_joints(joints: np.ndarray, camera: Camera) -> np.ndarray:
    return camera.project(joints[:, H36M17_OF_32])


def write_2d(
    folder: Path,
    joints: int = 17,
    metadata: dict[str, Any] | None = None,
    extra: int = 2,
    table: Positions2d | None = None,
) -> Path:
    table = noise_2d(joints, extra) if table is None else table
    arrays = {"positions_2d": table} | ({} if metadata is None else {"metadata": metadata})
    np.savez_compressed(folder / "data_2d_h36m_gt.npz", **arrays)  # type: ignore[arg-type]  # pickled
    return folder / "data_2d_h36m_gt.npz"


def test_3d_alone_is_poses_in_the_world(tmp_path: Path, positions: dict[str, Any]) -> None:
    summary = import_videopose3d([write_3d(tmp_path, positions)], tmp_path / "out.h5", fps=10)
    assert (summary.sequences, summary.poses) == (4, 3 + 2 + 2 + 2)
    assert summary.left_out == {
        "S9 Greeting": "its poses are shifted against the images",
        "S11 Directions": "its video is corrupt",
    }
    with PoseStore(tmp_path / "out.h5", skeleton=H36M17) as store:
        poses = store.read()
        assert store.coordinate_frame == "world"
        assert store.columns == {"joints_3d", "subject", "action", "frame"}
        assert list(store.provenance.inputs) == ["data_3d_h36m.npz"]
    assert list(poses.subject) == ["S1"] * 5 + ["S9"] * 2 + ["S11"] * 2
    assert list(poses.action[:5]) == ["Directions 1"] * 3 + ["Photo"] * 2
    assert poses.frame.tolist() == [1, 6, 11, 1, 6, 1, 6, 1, 6]
    assert poses.joints_3d is not None
    expected = 1000 * positions["S1"]["Directions 1"][[0, 5, 10]][:, H36M17_OF_32]
    np.testing.assert_allclose(poses.joints_3d[:3], expected, atol=1e-3)


def test_3d_and_2d_with_the_cameras(tmp_path: Path, positions: dict[str, Any]) -> None:
    path_2d = write_2d(tmp_path, metadata=H36M_METADATA)
    metadata = write_metadata(tmp_path)
    summary = import_videopose3d(
        [path_2d, write_3d(tmp_path, positions)],
        tmp_path / "out.h5",
        metadata=metadata,
        choice=Choice(("S9",), with_shifted=True),
    )
    assert (summary.sequences, summary.poses, summary.left_out) == (2, 4 * (5 + 6), {})
    table = np.load(path_2d, allow_pickle=True)["positions_2d"].item()
    with PoseStore(tmp_path / "out.h5") as store:
        poses = store.read()
        cameras = store.cameras
    assert [camera.name for camera in cameras] == [
        f"S9/{name}" for name in ("54138969", "55011271", "58860488", "60457274")
    ]
    assert [(camera.width, camera.height) for camera in cameras[:2]] == [(1000, 1002), (1000, 1000)]
    assert poses.camera is not None
    assert poses.camera[:10].tolist() == [0] * 5 + [1] * 5
    assert poses.joints_2d is not None
    np.testing.assert_array_equal(poses.joints_2d[5:10], table["S9"]["Greeting"][1][:5])
    assert poses.joints_3d is not None
    np.testing.assert_array_equal(poses.joints_3d[:5], poses.joints_3d[5:10])


@pytest.mark.parametrize(
    "metadata", [H36M_METADATA, {"num_joints": 17, "keypoints_symmetry": H36M_METADATA["keypoints_symmetry"]}]
)
def test_2d_alone(tmp_path: Path, metadata: dict[str, Any]) -> None:
    path = write_2d(tmp_path, metadata=metadata)
    summary = import_videopose3d([path], tmp_path / "out.h5", choice=Choice(("S1",)))
    assert summary.poses == 4 * (14 + 9)
    with PoseStore(tmp_path / "out.h5", skeleton=H36M17) as store:
        assert store.coordinate_frame == "none"
        assert store.columns == {"joints_2d", "visibility", "subject", "action", "frame", "camera"}
        assert [camera.name for camera in store.cameras] == [f"S1/{name}" for name in CAMERA_SIZES]


def test_coco_and_sixteen_and_thirty_two_joints(tmp_path: Path, positions: dict[str, Any]) -> None:
    path = write_2d(tmp_path, metadata=COCO_METADATA)
    table = np.load(path, allow_pickle=True)["positions_2d"].item()
    import_videopose3d([path], tmp_path / "coco.h5")
    with PoseStore(tmp_path / "coco.h5", skeleton=H36M17) as store:
        joints = store.read(slice(0, 1)).joints_2d
    assert joints is not None
    first = table["S1"]["Directions 1"][0][0]
    hips = (first[COCO17.index("left_hip")] + first[COCO17.index("right_hip")]) / 2
    np.testing.assert_allclose(joints[0, 0], hips, rtol=1e-5)
    np.testing.assert_allclose(joints[0, H36M17.index("left_wrist")], first[COCO17.index("left_wrist")])

    sixteen = {
        "layout_name": "h36m",
        "num_joints": 16,
        "keypoints_symmetry": [[4, 5, 6, 10, 11, 12], [1, 2, 3, 13, 14, 15]],
    }
    without_nose = [H36M17_OF_32[H36M17.index(joint)] for joint in H36M16.joints]
    seen = seen_2d(positions, lambda joints, camera: camera.project(joints[:, without_nose]))
    path = write_2d(tmp_path, 16, sixteen, table=seen)
    summary = import_videopose3d([path, write_3d(tmp_path, positions)], tmp_path / "16.h5")
    assert summary.notes == (BUILT_IN,)
    with PoseStore(tmp_path / "16.h5", skeleton=H36M16) as store:
        joints_3d = store.read(slice(0, 1)).joints_3d
    assert joints_3d is not None
    names = [H36M17.index(joint) for joint in H36M16.joints]
    np.testing.assert_allclose(
        joints_3d[0], 1000 * positions["S1"]["Directions 1"][0][H36M17_OF_32, :][names], atol=1e-3
    )

    path = write_2d(tmp_path, 32)
    table = np.load(path, allow_pickle=True)["positions_2d"].item()
    import_videopose3d([path], tmp_path / "32.h5")
    with PoseStore(tmp_path / "32.h5", skeleton=H36M17) as store:
        joints = store.read(slice(0, 1)).joints_2d
    assert joints is not None
    np.testing.assert_array_equal(joints[0], table["S1"]["Directions 1"][0][0, list(H36M17_OF_32)])


def test_cameras_of_metadata_xml(tmp_path: Path) -> None:
    cameras = read_human36m_cameras(write_metadata(tmp_path))
    assert len(cameras) == 44
    camera = cameras["S1", "54138969"]
    np.testing.assert_allclose(camera.position, S1_POSITION, atol=1e-6)
    np.testing.assert_allclose(
        cameras["S5", "55011271"].position[0], S1_POSITION[0] + 10 * (11 + 4), atol=1e-6
    )
    # The orientation that VideoPose3D publishes for this camera: a quaternion (w, x, y, z), camera to world.
    w, x, y, z = 0.1407056450843811, -0.1500701755285263, -0.755240797996521, 0.6223280429840088
    rotation = np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ])  # fmt: skip
    np.testing.assert_allclose(camera.R.T, rotation, atol=1e-6)
    assert camera.K[0].tolist() == [1145.04940458804, 0, 512.541504956548]
    np.testing.assert_allclose(
        camera.distortion, [-0.2070989, 0.2477752, -0.0014245, -0.0009757, -0.0030752], atol=1e-7
    )
    middle = camera.project(np.array([[0.0, 0.0, 900.0]]))[0]  # people act about the world's origin
    assert (np.abs(middle - 500) < 200).all()


def test_built_in_cameras(tmp_path: Path, positions: dict[str, Any]) -> None:
    path_3d = write_3d(tmp_path, positions)
    path_2d = write_2d(tmp_path, metadata=H36M_METADATA, table=seen_2d(positions, true_joints))
    summary = import_videopose3d([path_3d, path_2d], tmp_path / "out.h5")
    assert (summary.poses, summary.notes) == (4 * (12 + 7 + 6 + 6), (BUILT_IN,))
    with PoseStore(tmp_path / "out.h5", skeleton=H36M17) as store:
        poses, cameras = store.read(), store.cameras
        assert store.provenance.parameters["cameras"] == "built in"
        assert sorted(store.provenance.inputs) == ["data_2d_h36m_gt.npz", "data_3d_h36m.npz"]
    assert len(cameras) == 3 * 4
    assert poses.camera is not None
    assert poses.joints_3d is not None
    assert poses.joints_2d is not None
    for index, camera in enumerate(cameras):
        rows = poses.camera == index
        np.testing.assert_allclose(camera.project(poses.joints_3d[rows]), poses.joints_2d[rows], atol=1e-2)
    # metadata.xml wins.
    metadata = write_metadata(tmp_path)
    summary = import_videopose3d([path_3d, path_2d], tmp_path / "other.h5", metadata=metadata)
    assert summary.notes == ()
    with PoseStore(tmp_path / "other.h5") as store:
        assert store.provenance.parameters["cameras"] == "metadata.xml"
        assert store.cameras[1].position[0] == pytest.approx(S1_POSITION[0] + 110)


def test_other_peoples_cameras_are_not_known(tmp_path: Path, positions: dict[str, Any]) -> None:
    positions["CMU_action"] = positions.pop("S1")
    path_3d = write_3d(tmp_path, positions)
    table = noise_2d(17)
    table["CMU_action"] = table.pop("S1")
    path_2d = write_2d(tmp_path, metadata=H36M_METADATA, table=table)
    with pytest.raises(InputError, match=r"not built in.*give Human3\.6M's metadata\.xml by `metadata`"):
        import_videopose3d([path_3d, path_2d], tmp_path / "out.h5")
    for sources in ([path_3d], [path_2d]):
        summary = import_videopose3d(sources, tmp_path / "out.h5", overwrite=True)
        assert summary.notes == ()
        with PoseStore(tmp_path / "out.h5") as store:
            assert not store.cameras
    two_views = {name: {key: views[:2] for key, views in actions.items()} for name, actions in table.items()}
    del two_views["CMU_action"]
    import_videopose3d([write_2d(tmp_path, metadata=H36M_METADATA, table=two_views)], tmp_path / "two.h5")
    with PoseStore(tmp_path / "two.h5") as store:
        assert not store.cameras


SEMGCN_PERMUTATION = [6, 2, 1, 0, 3, 4, 5, 7, 8, 9, 13, 14, 15, 12, 11, 10]
"""Of data/prepare_data_2d_h36m_sh.py: MPII's joint in each place."""


@pytest.mark.parametrize(
    ("order", "symmetry", "note"),
    [
        (list(range(16)), [[3, 4, 5, 13, 14, 15], [0, 1, 2, 10, 11, 12]], "finds, converted"),
        (SEMGCN_PERMUTATION, [[4, 5, 6, 10, 11, 12], [3, 2, 1, 13, 14, 15]], "finds in SemGCN's order"),
    ],
)
def test_detections_of_stacked_hourglass(
    tmp_path: Path, positions: dict[str, Any], order: list[int], symmetry: list[list[int]], note: str
) -> None:
    table = seen_2d(positions, lambda joints, camera: hourglass(joints, camera)[:, order])
    metadata = {"num_joints": 16, "keypoints_symmetry": symmetry}
    path_2d = write_2d(tmp_path, 16, metadata, table=table)
    summary = import_videopose3d([write_3d(tmp_path, positions), path_2d], tmp_path / "out.h5")
    assert note in summary.notes[0]
    with PoseStore(tmp_path / "out.h5", skeleton=H36M17) as store:
        poses = store.read(slice(0, 1))
    assert poses.joints_2d is not None
    assert poses.visibility is not None
    expected, visibility = mapping_between(MPII16, H36M17).convert(
        hourglass(1000 * positions["S1"]["Directions 1"][:1], built_in_cameras()["S1", "54138969"])
    )
    np.testing.assert_allclose(poses.joints_2d, expected, atol=1e-2)
    np.testing.assert_array_equal(poses.visibility, visibility)
    truth = true_joints(1000 * positions["S1"]["Directions 1"][:1], built_in_cameras()["S1", "54138969"])
    for joint in ("thorax", "left_wrist", "right_ankle", "head"):
        index = H36M17.index(joint)
        np.testing.assert_allclose(poses.joints_2d[0, index], truth[0, index], atol=1e-2)


@pytest.mark.real_data
def test_real_poses_of_other_people_have_no_cameras(data_folder: Path, tmp_path: Path) -> None:
    summary = import_videopose3d([data_folder / "cmu_actions.npz"], tmp_path / "out.h5")
    assert (summary.sequences, summary.poses, summary.notes) == (32, 8460, (JOINT_9_NOTE,))
    with PoseStore(tmp_path / "out.h5", skeleton=H36M17) as store:
        assert store.coordinate_frame == "world"
        assert store.unlabelled == ("nose",)  # these poses have a neck there
        assert "camera" not in store.columns
        assert not store.cameras


def with_a_neck(positions: dict[str, Any], share: float = 0.6) -> dict[str, Any]:
    """The same poses with joint 9 on the line from thorax to head."""
    thorax, nose, head = (H36M17_OF_32[H36M17.index(name)] for name in ("thorax", "nose", "head"))
    made = {}
    for subject, actions in positions.items():
        made[subject] = {action: joints.copy() for action, joints in actions.items()}
        for joints in made[subject].values():
            joints[:, nose] = joints[:, thorax] + share * (joints[:, head] - joints[:, thorax])
    return made


@pytest.mark.parametrize("share", [0.6, 0.0])
def test_a_neck_in_the_place_of_joint_9_is_left_unlabelled(
    tmp_path: Path, positions: dict[str, Any], share: float
) -> None:
    """On the line to the head, or on the thorax; in 2D as well, if the 2D joints are Human3.6M's too."""
    import_videopose3d([write_3d(tmp_path, positions)], tmp_path / "nose.h5")
    changed = with_a_neck(positions, share)
    path_3d = write_3d(tmp_path, changed)
    summary = import_videopose3d([path_3d], tmp_path / "neck.h5")
    assert summary.notes == (JOINT_9_NOTE,)
    with PoseStore(tmp_path / "nose.h5") as store, PoseStore(tmp_path / "neck.h5") as other:
        assert (store.unlabelled, other.unlabelled) == ((), ("nose",))
        expected, joints = store.read().joints_3d, other.read().joints_3d
    assert is_nose(expected)
    expected[:, H36M17.index("nose")] = np.nan
    np.testing.assert_array_equal(joints, expected)

    path_2d = write_2d(tmp_path, metadata=H36M_METADATA, table=seen_2d(changed, true_joints))
    summary = import_videopose3d([path_3d, path_2d], tmp_path / "both.h5")
    assert summary.notes == (JOINT_9_NOTE, BUILT_IN)
    with PoseStore(tmp_path / "both.h5") as store:
        poses = store.read()
        assert store.unlabelled == ("nose",)
    labelled = [joint != "nose" for joint in H36M17.joints]
    assert (poses.visibility == np.where(labelled, 2, 0)).all()
    assert (poses.joints_2d[:, H36M17.index("nose")] == 0).all()
    assert (poses.joints_2d[:, labelled] != 0).all()


def test_detected_noses_and_skeletons_without_one_do_not_mind_a_neck_in_3d(
    tmp_path: Path, positions: dict[str, Any]
) -> None:
    changed = with_a_neck(positions)
    path_3d = write_3d(tmp_path, changed)
    coco = seen_2d(
        changed,
        lambda joints, camera: mapping_between(H36M17, COCO17).convert(true_joints(joints, camera))[0],
    )
    path_2d = write_2d(tmp_path, metadata=COCO_METADATA, table=coco)
    import_videopose3d([path_3d, path_2d], tmp_path / "coco.h5", metadata=write_metadata(tmp_path))
    with PoseStore(tmp_path / "coco.h5") as store:
        poses = store.read()
        assert store.unlabelled == ("nose",)
    assert (poses.visibility[:, H36M17.index("nose")] == 2).all()

    without_nose = [H36M17_OF_32[H36M17.index(joint)] for joint in H36M16.joints]
    seen = seen_2d(changed, lambda joints, camera: camera.project(joints[:, without_nose]))
    sixteen = {"layout_name": "h36m", "num_joints": 16}
    path_2d = write_2d(tmp_path, 16, sixteen, table=seen)
    summary = import_videopose3d([path_3d, path_2d], tmp_path / "16.h5")
    assert summary.notes == (BUILT_IN,)
    with PoseStore(tmp_path / "16.h5", skeleton=H36M16) as store:
        assert store.unlabelled == ()


METADATA_DAMAGES: dict[str, Callable[[str], str]] = {
    "is not readable XML": lambda text: text[:-9],
    "does not name the cameras": lambda text: text.replace("54138969", "1"),
    "must hold 300 numbers, 299 could be read": lambda text: text.replace("<w0>[-1.38382776045614", "<w0>["),
    "must hold 300 numbers, 0 could be read": lambda text: text.replace("<w0>[", "<w0>[one "),
    "defines entities": lambda text: text.replace(
        "<metadata>", '<!DOCTYPE m [<!ENTITY a "b">]><metadata>', 1
    ),
}


@pytest.mark.parametrize("message", METADATA_DAMAGES)
def test_damaged_metadata(tmp_path: Path, message: str) -> None:
    (tmp_path / "metadata.xml").write_text(METADATA_DAMAGES[message](metadata_xml()))
    with pytest.raises(InputError, match=message):
        read_human36m_cameras(tmp_path / "metadata.xml")


def millimetres(positions: dict[str, Any]) -> None:
    positions["S1"]["Photo"] = 1000 * positions["S1"]["Photo"]


def not_finite(positions: dict[str, Any]) -> None:
    positions["S1"]["Photo"][3, 2, 1] = np.nan


def other_joints(positions: dict[str, Any]) -> None:
    positions["S1"]["Photo"] = positions["S1"]["Photo"][:, :15]


def text(positions: dict[str, Any]) -> None:
    positions["S1"]["Photo"] = "gone"


def no_actions(positions: dict[str, Any]) -> None:
    positions["S1"] = [1, 2]


DAMAGES: list[tuple[Callable[[dict[str, Any]], None], str]] = [
    (millimetres, r"positions_3d\['S1'\]\['Photo'\]: its legs are not as long as a person's in metres"),
    (not_finite, r"positions_3d\['S1'\]\['Photo'\], frame 4: a joint is not finite"),
    (other_joints, r"of shape \(frames, 32 or 17, 3\), it is float32 of \(7, 15, 3\)"),
    (text, r"of shape \(frames, 32 or 17, 3\), it is <U4 of \(\)"),
    (no_actions, "positions_3d is not a table by subject and action"),
    (dict.clear, "holds no sequences"),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGES)
def test_damaged_poses_are_one_sentence_and_leave_nothing(
    tmp_path: Path, positions: dict[str, Any], damage: Callable[[dict[str, Any]], None], message: str
) -> None:
    damage(positions)
    path = write_3d(tmp_path, positions)
    with pytest.raises(InputError, match=message) as caught:
        import_videopose3d([path], tmp_path / "out.h5")
    assert str(path) in str(caught.value)
    assert list(tmp_path.iterdir()) == [path]


def test_files_that_do_not_fit(tmp_path: Path, positions: dict[str, Any]) -> None:
    path_3d, metadata = write_3d(tmp_path, positions), write_metadata(tmp_path)
    path_2d = write_2d(tmp_path, metadata=H36M_METADATA)
    with pytest.raises(InputError, match=r"camera S1/54138969 are \d+ px beside its 2D joints: give files"):
        import_videopose3d([path_3d, path_2d], tmp_path / "out.h5")
    with pytest.raises(InputError, match="both hold positions_3d"):
        import_videopose3d([path_3d, path_3d], tmp_path / "out.h5")
    with pytest.raises(InputError, match="has no subject 'S2': it has S1, S9, S11"):
        import_videopose3d([path_3d], tmp_path / "out.h5", choice=Choice(("S2",)))
    np.savez(tmp_path / "other.npz", joints=np.zeros(3))
    with pytest.raises(InputError, match="must hold positions_3d or positions_2d"):
        import_videopose3d([tmp_path / "other.npz"], tmp_path / "out.h5")
    path_2d = write_2d(tmp_path, metadata=H36M_METADATA, extra=-1)
    with pytest.raises(InputError, match=r"\[0\] has 11 frames, the 3D joints have 12"):
        import_videopose3d([path_3d, path_2d], tmp_path / "out.h5", metadata=metadata)
    positions["S1"]["Eating"] = positions["S1"]["Photo"]
    with pytest.raises(InputError, match="lacks S1 Eating"):
        import_videopose3d([write_3d(tmp_path, positions), path_2d], tmp_path / "out.h5", metadata=metadata)
    for wrong in (None, {"layout_name": "h36m", "keypoints_symmetry": COCO_METADATA["keypoints_symmetry"]}):
        with pytest.raises(InputError, match=r"its 17 joints .* are neither those of Human3\.6M"):
            import_videopose3d([write_2d(tmp_path, metadata=wrong)], tmp_path / "out.h5")
    (tmp_path / "out.h5").write_text("mine")
    with pytest.raises(OutputError, match="exists"):
        import_videopose3d([path_3d], tmp_path / "out.h5")


@pytest.mark.parametrize(
    ("axes", "up", "frame", "note"),
    [
        ((0, 1, 2), None, "world", None),
        ((0, 2, -1), None, "world", "people stand along y, which is turned upward"),
        ((0, -2, 1), None, "camera", "people stand along -y, as in a camera's frame"),
        ((0, -2, 1), "-y", "world", None),
        ((0, -2, 1), "y", "world", "people in it stand along -y, not along y, which was given for up"),
    ],
)
def test_the_upward_axis_is_checked(
    tmp_path: Path,
    positions: dict[str, Any],
    axes: tuple[int, int, int],
    up: Any,
    frame: str,
    note: str | None,
) -> None:
    """`axes`: where each axis of the file comes from in a world with z up; -1 is -y and -2 is -z."""
    import_videopose3d([write_3d(tmp_path, positions)], tmp_path / "right.h5")
    places = [abs(axis) for axis in axes]
    signs = [-1 if axis < 0 else 1 for axis in axes]
    turned = {
        subject: {action: signs * joints[..., places] for action, joints in actions.items()}
        for subject, actions in positions.items()
    }
    summary = import_videopose3d(
        [write_3d(tmp_path, turned)], tmp_path / "out.h5", up=up, implausible=up == "y"
    )
    assert [told for told in summary.notes if "along" in told] == (
        [] if note is None else [next(told for told in summary.notes if note in told)]
    )
    with PoseStore(tmp_path / "right.h5") as right, PoseStore(tmp_path / "out.h5") as out:
        assert out.coordinate_frame == frame
        a, b = right.read().joints_3d, out.read().joints_3d
    assert a is not None
    assert b is not None
    if frame == "camera":
        a = signs * a[..., places]
    if up == "y":
        a = a * [1, -1, -1]
    np.testing.assert_allclose(b, a, atol=0.01)


def test_poses_that_do_not_stand_in_the_cameras_world_are_refused(
    tmp_path: Path, positions: dict[str, Any]
) -> None:
    lying = {
        subject: {action: joints[..., [2, 0, 1]] for action, joints in actions.items()}
        for subject, actions in positions.items()
    }
    sources = [
        write_3d(tmp_path, lying),
        write_2d(tmp_path, metadata=H36M_METADATA, table=seen_2d(positions, true_joints)),
    ]
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match=r"people in it stand along x, and Human3\.6M's cameras see a world"):
        import_videopose3d(sources, tmp_path / "out.h5")
    assert sorted(tmp_path.iterdir()) == before
