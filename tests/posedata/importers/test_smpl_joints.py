from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evolift.posedata.errors import InputError, OutputError
from evolift.posedata.importers.smpl_joints import import_smpl_joints
from evolift.posedata.skeleton import H36M17, SMPL22
from evolift.posedata.store import PoseStore
from tests.posedata.acclaim_files import zipped

# Joints of SMPL22 that are not in H36M17, as shares of some that are.
BETWEEN = {
    "pelvis": {"pelvis": 0.6, "spine": 0.4},
    "spine1": {"pelvis": 0.4, "spine": 0.6},
    "spine2": {"spine": 1.0},
    "spine3": {"spine": 0.7, "thorax": 0.3},
    "neck": {"thorax": 1.0},
    "head": {"thorax": 0.5, "head": 0.5},
    "left_collar": {"thorax": 0.6, "left_shoulder": 0.4},
    "right_collar": {"thorax": 0.6, "right_shoulder": 0.4},
    "left_foot": {"left_ankle": 1.0},
    "right_foot": {"right_ankle": 1.0},
}


def smpl_joints(frames: int, standing_pose: np.ndarray, joints: int = 22) -> np.ndarray:
    """(frames, joints, 3) m, z up: someone who moves a little, as a body model gives it."""
    poses = standing_pose + np.random.default_rng(0).normal(0, 8, (frames, 17, 3))
    made = np.zeros((frames, joints, 3))
    for index, name in enumerate(SMPL22.joints):
        for joint, share in BETWEEN.get(name, {name: 1.0}).items():
            made[:, index] += share * poses[:, H36M17.index(joint)]
    return made / 1000


def write_amass(path: Path, standing_pose: np.ndarray, frames: int, **rest: Any) -> Path:
    """The layout that HuMoR's process_amass_data.py writes; arrays that it has not got are None, which numpy pickles."""
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = {
        "fps": 30, "gender": "male", "floor_height": -0.02, "contacts": np.zeros((frames, 22)),
        "trans": np.zeros((frames, 3)), "root_orient": np.zeros((frames, 3)), "pose_body": np.zeros((frames, 63)),
        "pose_hand": None, "betas": np.zeros(16), "joints": smpl_joints(frames, standing_pose), "mojo_verts": None,
    }  # fmt: skip
    np.savez(path, **(arrays | rest))
    return path


def test_amass_after_the_body_model(tmp_path: Path, standing_pose: np.ndarray) -> None:
    path = write_amass(tmp_path / "amass" / "CMU" / "walk.npz", standing_pose, 12)
    summary = import_smpl_joints(tmp_path / "amass", tmp_path / "out.h5", fps=10)
    assert (summary.files, summary.poses, summary.native_frames) == (1, 4, 12)
    assert (summary.millimetres, summary.up, summary.mirrored) == (1000, "z", False)
    assert summary.detected == ("unit", "up", "mirrored")
    with PoseStore(tmp_path / "out.h5", skeleton=H36M17) as store:
        poses = store.read()
        assert store.coordinate_frame == "world"
    assert poses.frame.tolist() == [1, 4, 7, 10]
    assert set(poses.subject) == {"CMU"}
    assert set(poses.action) == {"walk"}
    joints = 1000 * np.load(path)["joints"][::3]
    assert poses.joints_3d is not None
    for name, source in (
        ("left_wrist", "left_wrist"),
        ("spine", "spine2"),
        ("thorax", "neck"),
    ):
        np.testing.assert_allclose(
            poses.joints_3d[:, H36M17.index(name)], joints[:, SMPL22.index(source)], atol=1e-3
        )
    hips = (joints[:, SMPL22.index("left_hip")] + joints[:, SMPL22.index("right_hip")]) / 2
    np.testing.assert_allclose(poses.joints_3d[:, 0], hips, atol=1e-3)
    head, thorax = (poses.joints_3d[:, H36M17.index(name)] for name in ("head", "thorax"))
    np.testing.assert_allclose((head + thorax) / 2, joints[:, SMPL22.index("head")], atol=1e-3)


def test_humanml3d_and_smplx_in_a_zip(tmp_path: Path, standing_pose: np.ndarray) -> None:
    """HumanML3D's .npy files have y up; SMPL-X has more joints after the 22."""
    joints = smpl_joints(8, standing_pose, 55)
    y_up = np.stack([joints[..., 0], joints[..., 2], -joints[..., 1]], -1)
    (tmp_path / "joints").mkdir()
    np.save(tmp_path / "joints" / "000001.npy", y_up[:, :22].astype(np.float32))
    np.savez(tmp_path / "joints" / "000002.npz", Jtr=y_up)
    archive = zipped(tmp_path / "joints", tmp_path / "joints.zip")
    summary = import_smpl_joints(archive, tmp_path / "out.h5", subject="S1")
    assert (summary.up, summary.poses) == ("y", 16)
    with PoseStore(tmp_path / "out.h5") as store:
        poses = store.read()
    assert list(poses.action) == ["000001"] * 8 + ["000002"] * 8
    assert poses.joints_3d is not None
    wrist = 1000 * joints[:, SMPL22.index("right_wrist")]
    for start in (0, 8):
        np.testing.assert_allclose(
            poses.joints_3d[start : start + 8, H36M17.index("right_wrist")], wrist, atol=0.01
        )


# Of smplx's output: the models' own joints, then the points of the body, of which the nose is the first.
@pytest.mark.parametrize(
    ("joints", "own"),
    [(45, 24), (73, 52), (127, 55), (144, 55), (22, None), (24, None), (52, None), (55, None)],
)
def test_the_whole_output_of_smplx_has_a_nose(
    tmp_path: Path, standing_pose: np.ndarray, joints: int, own: int | None
) -> None:
    made = smpl_joints(6, standing_pose, joints)
    made[:, 22:] = np.random.default_rng(1).normal(0, 0.2, made[:, 22:].shape)
    np.savez(tmp_path / "a.npz", joints=made)
    import_smpl_joints(tmp_path / "a.npz", tmp_path / "out.h5")
    with PoseStore(tmp_path / "out.h5", skeleton=H36M17) as store:
        poses = store.read()
        assert store.unlabelled == (("nose",) if own is None else ())
    nose = poses.joints_3d[:, H36M17.index("nose")]
    if own is None:
        assert np.isnan(nose).all()
    else:
        np.testing.assert_allclose(nose, 1000 * made[:, own], atol=1e-3)
    assert np.isfinite(np.delete(poses.joints_3d, H36M17.index("nose"), 1)).all()


def test_files_with_and_without_a_nose_are_imported_apart(tmp_path: Path, standing_pose: np.ndarray) -> None:
    for name, joints in (("a", 22), ("b", 45)):
        np.save(tmp_path / f"{name}.npy", smpl_joints(6, standing_pose, joints))
    with pytest.raises(
        InputError, match=r"b\.npy: it tells where the nose is, other than the files before: import it apart"
    ):
        import_smpl_joints(tmp_path, tmp_path / "out.h5")
    assert not (tmp_path / "out.h5").exists()


def test_another_key_and_rate(tmp_path: Path, standing_pose: np.ndarray) -> None:
    np.savez(tmp_path / "a.npz", keypoints=smpl_joints(12, standing_pose))
    with pytest.raises(
        InputError, match=r"has no array joints or Jtr .*: it has keypoints: name it by `key`"
    ):
        import_smpl_joints(tmp_path / "a.npz", tmp_path / "out.h5")
    with pytest.raises(InputError, match="does not tell its frames per second: give them by `rate`"):
        import_smpl_joints(tmp_path / "a.npz", tmp_path / "out.h5", key="keypoints", fps=10)
    summary = import_smpl_joints(tmp_path / "a.npz", tmp_path / "out.h5", key="keypoints", fps=10, rate=20)
    assert summary.poses == 6
    with PoseStore(tmp_path / "out.h5") as store:
        assert set(store.table()["subject"]) == {"unknown"}


BAD: list[tuple[dict[str, Any], str]] = [
    ({"joints": np.zeros((5, 17, 3))}, r"must hold joints of shape \(frames, 22 or more, 3\), they are float64 of \(5, 17, 3\)"),
    ({"joints": np.zeros((0, 22, 3))}, "must hold joints of shape"),
    ({"joints": np.full((5, 22, 3), np.nan)}, "frame 1: a joint is not finite"),
    ({"joints": np.array([None])}, r"is not a sound \.npz file of numbers"),
    ({"fps": 0}, "its frames per second are 0"),
    ({"fps": 5}, "fps must be above 0 and at most the 5 of the source"),
]  # fmt: skip


@pytest.mark.parametrize(("arrays", "message"), BAD)
def test_damaged_files_are_one_sentence_and_leave_nothing(
    tmp_path: Path, standing_pose: np.ndarray, arrays: dict[str, Any], message: str
) -> None:
    path = write_amass(tmp_path / "a.npz", standing_pose, 6, **arrays)
    with pytest.raises(InputError, match=message) as caught:
        import_smpl_joints(path, tmp_path / "out.h5", fps=10)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == [path]


def test_files_without_joints(tmp_path: Path, standing_pose: np.ndarray) -> None:
    np.savez(tmp_path / "amass.npz", poses=np.zeros((5, 156)), betas=np.zeros(16), trans=np.zeros((5, 3)))
    with pytest.raises(
        InputError, match="holds rotations and shapes of SMPL but no joints, which need its body model"
    ):
        import_smpl_joints(tmp_path / "amass.npz", tmp_path / "out.h5")
    path = write_amass(tmp_path / "cut" / "a.npz", standing_pose, 6)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(InputError, match=r"a\.npz is not a sound \.npz file of numbers"):
        import_smpl_joints(path, tmp_path / "out.h5")
    (tmp_path / "nothing").mkdir()
    (tmp_path / "nothing" / "a.txt").write_text("a")
    with pytest.raises(InputError, match=r"holds no \.npz or \.npy files"):
        import_smpl_joints(tmp_path / "nothing", tmp_path / "out.h5")
    (tmp_path / "out.h5").write_text("mine")
    with pytest.raises(OutputError, match="exists"):
        import_smpl_joints(tmp_path / "amass.npz", tmp_path / "out.h5")


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda joints: 100 * joints, (10, "z", False)),
        (lambda joints: joints * [-1, 1, 1], (1000, "z", True)),
    ],
)
def test_unit_and_sides_are_told(
    tmp_path: Path,
    standing_pose: np.ndarray,
    change: Callable[[np.ndarray], np.ndarray],
    found: tuple[Any, ...],
) -> None:
    np.save(tmp_path / "a.npy", change(smpl_joints(8, standing_pose)))
    summary = import_smpl_joints(tmp_path / "a.npy", tmp_path / "out.h5")
    assert (summary.millimetres, summary.up, summary.mirrored) == found


def test_y_down_is_told_and_an_axis_given_wrongly_is_doubted(
    tmp_path: Path, standing_pose: np.ndarray
) -> None:
    upright = smpl_joints(6, standing_pose)
    path = tmp_path / "seen.npy"
    np.save(path, np.stack([upright[..., 0], -upright[..., 2], upright[..., 1]], -1))
    head, ankles = H36M17.index("head"), [H36M17.index(f"{side}_ankle") for side in ("left", "right")]
    for up, sign in ((None, 1), ("-y", 1), ("y", -1)):
        summary = import_smpl_joints(
            path,
            tmp_path / "out.h5",
            up=up,  # type: ignore[arg-type]  # pytest hands any text
            implausible=sign < 0,
            overwrite=True,
        )
        assert summary.up == (up or "-y")
        assert [note.split("people")[1] for note in summary.notes] == (
            [] if sign == 1 else [" in it stand along -y, not along y, which was given for up"]
        )
        with PoseStore(tmp_path / "out.h5") as store:
            joints = store.read().joints_3d
        assert joints is not None
        assert (sign * joints[:, head, 2] > 1400).all()
        np.testing.assert_allclose(sign * joints[:, ankles, 2], 1000 * upright[:, [7, 8], 2], atol=0.01)


def test_one_bad_file_does_not_cost_the_folder(tmp_path: Path, standing_pose: np.ndarray) -> None:
    folder = tmp_path / "clips"
    folder.mkdir()
    np.save(folder / "good.npy", smpl_joints(6, standing_pose))
    np.save(folder / "shape.npy", np.zeros(10))
    summary = import_smpl_joints(folder, tmp_path / "out.h5")
    assert summary.files == 1
    assert list(summary.unread) == [str(folder / "shape.npy")]
    assert "must hold joints of shape" in summary.unread[str(folder / "shape.npy")]
