"""What each tool's file tells beyond the joints, which `test_keypoint_files` compares, and what is said of those that cannot be read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from evolift.posedata.errors import InputError
from evolift.posedata.keypoint_formats.keypoint_files import read_keypoints
from evolift.posedata.keypoint_formats.keypoints import Keypoints
from evolift.posedata.keypoint_formats.name_mapping import NameMapping
from evolift.posedata.skeleton import COCO17, H36M16, H36M17, HALPE26, MPII16
from tests.posedata import keypoint_samples as samples
from tests.posedata.keypoint_formats.test_sleap_project import slp
from tests.posedata.keypoint_samples import SAMPLES, objects, points

PEOPLE = points(COCO17)
SIZE = samples.SIZE
OWN = NameMapping.one_to_one(COCO17, {joint: joint for joint in COCO17.joints})
SIDES = [[1, 3, 5, 7, 9, 11, 13, 15], [2, 4, 6, 8, 10, 12, 14, 16]]


def label(person: np.ndarray, *extra: float, axes: int = 3, kind: int = 0) -> str:
    parts = person.copy()
    parts[:, :2] = (parts[:, :2] + 0.5) / SIZE
    numbers = [0.25, 0.5, 0.5, 0.25, *parts[:, :axes].reshape(-1).tolist(), *extra]
    return " ".join([str(kind), *(f"{number:.8f}".rstrip("0").rstrip(".") for number in numbers)])


def trc(people: np.ndarray, names: list[str], units: str = "px", first: int = 0) -> str:
    header = [
        ["PathFileType", "4", "(X/Y/Z)", "clip_Sports2D_px_person02.trc"],
        ["DataRate", "CameraRate", "NumFrames", "NumMarkers", "Units"],
        ["30", "30", str(len(people)), str(len(names)), units],
        ["Frame#", "Time", *"\t\t\t".join(names).split("\t"), "", ""],
        ["", "", *(f"{axis}{n + 1}" for n in range(len(names)) for axis in "XYZ")],
    ]
    rows = [
        [str(first + n), str(n / 30), *(f"{v}" for u, w, _ in person for v in (u, -w, 0))]
        for n, person in enumerate(people)
    ]
    return "\n".join("\t".join(line) for line in [*header, *rows]) + "\n"


def videopose3d(path: Path, positions: Any, metadata: Any = None) -> Path:
    arrays = {"positions_2d": positions} | ({} if metadata is None else {"metadata": metadata})
    np.savez(path, **{name: np.array(value, object) for name, value in arrays.items()})
    return path


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def h5(path: Path, **datasets: Any) -> Path:
    with h5py.File(path, "w") as file:
        for name, values in datasets.items():
            file[name] = values
    return path


def test_frames_people_images_sizes_and_boxes_of_each_tool(tmp_path: Path) -> None:
    box = [10, 20, 100, 200]
    expected = {
        "dwpose": ([0, 0], False, "", SIZE, None),
        "yolo results": ([0, 0], False, "keypoints", (0, 0), box),
        "detectron2": ([0, 0], False, "clip.mp4", SIZE, box),
        "videopose3d": ([0, 1], True, "clip.mp4", SIZE, None),
        "sleap analysis": ([0, 0], True, "clip.mp4", (0, 0), None),
        "npy": ([0, 1], True, "", (0, 0), None),
    }
    for name, (frames, is_tracked, image, size, box_of) in expected.items():
        read = read_keypoints(SAMPLES[name][2](tmp_path))
        assert (read.frame.tolist(), read.is_tracked) == (frames, is_tracked), name
        assert read.image == (image,) * 2, name
        assert read.image_size.tolist() == [list(size)] * 2, name
        assert np.isnan(read.box).all() if box_of is None else read.box.tolist() == [box_of] * 2, name


def _detectron(folder: Path) -> Keypoints:
    return read_keypoints(samples.write_detectron2(folder / "k.npz", [PEOPLE[:0], PEOPLE, PEOPLE[1:]]))


def _dwpose(folder: Path) -> Keypoints:
    frames = [samples.dwpose_frame(p) for p in (PEOPLE[:0], PEOPLE, PEOPLE[1:])]
    frames[0] |= {"people": [{"pose_keypoints_2d": None}], "animals": [[]]}
    read = read_keypoints(written(folder / "k.json", json.dumps(frames)), mapping=OWN)
    assert "1 animals are left out" in read.notes
    return read


def _dwpose_parts(folder: Path) -> Keypoints:
    """Some versions write parts of the canvas."""
    parts = (PEOPLE + np.array([0.5, 0.5, 0])) / (*SIZE, 1)
    frames = [samples.dwpose_frame(p) for p in (parts[:0], parts, parts[1:])]
    return read_keypoints(written(folder / "k.json", json.dumps(frames)), mapping=OWN)


def _yolo_results(folder: Path) -> Keypoints:
    frames = [samples.yolo_results(p) for p in (PEOPLE[:0], PEOPLE, PEOPLE[1:])]
    return read_keypoints(written(folder / "k.json", json.dumps(frames)))


def _yolo_labels(folder: Path) -> Keypoints:
    """By their names as text the tenth frame would come first; nobody is in the eighth."""
    for number, people in ((8, PEOPLE[:0]), (9, PEOPLE), (10, PEOPLE[1:])):
        text = "".join(label(person, 0.9) + "\n" for person in people)
        (folder / f"clip_{number}.txt").write_text(text)
    (folder / "classes.txt").write_text("person\n")
    read = read_keypoints(folder, image_size=SIZE)
    assert set(read.image) == {"clip"}
    assert read.box[0] == pytest.approx([-0.5, 0.375 * 480 - 0.5, 320, 120])
    return read


@pytest.mark.parametrize(
    ("read", "frames"),
    [
        (_detectron, [1, 1, 2]),
        (_dwpose, [1, 1, 2]),
        (_dwpose_parts, [1, 1, 2]),
        (_yolo_results, [1, 1, 2]),
        (_yolo_labels, [9, 9, 10]),
    ],
)
def test_frames_keep_their_numbers(
    read: Callable[[Path], Keypoints], frames: list[int], tmp_path: Path
) -> None:
    keypoints = read(tmp_path)
    assert keypoints.frame.tolist() == frames
    assert keypoints.person == ("1", "2", "1")
    expected = PEOPLE[[0, 1, 1]]
    assert keypoints.joints_2d == pytest.approx(expected[..., :2], abs=1e-3)
    assert keypoints.confidence == pytest.approx(expected[..., 2], abs=1e-6)


LABELS: dict[str, tuple[list[str], dict[str, Any]]] = {
    "score": ([label(p, 0.5) for p in PEOPLE], {"person": ("1", "2"), "is_tracked": False}),
    "score and track": ([label(p, 0.5, n) for n, p in zip((7, 1), PEOPLE, strict=True)], {"person": ("7", "1"), "is_tracked": True}),
    "track": ([label(p, n) for n, p in zip((7, 1), PEOPLE, strict=True)], {"person": ("7", "1"), "is_tracked": True}),
    "track of one alone": ([label(PEOPLE[0], 0.5, 7), label(PEOPLE[1], 0.5)], {"is_tracked": False}),
    "without scores of joints": ([label(p, axes=2) for p in PEOPLE], {"person": ("1", "2"), "is_tracked": False}),
    "two classes": ([label(PEOPLE[0]), label(PEOPLE[1], kind=2)], {"is_tracked": False}),
}  # fmt: skip


@pytest.mark.parametrize("name", LABELS)
def test_yolo_labels(name: str, tmp_path: Path) -> None:
    lines, expected = LABELS[name]
    read = read_keypoints(written(tmp_path / "photo.txt", "\n".join(lines)), image_size=SIZE)
    assert read.joints_2d == pytest.approx(PEOPLE[..., :2], abs=1e-3)
    assert {key: getattr(read, key) for key in expected} == expected
    assert (read.image, read.frame.tolist()) == (("photo",) * 2, [0, 0])
    assert read.notes[0].startswith("17 joints without names are taken to be COCO17's")
    assert read.notes[1:] == (("classes 0, 2 are all read as people",) if name == "two classes" else ())


def test_yolo_labels_have_flags_missing_joints_and_other_skeletons(tmp_path: Path) -> None:
    people = points(HALPE26)
    people[..., 2] = 2
    people[0, 1, 2], people[0, 2] = 1, (-0.5, -0.5, 0)  # which label writes as 0 0 0
    path = written(tmp_path / "0007.txt", "\n".join(map(label, people)))
    read = read_keypoints(path, image_size=SIZE, skeleton=HALPE26)
    assert (read.skeleton, read.frame.tolist()) == (HALPE26, [7, 7])
    assert read.visibility[0, :4].tolist() == [2, 1, 0, 2]
    assert read.confidence[0, :4].tolist() == [1, 1, 0, 1]


def test_joints_that_yolo_did_not_find_are_unlabelled(tmp_path: Path) -> None:
    people = PEOPLE.copy()
    people[0, 3, :2] = 0
    path = written(tmp_path / "k.json", json.dumps(samples.yolo_results(people, track_id=4)[:1]))
    read = read_keypoints(path)
    assert np.flatnonzero(read.visibility[0] == 0).tolist() == [3]
    assert (read.person, read.is_tracked) == (("4",), True)


def test_boxes_without_keypoints_are_told(tmp_path: Path) -> None:
    entries = samples.yolo_results(PEOPLE)
    del entries[1]["keypoints"]
    read = read_keypoints(written(tmp_path / "k.json", json.dumps(entries)))
    assert len(read) == 1
    assert "1 of its 2 boxes have no keypoints and are left out" in read.notes


@pytest.mark.parametrize(
    ("positions", "metadata", "skeleton", "images", "people"),
    [
        ({"a.mp4": PEOPLE[..., :2]}, {"layout_name": "coco"}, COCO17, ("a.mp4",) * 2, ("1", "1")),
        ({"a.mp4": [PEOPLE[..., :2]]}, {"keypoints_symmetry": SIDES}, COCO17, ("a.mp4",) * 2, ("1", "1")),
        ({"a": {"custom": [points(MPII16)]}}, {"layout_name": "mpii"}, MPII16, ("a",) * 2, ("1", "1")),
        ({"a": {"custom": [points(H36M17)]}}, {"layout_name": "h36m"}, H36M17, ("a",) * 2, ("1", "1")),
        ({"S1": {"Walk": [points(H36M17, people=32)[:, :17]]}}, {"layout_name": "h36m"}, H36M17, ("S1",) * 32, ("1",) * 32),
        (
            {"a": {"custom": [PEOPLE[:1]]}, "b": {"custom": [PEOPLE[1:]]}},
            {"layout_name": "coco"},
            COCO17,
            ("a custom view 0", "b custom view 0"),
            ("a custom view 0", "b custom view 0"),
        ),
    ],
)  # fmt: skip
def test_videopose3d_layouts(
    positions: Any,
    metadata: Any,
    skeleton: Any,
    images: tuple[str, ...],
    people: tuple[str, ...],
    tmp_path: Path,
) -> None:
    read = read_keypoints(videopose3d(tmp_path / "k.npz", positions, metadata))
    assert (read.skeleton, read.image, read.person, read.is_tracked) == (skeleton, images, people, True)


def test_videopose3d_of_32_joints_and_without_metadata(tmp_path: Path) -> None:
    thirty_two = np.arange(64.0).reshape(1, 32, 2)
    read = read_keypoints(videopose3d(tmp_path / "h.npz", {"S1": {"Walk": [thirty_two]}}))
    assert (read.skeleton, read.joints_2d[0, 4].tolist()) == (H36M17, [12, 13])
    assert "of 32 joints the 17 of H36M17 are used" in read.notes
    path = videopose3d(tmp_path / "k.npz", {"a": {"custom": [PEOPLE]}})
    with pytest.raises(
        InputError,
        match=r"positions_2d has 17 joints without names, as H36M17 and COCO17: say which with `skel",
    ):
        read_keypoints(path)
    assert read_keypoints(path, skeleton=COCO17).joints_2d == pytest.approx(PEOPLE[..., :2], abs=1e-3)
    with pytest.raises(InputError, match=r"positions_2d has 17 joints, skeleton H36M16 has 16"):
        read_keypoints(path, skeleton=H36M16)


def test_sleap_analysis_in_either_order_and_with_gaps(tmp_path: Path) -> None:
    path = samples.write_sleap_analysis(tmp_path / "a.h5", PEOPLE, COCO17)
    with h5py.File(path, "a") as file:
        tracks, scores = file["tracks"][()], file["point_scores"][()]
        for name in ("tracks", "point_scores"):
            del file[name]
        # frame 0 nobody, frame 1 both, frame 2 the second; written without the transposition
        gap = np.full_like(tracks, np.nan)
        file["tracks"] = np.concatenate([gap, tracks, np.where([[[[False]]], [[[True]]]], tracks, gap)], -1).T
        file["point_scores"] = np.repeat(scores, 3, -1).T
    read = read_keypoints(path)
    assert read.frame.tolist() == [1, 1, 2]
    assert read.person == ("track_0", "track_1", "track_1")
    assert read.joints_2d == pytest.approx(PEOPLE[[0, 1, 1], :, :2], abs=1e-3)
    assert read.confidence == pytest.approx(PEOPLE[[0, 1, 1], :, 2], abs=1e-6)


def test_a_mapping_tells_the_nodes_of_sleap_and_the_markers_of_trc(tmp_path: Path) -> None:
    names = [f"part {joint}" for joint in COCO17.joints]
    mapping = NameMapping.one_to_one(COCO17, dict(zip(names, COCO17.joints, strict=True)))
    path = samples.write_sleap_analysis(tmp_path / "a.h5", PEOPLE, COCO17)
    with h5py.File(path, "a") as file:
        del file["node_names"]
        file["node_names"] = np.array([name.encode() for name in names])
    markers = written(tmp_path / "a.trc", trc(PEOPLE, names))
    for one in (path, markers):
        with pytest.raises(InputError, match=r"no skeleton has the joints part nose, .* with `mapping` FILE"):
            read_keypoints(one)
        read = read_keypoints(one, mapping=mapping)
        assert read.joints_2d == pytest.approx(PEOPLE[..., :2], abs=1e-3)


def test_markers_of_sports2d(tmp_path: Path) -> None:
    names = ["CHip", "RHip", "RKnee", "RAnkle", "RBigToe", "LHip", "LKnee", "LAnkle", "Neck", "Head", "Nose", "RShoulder", "RElbow", "RWrist", "LShoulder", "LElbow", "LWrist"]  # fmt: skip
    values = points(COCO17)  # 17 of any
    read = read_keypoints(written(tmp_path / "a.trc", trc(values, names, first=5)))
    assert (read.frame.tolist(), read.person, read.is_tracked) == ([5, 6], ("02", "02"), True)
    assert read.image == ("clip_Sports2D_px_person02",) * 2
    joints = {"pelvis": "CHip", "right_ankle": "RAnkle", "thorax": "Neck", "head": "Head", "nose": "Nose"}
    for joint, name in joints.items():
        given = values[:, names.index(name), :2]
        assert read.joints_2d[:, H36M17.index(joint)] == pytest.approx(given, abs=1e-3)
    assert "it says 30 frames per second: give them as `frames_per_second`" in read.notes
    assert any(note.endswith("no joint is made of them: RBigToe") for note in read.notes)


@pytest.mark.parametrize(
    ("shape", "frames"), [((17, 2), 1), ((4, 17, 2), 4), ((1, 4, 17, 3), 4), ((4, 1, 17, 2), 4)]
)
def test_arrays_are_frames_of_one_person(shape: tuple[int, ...], frames: int, tmp_path: Path) -> None:
    np.save(tmp_path / "k.npy", np.arange(1.0, 1 + np.prod(shape)).reshape(shape).astype(np.float32))
    read = read_keypoints(tmp_path / "k.npy", skeleton=COCO17)
    assert (read.frame.tolist(), set(read.person)) == (list(range(frames)), {"1"})
    assert read.joints_2d[:, 0, 0].tolist() == [1 + number * shape[-1] * 17 for number in range(frames)]


DLC_IMAGES = ("labeled-data", "clip", "img0012.png"), ("labeled-data", "clip", "img0040.png")


@pytest.mark.parametrize("cells", [1, 3])
def test_deeplabcut_labelled_data_tell_images_and_frames(cells: int, tmp_path: Path) -> None:
    lines = samples.deeplabcut_text(points(H36M17), H36M17, individuals=False).splitlines()
    begins = [",".join(parts) if cells == 3 else "/".join(parts) for parts in DLC_IMAGES]
    heads = [line.replace(",", "," * cells, 1) for line in lines[:3]]
    rows = [begin + line[line.index(",") :] for begin, line in zip(begins, lines[3:], strict=True)]
    read = read_keypoints(written(tmp_path / "d.csv", "\n".join([*heads, *rows])))
    assert read.image == tuple("/".join(parts) for parts in DLC_IMAGES)
    assert read.frame.tolist() == [12, 40]
    assert read.joints_2d == pytest.approx(points(H36M17)[..., :2], abs=1e-3)


def test_unique_body_parts_of_deeplabcut_are_nobody_unless_they_are_mapped(tmp_path: Path) -> None:
    text = samples.deeplabcut_text(PEOPLE, COCO17, individuals=True)
    more = ("net,net", "single,single", "door,door", "x,y", "3,4", "3,4")
    path = written(tmp_path / "d.csv", "\n".join(map(",".join, zip(text.splitlines(), more, strict=True))))
    said = "individual single is nobody: no joint is made of its body parts (door)"
    for mapping in (None, OWN):
        read = read_keypoints(path, mapping=mapping)
        assert (read.person, said in read.notes) == (("a", "b"), True)
    mapped = NameMapping.one_to_one(COCO17, {"door": "nose", "left_hip": "left_hip"})
    assert set(read_keypoints(path, mapping=mapped).person) == {"a", "b", "single"}


def _npz(**arrays: Any) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        np.savez(folder / "k.npz", **arrays)
        return folder / "k.npz"

    return write


def _file(name: str, text: str) -> Callable[[Path], Path]:
    return lambda folder: written(folder / name, text)


def _array(values: np.ndarray) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        np.save(folder / "k.npy", values)
        return folder / "k.npy"

    return write


def _hdf5(**datasets: Any) -> Callable[[Path], Path]:
    return lambda folder: h5(folder / "k.h5", **datasets)


_WIDE = np.array({"w": 640, "h": 480}, object)
_TRC = trc(PEOPLE, list(COCO17.joints))


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (_npz(boxes=objects([[]]), keypoints=objects([[[], []]]), metadata=_WIDE), r"boxes\[0\] must be a pair|holds nobody: Detectron found no person"),
        (_npz(boxes=objects([]), keypoints=objects([[[], []]]), metadata=_WIDE), r"boxes of 0 frames, keypoints of 1"),
        (_npz(boxes=objects([[[], []]]), keypoints=objects([7]), metadata=_WIDE), r"keypoints\[0\] must be a pair of an empty list"),
        (_npz(boxes=objects([[[], []]]), keypoints=objects([[[], np.ones((1, 3, 17))]]), metadata=_WIDE), r"must have shape \(people, 4, 17\), has \(1, 3, 17\)"),
        (_npz(boxes=objects([[[], []]]), keypoints=objects([{1: Path("a")}]), metadata=_WIDE), r"holds more than plain arrays and containers \(pathlib"),
        (_npz(positions_2d=np.array([1.0])), r"positions_2d is a plain array of numbers"),
        (_npz(positions_2d=np.array({}, object)), r"holds nobody: positions_2d has no frames"),
        (_npz(positions_2d=np.array({"a": {"custom": [np.ones((2, 17))]}}, object)), r"\['a'\]\['custom'\]\[0\] must hold numbers of shape \(frames, joints, 2 or 3\), has \(2, 17\)"),
        (_npz(boxes=np.fromiter([[[[], []], [1]]], object, 1).reshape(()), keypoints=objects([[[], []]]), metadata=_WIDE), r"boxes of 2 frames, keypoints of 1"),
        (_npz(positions_2d=np.array({"a": {"custom": [[[1], [1, 2]]]}}, object)), r"\['custom'\]\[0\] must hold numbers of shape"),
        (_npz(positions_2d=np.array({"a": {"custom": 7}}, object)), r"\['a'\]\['custom'\] must be a list of arrays, one for each view"),
        (_npz(positions_2d=np.array({"a": {"custom": np.array(7)}}, object)), r"\['a'\]\['custom'\] must be a list of arrays"),
        (_file("k.json", '[{"people": [{"pose_keypoints_2d": [1, 2, 3]}]}]'), r"pose_keypoints_2d has 1 joints without names; 17 \(COCO17\), 18 \(OPENPOSE18\)"),
        (_file("k.json", '[{"people": []}]'), r"holds nobody: its people have no pose_keypoints_2d"),
        (_file("k.json", '[{"people": [], "canvas_width": "a"}]'), r"canvas_width must be a number, not a text"),
        (_file("k.json", '[{"box": {"x1": 0, "y1": 0, "x2": 1, "y2": 1}}]'), r"nobody with keypoints: predict with a model of the pose task"),
        (_file("k.json", '[{"keypoints": {"x": [1], "y": [2]}}]'), r"\[0\].keypoints has 1 joints without names; 17 \(COCO17\) are known"),
        (_file("k.txt", label(PEOPLE[0]).rpartition(" ")[0]), r"k.txt line 1 has 55 numbers, which 17 joints do not make: say which with `skeleton`"),
        (_file("k.txt", label(PEOPLE[0]) + "\n0 1 1 1 1"), r"k.txt line 2 has a box alone: predict with a model of the pose"),
        (_file("k.txt", label(PEOPLE[0]) + "\na 1 1 1 1"), r"k.txt line 2 must hold numbers, a whole one first"),
        (_file("k.txt", label(PEOPLE[0]) + "\n" + label(PEOPLE[1], axes=2)), r"another number of values than other lines"),
        (_file("k.trc", _TRC.replace("px\n", "m\n", 1)), r"holds markers in m: only pixels of one camera can be lifted"),
        (_file("k.trc", _TRC.replace("\t-", "\t")), r"has y above 0, and does not tell where y is 0"),
        (_file("k.trc", _TRC.replace("left_eye", "nose")), r"has the marker 'nose' twice"),
        (_file("k.trc", "\n".join(_TRC.splitlines()[:5])), r"holds nobody: it has no markers in any frame"),
        (_file("k.trc", "PathFileType\t4\n"), r"lacks the five lines of a TRC header"),
        (_file("k.trc", _TRC + "2\t0.1\tfar"), r"row 3, column 3 is 'far', which is not a number"),
        (_array(np.ones((2, 3, 17, 2))), r"has shape \(2, 3, 17, 2\), of which the people are not told from the frames"),
        (_array(np.ones((2, 17, 2))), r"k.npy has 17 joints without names, as H36M17 and COCO17: say which with `skeleton`"),
        (_array(np.ones((2, 17, 4))), r"must have shape \(frames, joints, 2 or 3\), has \(2, 17, 4\)"),
        (_array(np.array([{}], object)), r"holds pickled objects, which are refused"),
        (_array(np.array(["a"])), r"must hold numbers, holds <U1"),
        (lambda folder: slp(folder / "k.slp", [(0, 0, [(1, -1, -1, 0)]), (1, 0, [(1, -1, -1, 0)])]), r"k.slp has frames of 2 videos: export each as Analysis HDF5"),
        (lambda folder: slp(folder / "k.slp", [(0, 0, [])]), r"k.slp holds nobody"),
        (lambda folder: slp(folder / "k.slp", [(0, 0, [(1, -1, -1, 0), (1, -1, -1, 1)])]), r"k.slp has people of 2 skeletons: leave one"),
        (lambda folder: slp(folder / "k.slp", [(0, 0, [(1, -1, -1, 7)])]), r"k.slp is not a sound SLEAP file \("),
        (_hdf5(**{"df_with_missing/table": [1]}), r"is a DeepLabCut .h5 file: give the .csv of the same name"),
        (_hdf5(joints_3d=[1]), r"is a pose store, which holds 3D poses already"),
        (_hdf5(a=[1]), r"without the tracks and node_names of a SLEAP analysis \(it has a\)"),
        (_hdf5(tracks=np.ones((1, 3, 2, 5)), node_names=[b"a", b"b"]), r"holds 3D joints: give a file of 2D"),
        (_hdf5(tracks=np.full((1, 2, 1, 5), np.nan), node_names=[b"nose"]), r"k.h5 holds nobody"),
        (_file("k.h5", "\x89"), r"has no columns JOINT_x"),
    ],
)  # fmt: skip
def test_one_sentence_for_what_cannot_be_read(
    write: Callable[[Path], Path], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_keypoints(write(tmp_path), image_size=SIZE)
    assert "\n" not in str(caught.value)


def test_labels_without_a_size_ask_for_it(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"YOLO's coordinates are parts of the image: add `image_size` WIDTH"
    ):
        read_keypoints(written(tmp_path / "k.txt", label(PEOPLE[0])))


def test_mappings_by_number_and_skeletons_reach_every_tool(tmp_path: Path) -> None:
    numbers = NameMapping.one_to_one(COCO17, {str(n): joint for n, joint in enumerate(COCO17.joints)})
    twelve = NameMapping.one_to_one(COCO17, {str(n): joint for n, joint in enumerate(COCO17.joints[:12])})
    paths = {
        "npy": tmp_path / "k.npy",
        "yolo": written(tmp_path / "k.json", json.dumps(samples.yolo_results(PEOPLE))),
        "videopose3d": videopose3d(tmp_path / "k.npz", {"a": {"custom": [PEOPLE]}}, {"layout_name": "coco"}),
    }
    np.save(paths["npy"], PEOPLE)
    for format, path in paths.items():
        read = read_keypoints(path, mapping=numbers)
        assert (read.format, read.joints_2d.tolist()) == (format, PEOPLE[..., :2].tolist())
    labels = written(tmp_path / "k.txt", "\n".join(label(person[:12], 0.5) for person in PEOPLE))
    read = read_keypoints(labels, mapping=twelve, image_size=SIZE)
    assert read.joints_2d[:, :12] == pytest.approx(PEOPLE[:, :12, :2], abs=1e-3)
    for name in ("detectron2", "sleap analysis"):  # these have names
        assert read_keypoints(SAMPLES[name][2](tmp_path), skeleton=H36M17).skeleton == H36M17
    with pytest.raises(InputError, match=r"metadata says that its joints are COCO17's, `skeleton` H36M17"):
        read_keypoints(paths["videopose3d"], skeleton=H36M17)


def test_metadata_of_another_tool_gives_way_to_what_is_said(tmp_path: Path) -> None:
    path = videopose3d(tmp_path / "k.npz", {"a": {"custom": [PEOPLE]}}, {"layout_name": "mine"})
    with pytest.raises(InputError, match=r"layout_name 'mine'"):
        read_keypoints(path)
    assert read_keypoints(path, skeleton=COCO17).skeleton == COCO17


def test_what_is_not_read_of_a_tool_is_named(tmp_path: Path) -> None:
    people = samples.yolo_results(PEOPLE, depth=3)
    frame = samples.dwpose_frame(PEOPLE) | {"model": "a"}
    frame["people"][0]["mood"] = "good"
    analysis = samples.write_sleap_analysis(tmp_path / "a.h5", PEOPLE, COCO17)
    with h5py.File(analysis, "a") as file:
        file["weights"] = 1
    arrays = {
        "positions_2d": np.array({"a": PEOPLE}, object),
        "metadata": np.array({"layout_name": "coco"}, object),
    }
    np.savez(tmp_path / "v.npz", extra=np.ones(2), **arrays)
    expected = [
        (written(tmp_path / "y.json", json.dumps(people)), {"keys of people that are not read: depth"}),
        (
            written(tmp_path / "d.json", json.dumps([frame])),
            {"keys of frames that are not read: model", "keys of people that are not read: mood"},
        ),
        (analysis, {"data sets that are not read: weights"}),
        (tmp_path / "v.npz", {"arrays that are not read: extra"}),
    ]
    for path, notes in expected:
        assert {note for note in read_keypoints(path).notes if "not read" in note} == notes


def test_people_of_dwpose_may_be_tracked(tmp_path: Path) -> None:
    frame = samples.dwpose_frame(PEOPLE)
    for person, identity in zip(frame["people"], (3, 1), strict=True):
        person["person_id"] = [identity]
    read = read_keypoints(written(tmp_path / "k.json", json.dumps(frame)))
    assert (read.format, read.person, read.is_tracked) == ("dwpose", ("3", "1"), True)
