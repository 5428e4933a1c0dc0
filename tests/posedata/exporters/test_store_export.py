"""What is exported comes back through our importers, and has the layout that other people's tools read."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

from evolift.posedata.bvh_clip import symmetric_lengths, with_lengths
from evolift.posedata.camera import Camera, look_at
from evolift.posedata.errors import EvoliftError
from evolift.posedata.exporters.store_export import export_store
from evolift.posedata.importers.bvh import import_bvh
from evolift.posedata.importers.coco import import_coco
from evolift.posedata.importers.videopose3d import import_videopose3d
from evolift.posedata.keypoint_formats.keypoint_files import read_keypoints
from evolift.posedata.object_keypoint_similarity import AREA_OF_BOX
from evolift.posedata.poses import Lineage, Poses, repeated_label
from evolift.posedata.predictions.prediction_store import write_prediction_store
from evolift.posedata.skeleton import COCO17, H36M16, H36M17, Skeleton
from evolift.posedata.store import PoseStore, PoseStoreWriter, Provenance
from tests.posedata.human36m_files import walking
from tests.posedata.predictions.test_prediction_files import made

# Of VideoPose3D's Human3.6M skeleton: the 32 joints' parents, and the 15 that its code removes (common/h36m_dataset.py).
PARENTS = [
    -1,
    0,
    1,
    2,
    3,
    4,
    0,
    6,
    7,
    8,
    9,
    0,
    11,
    12,
    13,
    14,
    12,
    16,
    17,
    18,
    19,
    20,
    19,
    22,
    12,
    24,
    25,
    26,
    27,
    28,
]
PARENTS += [27, 30]
REMOVED = [4, 5, 9, 10, 11, 16, 20, 21, 22, 23, 24, 28, 29, 30, 31]


def write_store(path: Path, poses: list[Poses], frame: Any = "world", **given: Any) -> Path:
    with PoseStoreWriter(path, given.pop("skeleton", H36M17), frame, Provenance("test"), **given) as writer:
        for part in poses:
            writer.append(part)
    return path


def clip(
    joints: np.ndarray, subject: str, action: str, frame: np.ndarray | None = None, **given: Any
) -> Poses:
    count = len(joints)
    frame = np.arange(count, dtype=np.int64) if frame is None else frame.astype(np.int64)
    return Poses(repeated_label(subject, count), repeated_label(action, count), frame, joints, **given)


@pytest.fixture
def walks(standing_pose: np.ndarray, tmp_path: Path) -> Path:
    """Three sequences, rows of one of them out of order; one is seen by two cameras."""
    from evolift.posedata.importers.human36m import H36M17_OF_32

    a, b, c = (
        walking(count, standing_pose, seed)[:, H36M17_OF_32].astype(np.float32)
        for seed, count in enumerate((20, 15, 9))
    )
    order = np.random.default_rng(0).permutation(15)
    R, t = look_at(np.array([4000.0, 800.0, 1300.0]), np.array([0.0, 0.0, 900.0]))
    camera = Camera.from_focal_length(300.0, 160, 200, R=R, t=t)
    parts = [
        clip(a, "S1", "Walking"),
        clip(b[order], "ann", "sit", order),
        clip(c, "S1", "Eating"),
        clip(c, "S1", "Eating"),
    ]
    seen = [
        replace(part, camera=np.full(len(part), number % 2, np.int32)) for number, part in enumerate(parts)
    ]
    return write_store(tmp_path / "walks.h5", seen, cameras=[camera, replace(camera, name="other")])


def rows_of(path: Path) -> dict[tuple[str, str], np.ndarray]:
    with PoseStore(path) as store:
        poses = store.read()
    assert poses.joints_3d is not None
    found: dict[tuple[str, str], np.ndarray] = {}
    for key in dict.fromkeys(zip(poses.subject, poses.action, strict=True)):
        rows = np.flatnonzero((np.asarray(poses.subject) == key[0]) & (np.asarray(poses.action) == key[1]))
        _, first = np.unique(poses.frame[rows], return_index=True)
        found[key] = poses.joints_3d[rows[first]]
    return found


def test_videopose3d_as_its_own_code_reads_it(walks: Path, tmp_path: Path) -> None:
    said = export_store(walks, tmp_path / "data_3d_x.npz")
    assert said == "44 poses in 3 sequences"
    with np.load(tmp_path / "data_3d_x.npz", allow_pickle=True) as archive:
        assert archive.files == ["positions_3d"]
        positions = archive["positions_3d"].item()
    kept = [joint for joint in range(32) if joint not in REMOVED]
    for (subject, action), joints in rows_of(walks).items():
        array = positions[subject][action]
        assert (array.dtype, array.shape) == (np.float32, (len(joints), 32, 3))
        np.testing.assert_allclose(array[:, kept] * 1000, joints, atol=1e-3)  # metres, z up as in the world
        for joint in REMOVED:  # what is not known lies on the next joint above that is
            above = joint
            while above in REMOVED:
                above = PARENTS[above]
            np.testing.assert_array_equal(array[:, joint], array[:, above])
    import_videopose3d([tmp_path / "data_3d_x.npz"], tmp_path / "back.h5")
    back = rows_of(tmp_path / "back.h5")
    assert back.keys() == rows_of(walks).keys()
    for key, joints in rows_of(walks).items():
        np.testing.assert_allclose(back[key], joints, atol=1e-3)


def test_bvh_clips_come_back_but_for_where_they_are(walks: Path, tmp_path: Path) -> None:
    said = export_store(walks, tmp_path / "clips", frames_per_second=25)
    assert said == "44 poses in 3 clips"
    names = sorted(path.name for path in (tmp_path / "clips").glob("*.bvh"))
    assert names == ["S1_Eating.bvh", "S1_Walking.bvh", "ann_sit.bvh"]
    summary = import_bvh(tmp_path / "clips", tmp_path / "back.h5", unit="cm", up="y", mirrored=False)
    assert (summary.names, summary.poses) == ("evolift", 44)
    back = rows_of(tmp_path / "back.h5")
    for (subject, action), joints in rows_of(walks).items():
        again = back["unknown", f"{subject}_{action}"]
        # The people here breathe in size; in a clip they do not.
        steady = with_lengths(H36M17, joints, symmetric_lengths(H36M17, joints))
        np.testing.assert_allclose(again - again[:1, :1], steady - steady[:1, :1], atol=0.1)
        np.testing.assert_allclose(again[0, 0, :2], 0, atol=0.1)
    with pytest.raises(EvoliftError, match="is not empty: choose another output"):
        export_store(walks, tmp_path / "clips", frames_per_second=25)
    export_store(walks, tmp_path / "clips", frames_per_second=50, overwrite=True)
    assert "Frame Time: 0.0200000" in (tmp_path / "clips" / "ann_sit.bvh").read_text()


@pytest.mark.parametrize(
    ("frame", "places", "frames"),
    [
        ([1, 6, 11, 16], [0, 1, 2, 3], 4),
        ([1, 6, 16, 21], [0, 1, 3, 4], 5),  # one is missing
        ([1, 4, 8, 11], [0, 0.9, 2.1, 3], 4),  # 15 of 50 a second
        ([7], [0], 1),
    ],
)
def test_frames_of_a_clip_lie_on_their_times(
    frame: list[int], places: list[float], frames: int, standing_pose: np.ndarray, tmp_path: Path
) -> None:
    joints = standing_pose + np.array(places)[:, None, None] * np.array([100, 0, 0])
    write_store(tmp_path / "a.h5", [clip(joints.astype(np.float32), "S", "go", np.array(frame))])
    said = export_store(tmp_path / "a.h5", tmp_path / "clips", frames_per_second=10)
    assert ("interpolated" in said) == (frames > len(frame))
    import_bvh(tmp_path / "clips" / "S_go.bvh", tmp_path / "b.h5", unit="cm", up="y", mirrored=False)
    (back,) = rows_of(tmp_path / "b.h5").values()
    np.testing.assert_allclose(back[:, 0, 0], 100 * np.arange(frames), atol=0.1)


@pytest.mark.parametrize(
    ("missing", "files"),
    [(0, {"S_go.bvh": 8}), (10, {"S_go.bvh": 18}), (11, {"S_go.bvh": 4, "S_go_2.bvh": 4})],
)
def test_where_more_than_a_second_is_missing_another_file_begins(
    missing: int, files: dict[str, int], standing_pose: np.ndarray, tmp_path: Path
) -> None:
    # Every third frame was kept, at 10 a second.
    frame = 3 * np.array([0, 1, 2, 3, 4 + missing, 5 + missing, 6 + missing, 7 + missing])
    joints = np.broadcast_to(standing_pose, (8, 17, 3)).astype(np.float32)
    write_store(tmp_path / "a.h5", [clip(joints, "S", "go", frame)])
    said = export_store(tmp_path / "a.h5", tmp_path / "clips", frames_per_second=10)
    assert said.startswith(f"8 poses in {len(files)} clips")
    assert ("10 frames between are interpolated" in said) == (missing == 10)
    for name, frames in files.items():
        assert f"Frames: {frames}\n" in (tmp_path / "clips" / name).read_text()
    assert {path.name for path in (tmp_path / "clips").glob("*.bvh")} == set(files)


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Five people in 2D in three images; one has no image, one no labelled joint."""
    rng = np.random.default_rng(3)
    (tmp_path / "images" / "a").mkdir(parents=True)
    for name, size in (("a/1.png", (90, 120)), ("2.png", (50, 60)), ("3.png", (20, 30))):
        cv2.imwrite(str(tmp_path / "images" / name), np.zeros((*size, 3), np.uint8))
    visibility = rng.integers(0, 3, (6, 17)).astype(np.uint8)
    visibility[:, :8] = 2
    visibility[3] = 0
    joints = rng.uniform(0, 90, (6, 17, 2)).astype(np.float32)
    joints[visibility == 0] = 0
    label = repeated_label("x", 6)
    poses = Poses(
        label, label, np.arange(6), joints_2d=joints, visibility=visibility,
        image=["a/1.png", "2.png", "a/1.png", "3.png", "", "2.png"],
        box=rng.uniform(10, 60, (6, 4)).astype(np.float32),
    )  # fmt: skip
    return write_store(tmp_path / "photographs.h5", [poses], "none", image_root="images", skeleton=COCO17)


@pytest.mark.parametrize("skeleton", [COCO17, H36M17], ids=lambda one: one.name)
def test_coco_keypoints_come_back(photographs: Path, skeleton: Skeleton, tmp_path: Path) -> None:
    if skeleton == H36M17:
        with PoseStore(photographs) as store:
            poses = store.read()
        photographs = write_store(tmp_path / "h.h5", [poses], "none", image_root="images", skeleton=H36M17)
    said = export_store(photographs, tmp_path / "people.json")
    assert said.startswith("4 people in 2 images, whose names are relative to")
    import_coco(tmp_path / "people.json", tmp_path / "images", tmp_path / "back.h5", skeleton=skeleton)
    with PoseStore(photographs) as store, PoseStore(tmp_path / "back.h5") as back:
        before, after = store.read(np.array([0, 1, 2, 5])), back.read()
    np.testing.assert_array_equal(after.visibility, before.visibility)
    np.testing.assert_allclose(after.joints_2d, before.joints_2d, atol=1e-4)  # type: ignore[arg-type]
    np.testing.assert_allclose(after.box, before.box, atol=1e-4)  # type: ignore[arg-type]
    assert list(after.image or []) == ["a/1.png", "2.png", "a/1.png", "2.png"]
    values = json.loads((tmp_path / "people.json").read_text())
    assert [entry["id"] for entry in values["annotations"]] == [1, 2, 3, 4]
    one = values["annotations"][0]
    assert one["num_keypoints"] == int((before.visibility[0] > 0).sum())  # type: ignore[index]
    assert one["area"] == pytest.approx(one["bbox"][2] * one["bbox"][3] * AREA_OF_BOX)
    assert values["images"][0] == {"id": 1, "file_name": "a/1.png", "width": 120, "height": 90}
    (category,) = values["categories"]
    assert category["keypoints"] == list(skeleton.joints)
    assert [[a - 1, b - 1] for a, b in category["skeleton"]] == [list(bone) for bone in skeleton.bones]


def test_csv_has_all_and_its_2d_joints_are_read(walks: Path, photographs: Path, tmp_path: Path) -> None:
    export_store(walks, tmp_path / "walks.csv")
    table = pd.read_csv(tmp_path / "walks.csv", keep_default_na=False, na_values={n: [""] for n in "uvxyz"})
    with PoseStore(walks) as store:
        poses = store.read()
    assert poses.joints_3d is not None
    np.testing.assert_allclose(table[["x", "y", "z"]], poses.joints_3d.reshape(-1, 3), atol=1e-3)
    assert list(table["joint"]) == list(H36M17.joints) * len(poses)
    assert table["u"].isna().all()
    assert table["person"].iloc[-1] == "S1/Eating/other"
    export_store(photographs, tmp_path / "people.csv")
    people = read_keypoints(tmp_path / "people.csv")
    with PoseStore(photographs) as store:
        before = store.read()
    assert before.visibility is not None
    assert people.skeleton == COCO17
    known = before.visibility > 0
    np.testing.assert_array_equal(people.visibility > 0, known)
    np.testing.assert_allclose(people.joints_2d[known], before.joints_2d[known], atol=1e-4)  # type: ignore[index]


def test_predictions_are_stood_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, standing_pose: np.ndarray
) -> None:
    in_camera = np.repeat(standing_pose[None, :, [1, 2, 0]] * [-1, -1, 1], 3, 0).astype(np.float32)
    predictions = replace(
        made(3), joints_3d=in_camera - in_camera[:, :1], root_3d=np.full((3, 3), np.nan, np.float32)
    )
    write_prediction_store(tmp_path / "p.h5", predictions)
    export_store(tmp_path / "p.h5", tmp_path / "p.npz")
    assert "the camera is taken to be level" in caplog.text
    with np.load(tmp_path / "p.npz", allow_pickle=True) as archive:
        subjects = archive["positions_3d"].item().values()
    joints = np.concatenate([joints for actions in subjects for joints in actions.values()])
    assert len(joints) == 3
    assert joints[..., 2].min() == pytest.approx(0, abs=1e-6)
    assert joints[:, 15, 2].min() > 1.4  # the head


def bred(poses: Poses) -> Poses:
    lineage = replace(Lineage.unbred(len(poses)), generation=np.ones(len(poses), np.int32))
    return replace(poses, lineage=lineage)


def test_evolved_poses_feed_other_lifters(make_poses: Callable[..., Poses], tmp_path: Path) -> None:
    poses = bred(replace(make_poses(8), frame=np.zeros(8, np.int64)))
    write_store(tmp_path / "e.h5", [poses])
    assert export_store(tmp_path / "e.h5", tmp_path / "e.npz") == "8 poses in 4 sequences"
    with pytest.raises(EvoliftError, match="evolved poses do not follow one another in time"):
        export_store(tmp_path / "e.h5", tmp_path / "e", frames_per_second=10)


def test_the_same_store_gives_the_same_bytes(walks: Path, photographs: Path, tmp_path: Path) -> None:
    for source, ending in ((walks, ".npz"), (walks, ".csv"), (photographs, ".json")):
        for name in ("a", "b"):
            export_store(source, tmp_path / f"{name}{ending}")
        assert (tmp_path / f"a{ending}").read_bytes() == (tmp_path / f"b{ending}").read_bytes()


def test_what_cannot_be_is_said_in_one_sentence(
    walks: Path, photographs: Path, make_poses: Callable[..., Poses], tmp_path: Path
) -> None:
    camera = write_store(tmp_path / "camera.h5", [make_poses(4)], "camera")
    lacking = write_store(tmp_path / "lacking.h5", [make_poses(4)], unlabelled=("nose",))
    joints = make_poses(4).joints_3d
    assert joints is not None
    other = write_store(
        tmp_path / "other.h5", [clip(joints[:, :16], "S", "a")], skeleton=H36M16, implausible="accept"
    )
    twice = write_store(tmp_path / "twice.h5", [clip(joints, "S", "a", np.array([1, 2, 2, 3]))])
    far = write_store(tmp_path / "far.h5", [clip(joints, "S", "a", np.array([1, 2, 3, 10**9]))])
    for source, output, given, message in (
        (walks, "a.fbx", {}, "a.fbx: its ending tells the format: give one of .npz"),
        (walks, "clips", {}, "needs: give `frames_per_second`"),
        (walks, "a.npz", {"frames_per_second": 5}, "`frames_per_second` is for BVH, and .*a.npz is no folder of it"),
        (walks, "clips", {"frames_per_second": 0.0}, "`frames_per_second` must be above 0, it is 0"),
        (walks, "a.json", {}, "walks.h5 has no 2D joints, which COCO's files are of"),
        (photographs, "a.npz", {}, "photographs.h5 has no 3D poses, which this format is of"),
        (camera, "a.npz", {}, "in the frames of cameras whose place in a world is not known"),
        (lacking, "a.npz", {}, "its 3D poses lack nose, and this format needs all joints of H36M17"),
        (other, "a.npz", {}, "layout has the joints of H36M17, and these are of H36M16"),
        (twice, "clips", {"frames_per_second": 5}, "S a: frame 2 has two poses, so that it is no clip"),
        (far, "clips", {"frames_per_second": 1e9}, "are too far apart for this format"),
        (walks, "walks.h5.csv/../walks.h5", {}, "its ending tells the format"),
    ):  # fmt: skip
        with pytest.raises(EvoliftError, match=message):
            export_store(source, tmp_path / output, **given)
        assert not (tmp_path / output).exists() or output.endswith("walks.h5")
    (tmp_path / "there.csv").write_text("mine")
    with pytest.raises(EvoliftError, match=r"there\.csv exists"):
        export_store(walks, tmp_path / "there.csv")
    assert (tmp_path / "there.csv").read_text() == "mine"
