"""Every format gives the same people back; every damage gives one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evolift.posedata.errors import InputError
from evolift.posedata.keypoint_formats.coco_keypoints import keypoints_of_coco
from evolift.posedata.keypoint_formats.keypoint_files import FORMATS, read_keypoints
from evolift.posedata.keypoint_formats.keypoints import Keypoints
from evolift.posedata.keypoint_formats.name_mapping import NameMapping
from evolift.posedata.keypoint_formats.reading import Reading
from evolift.posedata.skeleton import (
    BODY25,
    COCO17,
    H36M17,
    HALPE26,
    LSP14,
    MEDIAPIPE33,
    MPII16,
    skeleton_by_name,
)
from tests.posedata import keypoint_samples as samples
from tests.posedata.keypoint_samples import SAMPLES, points


@pytest.mark.parametrize("name", SAMPLES)
def test_people_come_back_as_they_were(name: str, tmp_path: Path) -> None:
    format, skeleton, write = SAMPLES[name]
    path = write(tmp_path)
    expected = points(skeleton)
    for read in (read_keypoints(path), read_keypoints(path, format=format)):
        assert (read.format, read.skeleton) == (format, skeleton)
        assert read.joints_2d == pytest.approx(expected[..., :2], abs=1e-3)
        assert read.confidence == pytest.approx(expected[..., 2], abs=1e-6)
        assert (read.visibility > 0).all()


def test_every_format_has_a_sample() -> None:
    # Markers have no scores: they have a test of their own.
    assert {format for format, _, _ in SAMPLES.values()} | {"evolift", "trc"} == set(FORMATS)


def _write(folder: Path, values: Any, name: str = "k.json") -> Path:
    path = folder / name
    path.write_text(values if isinstance(values, str) else json.dumps(values))
    return path


def test_coco_annotations_have_names_sizes_boxes_and_flags(tmp_path: Path) -> None:
    read = read_keypoints(_write(tmp_path, samples.coco_annotations(points(COCO17))))
    assert (read.format, len(read)) == ("coco", 2)  # the crowd without joints is left out
    assert read.image == ("a.jpg", "a.jpg")
    assert read.frame.tolist() == [1, 1]
    assert read.person == ("1", "2")
    assert not read.is_tracked
    assert read.image_size.tolist() == [[640, 480]] * 2
    assert read.box.tolist() == [[1, 2, 30, 40]] * 2
    assert read.visibility[0, :2].tolist() == [1, 2]
    assert (read.visibility[1, 1], read.confidence[1, 1]) == (0, 0)
    assert read.joints_2d[1, 1].tolist() == [0, 0]
    assert "1 of 2 poses lack joints, which are unlabelled: 1 at (0, 0)" in read.notes


def test_coco_results_with_scores_of_one_are_scores_not_flags(tmp_path: Path) -> None:
    people = points(COCO17)
    people[..., 2] = 1
    assert (read_keypoints(_write(tmp_path, samples.coco_results(people))).visibility == 2).all()


def test_tracks_keep_their_ids(tmp_path: Path) -> None:
    entries = samples.coco_results(points(COCO17), image_id="f.jpg")
    for entry, track in zip(entries, (12, 3), strict=True):
        entry["idx"] = track
    read = read_keypoints(_write(tmp_path, entries))
    assert (read.person, read.is_tracked) == (("12", "3"), True)


def test_openpose_frames_come_from_file_names(tmp_path: Path) -> None:
    read = read_keypoints(SAMPLES["openpose folder"][2](tmp_path))
    assert (read.frame.tolist(), read.image) == ([0, 1], ("clip", "clip"))


def test_openpose_people_of_hands_alone_are_nobody(tmp_path: Path) -> None:
    folder = SAMPLES["openpose folder"][2](tmp_path)
    hands = {"people": [{"person_id": [-1], "pose_keypoints_2d": [], "hand_left_keypoints_2d": [1.0] * 63}]}
    _write(folder, hands, "clip_000000000003_keypoints.json")
    assert read_keypoints(folder).frame.tolist() == [0, 1]
    with pytest.raises(InputError, match="holds nobody: OpenPose found no person in it"):
        read_keypoints(_write(tmp_path, hands))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "must be an object"),
        ("{}", ": people must be a list"),
        ('{"people": [{"pose_keypoints_2d": [1]}]}', r": people\[0\].pose_keypoints_2d must have 75 numbers"),
    ],
)
def test_a_bad_openpose_frame_is_named(text: str, message: str, tmp_path: Path) -> None:
    folder = SAMPLES["openpose folder"][2](tmp_path)
    _write(folder, text, "clip_000000000003_keypoints.json")
    with pytest.raises(InputError, match=f"clip_000000000003_keypoints.json ?{message}"):
        read_keypoints(folder)


def test_openpose_joints_that_were_not_found_are_unlabelled(tmp_path: Path) -> None:
    people = points(BODY25)
    people[0, 4] = 0
    read = read_keypoints(_write(tmp_path, samples.openpose(people)))
    assert (read.visibility == 0).sum() == 1
    assert read.visibility[0, 4] == 0


def test_mediapipe_marks_landmarks_out_of_sight(tmp_path: Path) -> None:
    people = points(MEDIAPIPE33)
    people[0, 0, 2] = 0.1
    frame = {"image_width": 640, "image_height": 480, "pose_landmarks": samples.mediapipe(people)[0]}
    read = read_keypoints(_write(tmp_path, frame))
    assert read.visibility[0, 0] == 1
    assert read.image_size.tolist() == [[640, 480]]


def test_mediapipe_takes_a_size_from_outside(tmp_path: Path) -> None:
    path = _write(tmp_path, [{"pose_landmarks": samples.mediapipe(points(MEDIAPIPE33), (100, 50))}])
    with pytest.raises(InputError, match="add `image_size` WIDTH HEIGHT"):
        read_keypoints(path)
    read = read_keypoints(path, image_size=(100, 50))
    assert read.joints_2d == pytest.approx(points(MEDIAPIPE33)[..., :2], abs=1e-3)


def test_mmpose_boxes_are_corners(tmp_path: Path) -> None:
    assert read_keypoints(_write(tmp_path, samples.mmpose(points(COCO17)))).box[0].tolist() == [
        10,
        20,
        100,
        200,
    ]


def test_long_csv_equals_wide_csv(tmp_path: Path) -> None:
    people = points(H36M17)
    lines = ["person;joint;u;v;confidence"]
    for number, person in enumerate(people):
        lines += [f"p{number};{j};{u};{v};{s}" for j, (u, v, s) in zip(H36M17.joints, person, strict=True)]
    read = read_keypoints(_write(tmp_path, "\n".join([lines[0], *lines[:0:-1]]), "long.csv"))
    order = [read.person.index("p0"), read.person.index("p1")]
    assert read.joints_2d[order] == pytest.approx(people[..., :2], abs=1e-3)
    assert read.confidence[order] == pytest.approx(people[..., 2], abs=1e-6)


@pytest.mark.parametrize(
    "name", ["coco results", "mediapipe", "mmpose", "sleap", "deeplabcut", "csv", "jsonl"]
)
@pytest.mark.parametrize("value", ["1e300", "1.7e308"])
def test_numbers_beyond_float32_are_unlabelled(name: str, value: str, tmp_path: Path) -> None:
    _, skeleton, write = SAMPLES[name]
    path = write(tmp_path)
    text = path.read_text()
    for first in points(skeleton)[0, 0, :2]:
        text = text.replace(str((first + 0.5) / 640 if name == "mediapipe" else first), value, 1)
    path.write_text(text)
    read = read_keypoints(path)
    assert (read.visibility[0] == 0).any()
    assert np.isfinite(read.joints_2d).all()
    assert np.isfinite(read.to_skeleton(H36M17).joints_2d).all()
    assert "of 2 poses lack joints" in " ".join(read.notes)


def test_boxes_beyond_float32_are_none(tmp_path: Path) -> None:
    entries = samples.coco_results(points(COCO17), bbox=[1e300, 0, 1e300, 1e300])
    assert np.isnan(read_keypoints(_write(tmp_path, entries)).box[0]).any()
    people = samples.mmpose(points(COCO17))
    people[0]["bbox"] = [-1.7e308, float("-inf"), 1.7e308, float("-inf")]
    assert np.isnan(read_keypoints(_write(tmp_path, people)).box[0]).all()


def test_csv_gaps_are_unlabelled(tmp_path: Path) -> None:
    text = samples.csv_text(points(H36M17), H36M17).splitlines()
    cells = text[1].split(",")
    cells[2] = ""
    read = read_keypoints(_write(tmp_path, "\n".join([text[0], ",".join(cells)]), "a.csv"))
    assert read.visibility[0].tolist() == [0] + [2] * 16


@pytest.mark.parametrize("ending", [",", ", "])
def test_a_comma_at_the_end_of_rows_shifts_nothing(ending: str, tmp_path: Path) -> None:
    first, *rows = samples.csv_text(points(H36M17), H36M17).splitlines()
    for ended in ([row + ending for row in rows], [rows[0], rows[1] + ending]):
        read = read_keypoints(_write(tmp_path, "\n".join([first, *ended]), "a.csv"))
        assert read.image == ("img0.jpg", "img1.jpg")
        assert read.joints_2d == pytest.approx(points(H36M17)[..., :2], abs=1e-3)
        assert read.confidence == pytest.approx(points(H36M17)[..., 2], abs=1e-6)


def test_deeplabcut_people_and_frames(tmp_path: Path) -> None:
    read = read_keypoints(SAMPLES["deeplabcut people"][2](tmp_path))
    assert (read.person, read.frame.tolist(), read.is_tracked) == (("a", "b"), [0, 0], True)
    read = read_keypoints(SAMPLES["deeplabcut"][2](tmp_path))
    assert (read.frame.tolist(), read.is_tracked) == ([0, 1], True)


def test_deeplabcut_labelled_images_have_names(tmp_path: Path) -> None:
    text = samples.deeplabcut_text(points(H36M17), H36M17, individuals=False)
    text = text.replace("\n0,", "\nlabeled-data/a.png,").replace("\n1,", "\nlabeled-data/b.png,")
    read = read_keypoints(_write(tmp_path, text, "d.csv"))
    assert read.image == ("labeled-data/a.png", "labeled-data/b.png")


def test_sleap_tracks(tmp_path: Path) -> None:
    read = read_keypoints(SAMPLES["sleap"][2](tmp_path))
    assert (read.person, read.frame.tolist(), read.is_tracked) == (("track_0", "track_1"), [4, 4], True)


@pytest.mark.parametrize("joints", [16, 17])
def test_npz_of_an_ambiguous_size_asks_for_the_skeleton(joints: int, tmp_path: Path) -> None:
    np.savez(tmp_path / "k.npz", joints_2d=np.full((3, joints, 2), 7))
    with pytest.raises(InputError, match="say which with `skeleton`"):
        read_keypoints(tmp_path / "k.npz")
    skeleton = {16: MPII16, 17: COCO17}[joints]
    assert len(read_keypoints(tmp_path / "k.npz", skeleton=skeleton)) == 3


def test_conversion_takes_the_lowest_confidence() -> None:
    path_values = samples.coco_results(points(COCO17))
    read = read_keypoints_of(path_values)
    converted = read.to_skeleton(H36M17)
    left, right = (COCO17.index(f"{side}_hip") for side in ("left", "right"))
    pelvis = H36M17.index("pelvis")
    assert converted.joints_2d[:, pelvis] == pytest.approx(read.joints_2d[:, [left, right]].mean(1), abs=1e-3)
    assert converted.confidence[:, pelvis] == pytest.approx(read.confidence[:, [left, right]].min(1))


def read_keypoints_of(values: Any) -> Keypoints:
    return keypoints_of_coco(values, Reading("file.json"))


def test_halpe_sides_agree_with_coco() -> None:
    assert HALPE26.joints[:17] == COCO17.joints
    assert HALPE26.joints[17:20] == ("head_top", "neck", "pelvis")


GOOD = samples.coco_results(points(COCO17))


def _changed(**changes: Any) -> list[dict[str, Any]]:
    return [GOOD[0], GOOD[1] | changes]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("", r"k.json is empty: write it again"),
        ("{", r"k.json is not JSON \(line 1, column 2"),
        ("[" * 100_000, r"k.json is not JSON that can be read|k.json is not JSON"),
        ([], r"k.json holds no person: its list is empty"),
        ([[]], r"k.json is JSON of none of the known formats \(coco, alphapose.*; it begins with no such object\)"),
        (3, r"k.json holds no JSON object or list: give a file of keypoints"),
        ([{"keypoints": [1.0] * 51}], r"none of the known formats .* it begins with an object with keypoints\)"),
        ([GOOD[0] | {"keypoint_scores": [1.0]}], r"k.json may be mmpose or coco: say which with `format`"),
        ({"bodies": []}, r"none of the known formats .* it begins with an object with bodies\): give a file"),
        (_changed(keypoints=[1.0] * 50), r"k.json: \[1\].keypoints must have 51 numbers, has 50"),
        (_changed(keypoints=["1"] * 51), r"k.json: \[1\].keypoints\[0\] must be a number, not a text"),
        (_changed(keypoints=[True] * 51), r"k.json: \[1\].keypoints\[0\] must be a number, not true or false"),
        (_changed(keypoints={"a": 1}), r"k.json: \[1\].keypoints must be a list, not an object"),
        (_changed(image_id=None), r"k.json: \[1\].image_id must be a number or a text, not null"),
        (_changed(bbox=[1, 2, 3]), r"k.json: \[1\].bbox must have 4 numbers, has 3"),
        ([GOOD[0], 7], r"k.json: \[1\] must be an object, not a number"),
        (samples.coco_results(np.ones((1, 20, 3))), r"keypoints has 20 joints without names; 17 \(COCO17\), 26"),
        (_changed(image_id=2**63), r"k.json: \[1\].image_id is too large a number"),
        ({"annotations": GOOD}, r"k.json: images must be a list, not null"),
        ({"annotations": GOOD, "images": [{"id": 8}]}, r"annotations\[0\].image_id is 7, which is not in its images"),
        ({"annotations": [], "images": []}, r"k.json holds no person with keypoints"),
        ({"people": []}, r"holds nobody: OpenPose found no person in it"),
        ({"people": [{}]}, r"k.json: people\[0\].pose_keypoints_2d must be a list, not null"),
        ({"people": [{"pose_keypoints_2d": [5.0] * 30}]}, r"pose_keypoints_2d has 10 joints without names; 17 \(COCO17\), 18"),
        ({"pose_landmarks": []}, r"holds no person with landmarks"),
        ({"width": 0, "height": 5, "pose_landmarks": [[{"x": 0, "y": 0}] * 33]}, r"must be positive whole numbers"),
        ({"width": 9, "height": 5, "pose_landmarks": [[{"x": 0, "y": 0}] * 3]}, r"must have 33 landmarks, has 3"),
        ({"width": 9, "height": 5, "pose_landmarks": [[{"x": 0}] * 33]}, r"pose_landmarks\[0\]\[0\] lacks x or y"),
        ({"frames": [{"frame": 2**63, "pose_landmarks": []}, {"pose_landmarks": []}]}, r"holds no person"),
        (
            {"width": 9, "height": 5, "frame": -(2**63) - 1, "pose_landmarks": [[{"x": 0, "y": 0}] * 33]},
            r"k.json: .frame is too large a number",
        ),
        ([{"instances": [], "frame_id": 2**63}], r"k.json: \[0\].frame_id is too large a number"),
        ([{"instances": [], "frame_id": 1.5}], r"k.json: \[0\].frame_id must be a whole number, not 1.5"),
        ([{"instances": [], "frame_id": 0}], r"k.json holds no person"),
        ([{"keypoints": [[1, 2]] * 5, "keypoint_scores": [1] * 5}], r"has 5 joints without names; 17 \(COCO17\), 26"),
        ([{"keypoints": [[1, 2]] * 17, "keypoint_scores": [1] * 5}], r"keypoint_scores must have 17 numbers, has 5"),
    ],
)  # fmt: skip
def test_one_sentence_for_each_damage(values: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_keypoints(_write(tmp_path, values))
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"a,b\n1,2\n", r"has no columns JOINT_x and JOINT_y"),
        ("a.csv", b"foo_x,foo_y\n1,2\n", r"no skeleton has the joints foo"),
        ("a.csv", b"nose_x,nose_y\nup,2\n", r"column 'nose_x', row 1: 'up' is not a number"),
        ("a.csv", b"person,joint,u,v\n1,nose,1,2\n1,nose,3,4\n", r"joint 'nose' of one person is told twice"),
        ("a.csv", b'nose_x,nose_y\n"1,2\n', r"is not a table"),
        ("a.csv", b"person,joint,u,v\n1,nose,1,2\n1,neck,1,up\n", r"a.csv: column 'v', row 2: 'up' is not a number"),
        ("a.csv", b"frame,joint,x,y\n1,nose,1,2\nno,nose,1,2\n", r"column 'frame', row 2: 'no' is not a number"),
        ("a.csv", b"frame,joint,x,y\n1,nose,1,2\n,nose,1,2\n", r"a.csv: frame must hold whole numbers"),
        ("a.csv", b"nose_x,nose_y\n1,2\n\n1,2,3\n", r"a.csv: row 2 has 3 cells, the header 2: give each column a name"),
        ("a.csv", b"nose_x,nose_y\n1,2,,\n", r"row 1 has 4 cells, the header 2"),
        ("a.csv", b"frame,nose_x,nose_y\n1.5,1,2\n", r"frame must hold whole numbers"),
        ("a.csv", b"scorer,a\ncoords,x\n0,1\n", r"lacks one of DeepLabCut's header lines"),
        ("a.csv", b"scorer,a\nbodyparts,nose\ncoords,x\n0,far\n", r"nose x is 'far' in one row"),
        ("a.csv", b"scorer,a,a\nbodyparts,nose,nose\ncoords,x,y\n", r"holds nobody"),
        ("a.csv", b"frame_idx,nose.x,nose.y\n,1,2\n", r"column 'frame_idx' must hold whole numbers"),
        ("a.csv", b"frame_idx,nose.x,nose.y\n1.5,1,2\n", r"a.csv: column 'frame_idx' must hold whole numbers"),
        ("a.csv", b"frame_idx,nose.x,nose.y\n1e300,1,2\n", r"column 'frame_idx' must hold whole numbers"),
        (
            "a.csv",
            b"scorer,a,a,a\nbodyparts,nose,nose,nose\ncoords,x,y,x\n0,1,2,3\n",
            r"a.csv has the column 'nose x' twice: leave one of them out",
        ),
        ("a.csv", b"frame_idx,nose.x,nose.y,nose.x\n1,1,2,3\n", r"a.csv has the column 'nose.x' twice: leave one"),
        ("a.csv", b"scorer,a,a\nbodyparts,nose,nose\ncoords,x,y\ninf,1,2\n", r"its first column must hold whole"),
        ("a.csv", b"scorer,a,a\nbodyparts,nose,nose\ncoords,x,y\n1.5,1,2\n", r"a.csv: its first column must hold"),
        ("a.csv", b"\xff\xfe\x00", r"neither JSON nor CSV nor NPZ nor HDF5"),
        ("a.npz", b"PK\x03\x04 damaged", r"is a damaged .npz file"),
        ("a.jsonl", b'{"skeleton": "COCO17", "joints_2d": [[1, 2]]}\n', r"line 1: joints_2d must have the 17 joints"),
        (
            "a.jsonl",
            b'{"joints_2d": [' + b"[1, 2], " * 16 + b'[1, 2]], "frame": 1' + b"0" * 30 + b', "nose": 0}\n',
            r"a.jsonl line 1: frame is too large a number",
        ),
        ("a.jsonl", b'{"joints_2d": [[1, 2]]}\n', r"line 1 names no skeleton"),
        ("a.jsonl", b'{"skeleton": "COCO17"\n', r"line 1 is not JSON"),
        ("a.jsonl", b"\n\n", r"."),
    ],
)  # fmt: skip
def test_one_sentence_for_each_damaged_table(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_keypoints(tmp_path / name, skeleton=COCO17 if b"nose" in content else None)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": np.ones(3)}, r"has no array joints_2d or keypoints \(it has a\)"),
        ({"joints_2d": np.ones((2, 17, 4))}, r"must have shape \(people, joints, 2 or 3\), has \(2, 17, 4\)"),
        ({"joints_2d": np.ones((0, 25, 2))}, r"holds nobody"),
        ({"joints_2d": np.ones((1, 99, 2))}, r"has 99 joints without names; 18 \(OPENPOSE18\), 19"),
        ({"joints_2d": np.full((1, 25, 2), "x")}, r"joints_2d must hold numbers, holds <U1"),
        (
            {"joints_2d": np.ones((1, 25, 2)), "confidence": np.ones(3)},
            r"confidence must have shape \(1, 25\)",
        ),
        ({"joints_2d": np.ones((1, 25, 2)), "visibility": np.full((1, 25), 3)}, r"visibility must be 0"),
        ({"joints_2d": np.ones((1, 25, 2)), "image": np.array("a")}, r"image must have shape \(1,\)"),
    ],
)
def test_one_sentence_for_each_damaged_archive(
    arrays: dict[str, np.ndarray], message: str, tmp_path: Path
) -> None:
    np.savez(tmp_path / "k.npz", **arrays)
    with pytest.raises(InputError, match=message):
        read_keypoints(tmp_path / "k.npz")


def test_pickled_archives_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "k.npz", joints_2d=np.array([{"a": 1}], object))
    with pytest.raises(InputError, match="holds pickled objects, which are refused"):
        read_keypoints(tmp_path / "k.npz")


def test_paths_that_are_not_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none.json cannot be read: No such file"):
        read_keypoints(tmp_path / "none.json")
    with pytest.raises(InputError, match="give a file of keypoints"):
        read_keypoints(tmp_path)
    with pytest.raises(InputError, match="is a folder: give the file of coco keypoints"):
        read_keypoints(tmp_path, format="coco")
    with pytest.raises(InputError, match="there is no keypoint format 'x': choose one of coco"):
        read_keypoints(tmp_path, format="x")


_LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
_KEYS = st.sampled_from(
    [
        "keypoints",
        "image_id",
        "annotations",
        "images",
        "people",
        "pose_keypoints_2d",
        "pose_landmarks",
        "frames",
        "x",
        "y",
        "instances",
        "bbox",
        "keypoint_scores",
        "instance_info",
        "frame_id",
        "width",
        "height",
        "id",
        "file_name",
        "joints_2d",
        "skeleton",
        "person_id",
    ]
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.recursive(
        _LEAVES
        | _LEAVES.map(lambda value: [value] * 51)
        | _LEAVES.map(lambda value: [{"x": value, "y": 0.5}] * 33),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=5),
        max_leaves=12,
    ),
    format=st.sampled_from([None, *FORMATS]),
)
def test_any_json_gives_people_or_one_sentence(values: Any, format: str | None, tmp_path: Path) -> None:
    path = _write(tmp_path, values)
    try:
        read = read_keypoints(path, format=format, image_size=(10, 10), skeleton=skeleton_by_name("COCO17"))
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert len(read)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_cut_or_change_of_a_good_file_gives_people_or_one_sentence(
    data: st.DataObject, tmp_path: Path
) -> None:
    name = data.draw(st.sampled_from([name for name in SAMPLES if name != "openpose folder"]))
    path = SAMPLES[name][2](tmp_path)
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content)))]
    else:
        for _ in range(data.draw(st.integers(1, 5))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        assert len(read_keypoints(path))
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017


def test_openpose_of_15_joints_is_the_mpi_model(tmp_path: Path) -> None:
    """Its order of joints: head, neck, right arm, left arm, right leg, left leg, chest."""
    people = np.random.default_rng(0).uniform(20, 400, (2, 15, 3)).round(2) / [1, 1, 400]
    (tmp_path / "a_keypoints.json").write_text(json.dumps(samples.openpose(people)))
    read = read_keypoints(tmp_path)
    assert read.skeleton == H36M17
    assert "15 joints without names are taken to be those of OpenPose's MPI model" in read.notes
    limbs = [f"{side}_{joint}" for side in ("right", "left") for joint in ("shoulder", "elbow", "wrist")]
    limbs += [f"{side}_{joint}" for side in ("right", "left") for joint in ("hip", "knee", "ankle")]
    for joint, column in (*zip(limbs, range(2, 14), strict=True), ("head", 0), ("spine", 14)):
        assert read.joints_2d[:, H36M17.index(joint)] == pytest.approx(people[:, column, :2], abs=1e-3), joint
        assert read.confidence[:, H36M17.index(joint)] == pytest.approx(people[:, column, 2], abs=1e-5), joint
    for joint, columns in (("pelvis", [8, 11]), ("thorax", [2, 5])):
        middle = people[:, columns, :2].mean(1)
        assert read.joints_2d[:, H36M17.index(joint)] == pytest.approx(middle, abs=1e-3), joint
    assert (read.visibility[:, H36M17.index("nose")] == 0).all()
    numbers = {str(column): joint for joint, column in zip(limbs, range(2, 14), strict=True)}
    mapped = read_keypoints(tmp_path, mapping=NameMapping.one_to_one(LSP14, numbers))
    assert mapped.joints_2d[0, LSP14.index("left_knee")] == pytest.approx(people[0, 12, :2], abs=1e-3)
