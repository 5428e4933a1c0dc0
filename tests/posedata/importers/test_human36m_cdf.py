from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cdflib.cdfwrite
import cv2
import numpy as np
import pytest

from evolift.posedata.errors import InputError, OutputError
from evolift.posedata.importers.human36m import CAMERA_SIZES, H36M17_OF_32, Choice, canonical_action
from evolift.posedata.importers.human36m_cameras import BUILT_IN, built_in_cameras
from evolift.posedata.importers.human36m_cdf import import_human36m
from evolift.posedata.opencv_quiet import quiet_opencv
from evolift.posedata.skeleton import H36M17
from evolift.posedata.store import PoseStore
from tests.posedata.human36m_files import walking, write_metadata

FLOAT, RECORDS = 44, {"Num_Dims": 1}  # CDF_REAL4


def write_cdf(path: Path, values: np.ndarray, name: str = "Pose") -> None:
    """One record of (frames, 96), compressed: what Human3.6M's files are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    file = cdflib.cdfwrite.CDF(path, cdf_spec={"Compressed": 6, "rDim_sizes": []}, delete=True)
    spec = {
        "Variable": name, "Data_Type": FLOAT, "Num_Elements": 1, "Rec_Vary": True,
        "Dim_Sizes": list(values.shape), "Var_Type": "zVariable",
    }  # fmt: skip
    file.write_var(spec, var_data=values[None].astype(np.float32))
    file.close()


def write_video(path: Path, frames: int, size: tuple[int, int] = (1000, 1002)) -> None:
    """Frame i is grey of brightness 20 + 10 i."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with quiet_opencv():  # FFmpeg asks how loud it may be when it is first used, and other tests want silence
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 50, size)
    for number in range(frames):
        writer.write(np.full((size[1], size[0], 3), 20 + 10 * number, np.uint8))
    writer.release()


@pytest.fixture
def poses(standing_pose: np.ndarray) -> np.ndarray:
    """12 frames of 32 joints, mm."""
    return walking(12, standing_pose)


@pytest.fixture
def source(tmp_path: Path, poses: np.ndarray) -> Path:
    root = tmp_path / "h36m"
    for subject, name in (
        ("S1", "Directions 1"),
        ("S1", "TakingPhoto"),
        ("S9", "Waiting 1"),
        ("S11", "Directions"),
    ):
        write_cdf(root / subject / "MyPoseFeatures" / "D3_Positions" / f"{name}.cdf", poses.reshape(-1, 96))
    return root


def test_poses_in_the_world_without_cameras(source: Path, poses: np.ndarray, tmp_path: Path) -> None:
    summary = import_human36m(source, tmp_path / "out.h5", world=True, fps=10)
    assert (summary.sequences, summary.poses, summary.notes) == (2, 6, ())
    assert summary.left_out == {
        "S9 Waiting 1": "its poses are shifted against the images",
        "S11 Directions": "its video is corrupt",
    }
    assert "S11 Directions left out: its video is corrupt" in summary.sentence()
    with PoseStore(tmp_path / "out.h5", skeleton=H36M17) as store:
        rows = store.read()
        assert store.coordinate_frame == "world"
        assert sorted(store.provenance.inputs) == [
            "S1/MyPoseFeatures/D3_Positions/Directions 1.cdf", "S1/MyPoseFeatures/D3_Positions/TakingPhoto.cdf",
        ]  # fmt: skip
    assert list(rows.action) == ["Directions 1"] * 3 + ["Photo"] * 3
    assert rows.frame.tolist() == [1, 6, 11] * 2
    assert rows.joints_3d is not None
    np.testing.assert_array_equal(rows.joints_3d[:3], poses[::5][:, H36M17_OF_32])


def test_four_cameras_see_each_pose(source: Path, poses: np.ndarray, tmp_path: Path) -> None:
    choice = Choice(("S9",), with_shifted=True)
    import_human36m(source, tmp_path / "out.h5", metadata=write_metadata(tmp_path), choice=choice)
    with PoseStore(tmp_path / "out.h5") as store:
        rows = store.read()
        cameras = store.cameras
    assert [camera.name for camera in cameras] == [f"S9/{name}" for name in CAMERA_SIZES]
    assert rows.camera is not None
    assert rows.camera.tolist() == [0] * 12 + [1] * 12 + [2] * 12 + [3] * 12
    assert rows.joints_2d is not None
    assert rows.box is not None
    joint, row = H36M17.index("left_wrist"), 24
    camera = cameras[2]
    seen, _ = cv2.projectPoints(
        poses[0, H36M17_OF_32[joint]].astype(np.float64),
        cv2.Rodrigues(camera.R)[0],
        camera.t,
        camera.K,
        camera.distortion,
    )
    np.testing.assert_allclose(rows.joints_2d[row, joint], seen[0, 0], atol=1e-2)
    low, high = rows.joints_2d[row].min(0), rows.joints_2d[row].max(0)
    np.testing.assert_allclose(
        rows.box[row], [*(low + high - 1.25 * (high - low)) / 2, *1.25 * (high - low)], rtol=1e-4
    )


def test_built_in_cameras(source: Path, poses: np.ndarray, tmp_path: Path) -> None:
    summary = import_human36m(source, tmp_path / "out.h5", fps=25)
    assert (summary.sequences, summary.poses, summary.notes) == (2, 2 * 4 * 6, (BUILT_IN,))
    with PoseStore(tmp_path / "out.h5") as store:
        rows = store.read()
        cameras = store.cameras
        assert store.provenance.parameters["cameras"] == "built in"
        assert not any("metadata" in name for name in store.provenance.inputs)
    assert [camera.name for camera in cameras] == [f"S1/{name}" for name in CAMERA_SIZES]
    assert rows.joints_2d is not None
    np.testing.assert_allclose(
        rows.joints_2d[6:12],
        built_in_cameras()["S1", "55011271"].project(poses[::2][:, H36M17_OF_32]),
        atol=1e-2,
    )
    write_cdf(source / "S2" / "MyPoseFeatures" / "D3_Positions" / "Eating.cdf", poses.reshape(-1, 96))
    with pytest.raises(InputError, match="built in no camera 54138969 of S2: choose other `subjects`"):
        import_human36m(source, tmp_path / "two.h5")
    assert import_human36m(source, tmp_path / "two.h5", metadata=write_metadata(tmp_path)).notes == ()


def test_frames_of_the_videos(source: Path, tmp_path: Path) -> None:
    for path in (source / "S1" / "MyPoseFeatures" / "D3_Positions").glob("*.cdf"):
        for camera, size in CAMERA_SIZES.items():
            write_video(
                source / "S1" / "Videos" / f"{path.stem}.{camera}.mp4", 14, size
            )  # longer than the poses
    (tmp_path / "out").mkdir()
    target = tmp_path / "out" / "h36m.h5"
    summary = import_human36m(
        source, target, metadata=write_metadata(tmp_path), videos=True, fps=10, choice=Choice(("S1",))
    )
    assert summary.images == tmp_path / "out" / "h36m_images"
    with PoseStore(target) as store:
        rows = store.read()
        assert [(camera.width, camera.height) for camera in store.cameras] == list(CAMERA_SIZES.values())
        images = [cv2.imread(str(store.image_folder / image)) for image in rows.image or ()]
    assert len(images) == 2 * 4 * 3
    assert (rows.image or [])[5] == "S1/S1_Directions_1.55011271/S1_Directions_1.55011271_000011.jpg"
    for image, frame in zip(images, rows.frame, strict=True):
        assert image is not None
        assert abs(float(image.mean()) - (20 + 10 * (frame - 1))) < 6
    # The same images, taken from where they are now.
    again = tmp_path / "again.h5"
    import_human36m(
        source, again, metadata=tmp_path / "metadata.xml", frames=tmp_path / "out" / "h36m_images", fps=10,
        choice=Choice(("S1",)),
    )  # fmt: skip
    with PoseStore(again) as store:
        assert list(store.read().image or ()) == list(rows.image or ())
        assert all((store.image_folder / image).is_file() for image in rows.image or ())
    with pytest.raises(
        InputError, match=r"lacks 9 of 12 images, first S1_Directions_1\.54138969_000002\.jpg"
    ):
        import_human36m(
            source, tmp_path / "no.h5", metadata=tmp_path / "metadata.xml", frames=tmp_path / "out" / "h36m_images",
            choice=Choice(("S1",)),
        )  # fmt: skip


def test_names_become_those_of_videopose3d() -> None:
    assert canonical_action("TakingPhoto 1") == "Photo 1"
    assert canonical_action("WalkingDog") == "WalkDog"
    assert canonical_action("WalkingTogether_2") == "WalkTogether 2"
    assert canonical_action("SittingDown 2") == "SittingDown 2"


def cut_off(path: Path, _: np.ndarray) -> None:
    path.write_bytes(path.read_bytes()[:400])


def other_file(path: Path, _: np.ndarray) -> None:
    path.write_text("<html>login</html>")


def other_variable(path: Path, poses: np.ndarray) -> None:
    write_cdf(path, poses.reshape(-1, 96), "Angles")


def two_dimensional(path: Path, poses: np.ndarray) -> None:
    write_cdf(path, poses[..., :2].reshape(-1, 64))


def in_metres(path: Path, poses: np.ndarray) -> None:
    write_cdf(path, poses.reshape(-1, 96) / 1000)


def not_finite(path: Path, poses: np.ndarray) -> None:
    poses[4, 1] = np.inf
    write_cdf(path, poses.reshape(-1, 96))


def twice(path: Path, poses: np.ndarray) -> None:
    write_cdf(path.with_name("Photo.cdf"), poses.reshape(-1, 96))


DAMAGES: list[tuple[Callable[[Path, np.ndarray], None], str]] = [
    (cut_off, r"TakingPhoto\.cdf is not a CDF file with a variable Pose"),
    (other_file, r"TakingPhoto\.cdf is not a CDF file with a variable Pose"),
    (other_variable, r"TakingPhoto\.cdf is not a CDF file with a variable Pose"),
    (two_dimensional, r"Pose must be numbers of shape \(1, frames, 96\), it is float32 of \(1, 12, 64\)"),
    (in_metres, r"TakingPhoto\.cdf: its legs are not as long as a person's in millimetres"),
    (not_finite, r"TakingPhoto\.cdf, frame 5: a joint is not finite"),
    (twice, "are the same sequence"),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGES)
def test_damaged_files_are_one_sentence_and_leave_nothing(
    source: Path, poses: np.ndarray, tmp_path: Path, damage: Callable[[Path, np.ndarray], None], message: str
) -> None:
    damage(source / "S1" / "MyPoseFeatures" / "D3_Positions" / "TakingPhoto.cdf", poses)
    with pytest.raises(InputError, match=message) as caught:
        import_human36m(source, tmp_path / "out.h5")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == [source]


def test_what_is_missing_is_said_before_anything_is_written(source: Path, tmp_path: Path) -> None:
    target, metadata, choice = tmp_path / "out.h5", write_metadata(tmp_path), Choice(("S1",))
    with pytest.raises(InputError, match="leave out `world`, or `metadata`, `videos` and `frames`"):
        import_human36m(source, target, world=True, videos=True)
    with pytest.raises(InputError, match="one of `videos` and `frames`"):
        import_human36m(source, target, metadata=metadata, videos=True, frames=tmp_path)
    with pytest.raises(
        InputError, match=r"Directions 1\.54138969\.mp4 is missing: extract the archive of the videos of S1"
    ):
        import_human36m(source, target, metadata=metadata, videos=True, choice=choice)
    with pytest.raises(InputError, match=r"holds no S1/MyPoseFeatures/D3_Positions/\*\.cdf"):
        import_human36m(source / "S1", target)
    with pytest.raises(InputError, match="fps must be above 0 and at most the 50 of the source, not 60"):
        import_human36m(source, target, fps=60)
    for path in (source / "S1" / "MyPoseFeatures" / "D3_Positions").glob("*.cdf"):
        for camera in CAMERA_SIZES:
            write_video(source / "S1" / "Videos" / f"{path.stem}.{camera}.mp4", 5)
    with pytest.raises(InputError, match="ends after 5 frames, its poses go on to frame 12"):
        import_human36m(source, target, metadata=metadata, videos=True, choice=choice)
    write_video(source / "S1" / "Videos" / "Directions 1.54138969.mp4", 12, (500, 500))
    with pytest.raises(InputError, match=r"the images of S1_Directions_1\.54138969 are 500x500"):
        import_human36m(source, target, metadata=metadata, videos=True, choice=choice)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["h36m", "metadata.xml"]
    target.write_text("mine")
    with pytest.raises(OutputError, match="exists"):
        import_human36m(source, target)
