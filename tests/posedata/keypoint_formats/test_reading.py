"""What files say is heeded: names beat numbers, "not seen" in all its spellings, units; what is passed over is refused or told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evolift.posedata.errors import InputError
from evolift.posedata.joint_mapping import mapping_between
from evolift.posedata.keypoint_formats.keypoint_files import read_keypoints
from evolift.posedata.keypoint_formats.keypoints import Keypoints
from evolift.posedata.keypoint_formats.line_stream import KeypointStream
from evolift.posedata.keypoint_formats.name_mapping import NameMapping
from evolift.posedata.skeleton import (
    AIC14,
    COCO17,
    CROWDPOSE14,
    H36M17,
    HALPE26,
    LSP14,
    MEDIAPIPE33,
    MPII16,
    OPENPOSE18,
    Skeleton,
)
from tests.posedata import keypoint_samples as samples
from tests.posedata.keypoint_formats.test_name_mapping import AIC, CROWDPOSE, HUMAN36M_MMPOSE, POSETRACK
from tests.posedata.keypoint_samples import SAMPLES, points

MPII = [
    "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle", "pelvis", "thorax", "upper_neck",
    "head_top", "right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow", "left_wrist",
]  # fmt: skip
NAMES = {
    "human36m": HUMAN36M_MMPOSE,
    "posetrack": POSETRACK,
    "crowdpose": CROWDPOSE,
    "aic": AIC,
    "mpii": MPII,
}


def people_of(count: int) -> np.ndarray:
    """Two people with `count` joints: x, y, score, no two the same."""
    return np.random.default_rng(count).uniform(30, 400, (2, count, 3)).round(2) * [1, 1, 1 / 500] + [
        0,
        0,
        0.1,
    ]


def coco(names: list[str] | None, people: np.ndarray, third: float | None = 2) -> dict[str, Any]:
    flagged = people.copy()
    if third is not None:
        flagged[..., 2] = third
    category = {"id": 1, "name": "person"} | ({"keypoints": names} if names else {})
    return {
        "categories": [category],
        "images": [{"id": 7}],
        "annotations": samples.coco_results(flagged),
    }


def mmpose(names: list[str], people: np.ndarray) -> dict[str, Any]:
    table = {str(number): name for number, name in enumerate(names)}
    return {
        "meta_info": {"keypoint_id2name": table},
        "instance_info": [{"frame_id": 0, "instances": samples.mmpose(people)}],
    }


def written(folder: Path, values: Any, name: str = "k.json") -> Path:
    path = folder / name
    path.write_text(values if isinstance(values, str) else json.dumps(values))
    return path


@pytest.mark.parametrize("layout", [coco, mmpose])
@pytest.mark.parametrize("name", NAMES)
def test_names_beat_the_number_of_joints(name: str, layout: Any, tmp_path: Path) -> None:
    names, people = NAMES[name], people_of(len(NAMES[name]))
    read = read_keypoints(written(tmp_path, layout(names, people))).to_skeleton(H36M17)
    by_name = dict(zip((n.lower().replace(" ", "_") for n in names), people.transpose(1, 0, 2), strict=True))
    ours = {"right_foot": "right_ankle", "root": "pelvis", "neck_base": "nose"}
    for called, values in by_name.items():
        joint = ours.get(called, called)
        if joint in H36M17.joints and not (called == "head" and name != "human36m"):
            got = read.joints_2d[:, H36M17.index(joint)]
            assert got == pytest.approx(values[:, :2], abs=1e-3), joint
    top = by_name.get("head_top", by_name.get("head"))
    assert top is not None
    assert read.joints_2d[:, H36M17.index("head")] == pytest.approx(top[:, :2], abs=1e-3)
    assert not any("without names" in note for note in read.notes)


@pytest.mark.parametrize(
    ("format", "count", "skeleton"),
    [
        ("coco", 17, COCO17),
        ("alphapose", 16, MPII16),
        ("openpose", 18, OPENPOSE18),
        ("openpose", 26, HALPE26),
        ("openpose", 136, HALPE26),
        ("openpose", 17, COCO17),
        ("mmpose", 133, COCO17),
        ("numbered csv", 33, MEDIAPIPE33),
        ("npz", 18, OPENPOSE18),
    ],
)
def test_a_number_alone_decides_only_without_names_and_says_so(
    format: str, count: int, skeleton: Skeleton, tmp_path: Path
) -> None:
    people = people_of(count)
    read = read_keypoints(without_names(format, people, tmp_path))
    assert read.skeleton == skeleton
    assert read.joints_2d == pytest.approx(people[:, : len(skeleton), :2], abs=1e-3)
    assert read.confidence == pytest.approx(people[:, : len(skeleton), 2], abs=1e-5)
    assert f"{count} joints without names are taken to be {skeleton.name}'s" in " ".join(read.notes)


def without_names(format: str, people: np.ndarray, folder: Path) -> Path:
    if format == "npz":
        np.savez(folder / "k.npz", keypoints=people)
        return folder / "k.npz"
    if format == "numbered csv":
        header = ",".join(f"{part}{n}" for n in range(1, people.shape[1] + 1) for part in "xyc")
        rows = [",".join(map(str, samples.flat(person))) for person in people]
        return written(folder, "\n".join([header, *rows]), "k.csv")
    made: dict[str, Any] = {
        "coco": samples.coco_results(people),
        "alphapose": samples.coco_results(people, image_id="a.jpg"),
        "openpose": samples.openpose(people),
        "mmpose": samples.mmpose(people),
    }
    return written(folder, made[format])


FORMATS = ["coco", "alphapose", "openpose", "mmpose", "numbered csv", "npz"]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("skeleton", [H36M17, CROWDPOSE14, AIC14, LSP14], ids=lambda s: str(s.name))
def test_a_given_skeleton_is_heeded(format: str, skeleton: Skeleton, tmp_path: Path) -> None:
    people = people_of(len(skeleton))
    read = read_keypoints(without_names(format, people, tmp_path), skeleton=skeleton)
    assert read.skeleton == skeleton
    assert read.joints_2d == pytest.approx(people[..., :2], abs=1e-3)
    assert not any("without names" in note for note in read.notes)


@pytest.mark.parametrize("format", FORMATS)
def test_a_mapping_names_joints_by_their_number(format: str, tmp_path: Path) -> None:
    people = people_of(20)
    first = 1 if format == "numbered csv" else 0  # where the file itself begins to count
    mapping = NameMapping.one_to_one(LSP14, {str(first + 3): "left_hip", str(first + 19): "neck"})
    read = read_keypoints(without_names(format, people, tmp_path), mapping=mapping)
    assert read.joints_2d[:, LSP14.index("left_hip")] == pytest.approx(people[:, 3, :2], abs=1e-3)
    assert read.joints_2d[:, LSP14.index("neck")] == pytest.approx(people[:, 19, :2], abs=1e-3)
    assert (read.visibility > 0).sum() == 4


def test_a_mapping_names_joints_of_lines_and_of_mediapipe(tmp_path: Path) -> None:
    people = points(COCO17)
    lines = "".join(json.dumps({"joints_2d": p[:, :2].tolist()}) + "\n" for p in people)
    mapping = NameMapping.one_to_one(LSP14, {"11": "left_hip"})
    hip = LSP14.index("left_hip")
    read = read_keypoints(written(tmp_path, lines, "k.jsonl"), mapping=mapping)
    assert read.joints_2d[:, hip] == pytest.approx(people[:, 11, :2])
    (streamed,) = KeypointStream("s", mapping=mapping).read(list(enumerate(lines.splitlines(), 1)))
    np.testing.assert_array_equal(streamed.joints_2d, read.joints_2d)
    path = SAMPLES["mediapipe"][2](tmp_path)
    read = read_keypoints(path, mapping=NameMapping.one_to_one(LSP14, {"left_hip": "left_hip"}))
    assert read.joints_2d[:, hip] == pytest.approx(points(MEDIAPIPE33)[:, 23, :2], abs=1e-3)


def test_joints_with_names_come_in_the_wanted_skeleton(tmp_path: Path) -> None:
    people = people_of(17)
    read = read_keypoints(written(tmp_path, coco(list(COCO17.joints), people)), skeleton=H36M17)
    expected, _ = mapping_between(COCO17, H36M17).convert(people[..., :2])
    assert read.joints_2d == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        (samples.coco_results(people_of(14)), {}, r"14 joints without names, as LSP14 and CROWDPOSE14 and AIC14: say"),
        (samples.coco_results(people_of(16)), {"skeleton": COCO17}, r"has 16 joints, skeleton COCO17 has 17"),
        (coco(["left_hip", "blob"], people_of(2)), {}, r"no skeleton has the joints blob"),
        (coco(["left_hip", "right_hip"], people_of(17)), {}, r"names of its category name 2 joints, but people have 17"),
        (mmpose(["left_hip", "right_hip"], people_of(17)), {}, r"meta_info name 2 joints, but people have 17"),
        (coco(HUMAN36M_MMPOSE, people_of(17)), {"mapping": NameMapping.one_to_one(LSP14, {"a": "neck"})}, r"mapping names none"),
        (
            samples.coco_results(people_of(17)),
            {"mapping": NameMapping.one_to_one(LSP14, {"0": "neck"}), "skeleton": COCO17},
            r"`mapping` has the joints of LSP14, `skeleton` says COCO17: leave `skeleton` out",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_asked_about(
    values: Any, options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        read_keypoints(written(tmp_path, values), **options)


def test_options_that_a_file_contradicts_or_has_no_use_for_are_refused(tmp_path: Path) -> None:
    path = SAMPLES["npz"][2](tmp_path)
    assert read_keypoints(path, skeleton=MPII16).skeleton == MPII16
    with pytest.raises(InputError, match="its joints are MPII16's, `skeleton` LSP14: leave `skeleton` out"):
        read_keypoints(path, skeleton=LSP14)
    path = SAMPLES["jsonl"][2](tmp_path)
    with pytest.raises(InputError, match="line 1: skeleton says that its joints are COCO17's"):
        read_keypoints(path, skeleton=H36M17)
    for name in ("MAN17", b"MAN17"):
        np.savez(tmp_path / "odd.npz", keypoints=people_of(17), skeleton=name)
        with pytest.raises(InputError, match=r"odd.npz: there is no skeleton 'MAN17'"):
            read_keypoints(tmp_path / "odd.npz")
    np.savez(tmp_path / "odd.npz", keypoints=people_of(17), skeleton=["COCO17", "COCO17"])
    with pytest.raises(InputError, match=r"odd.npz: skeleton must have shape \(1,\), has \(2,\)"):
        read_keypoints(tmp_path / "odd.npz")


@pytest.mark.parametrize("suffix", ["confidence", "likelihood", "score", "conf", "Prob", "visibility"])
@pytest.mark.parametrize("separator", ["_", ".", "-"])
def test_scores_of_tables_have_many_names(suffix: str, separator: str, tmp_path: Path) -> None:
    people = people_of(17)
    people[0, 3, 2] = 0
    header = ",".join(f"{j}{separator}{part}" for j in COCO17.joints for part in ("x", "y", suffix))
    rows = [",".join(map(str, samples.flat(person))) for person in people]
    read = read_keypoints(written(tmp_path, "\n".join([header, *rows]), "k.csv"))
    assert read.confidence == pytest.approx(people[..., 2], abs=1e-5)
    hidden = (people[..., 2] > 0) & (people[..., 2] < 0.5) & (suffix == "visibility")
    np.testing.assert_array_equal(read.visibility, np.where(people[..., 2] > 0, np.where(hidden, 1, 2), 0))
    assert not any("not read" in note for note in read.notes)


def test_scores_of_long_tables_and_flags(tmp_path: Path) -> None:
    text = "person,joint,x,y,likelihood,visibility\n" + "".join(
        f"p,{joint},{30 + n},{60 + n},0.5,{n % 3}\n" for n, joint in enumerate(COCO17.joints)
    )
    read = read_keypoints(written(tmp_path, text, "k.csv"))
    assert read.visibility[0].tolist() == [n % 3 for n in range(17)]
    assert set(read.confidence[0].tolist()) == {0, 0.5}


def test_a_joint_without_a_column_of_scores_is_sure(tmp_path: Path) -> None:
    read = read_keypoints(
        written(tmp_path, "left_hip_x,left_hip_y,left_hip_score,nose_x,nose_y\n3,4,0.5,7,8\n", "k.csv")
    )
    assert read.confidence[0, [H36M17.index("left_hip"), H36M17.index("nose")]].tolist() == [0.5, 1]


@pytest.mark.parametrize(
    ("name", "change", "note"),
    [
        ("coco results", {"tags": 1, "area": 3}, "keys of people that are not read: tags"),
        ("alphapose", {"mood": 1}, "keys of people that are not read: mood"),
        ("mmpose", {"mood": 1}, "keys of people that are not read: mood"),
        ("openpose file", {"mood": 1}, "keys of people that are not read: mood"),
        ("jsonl", {"timestamp": 0.1}, "keys of lines that are not read: timestamp"),
        ("mediapipe", {"timestamp": 0.1}, "keys of frames that are not read: timestamp"),
        ("csv", "mood", "columns that are not read: mood"),
        ("csv", "left_hip_z", "columns that are not read: JOINT_z"),
        ("csv", "", "columns that are not read: without a name"),
        ("sleap", "mood", "columns that are not read: mood"),
    ],
)
def test_what_is_not_read_is_named(name: str, change: Any, note: str, tmp_path: Path) -> None:
    path = SAMPLES[name][2](tmp_path)
    text = path.read_text()
    if isinstance(change, str):
        first, *rows = text.splitlines()
        text = "\n".join([f"{first},{change}", *(f"{row},1" for row in rows)])
    elif name == "jsonl":
        text = "".join(json.dumps(json.loads(line) | change) + "\n" for line in text.splitlines())
    else:
        values = json.loads(text)
        for entry in values.get("people", [values]) if isinstance(values, dict) else values:
            entry.update(change)
        text = json.dumps(values)
    plain = read_keypoints(path)
    path.write_text(text)
    read = read_keypoints(path)
    assert note in read.notes
    assert note not in plain.notes
    np.testing.assert_array_equal(read.joints_2d, plain.joints_2d)


def test_keys_of_coco_are_named_wherever_they_are(tmp_path: Path) -> None:
    values = coco(list(COCO17.joints), people_of(17)) | {"info": {}, "licenses": [], "videos": [], "mood": 1}
    values["images"] += [{"id": 8, "license": 1, "coco_url": "", "date_captured": "", "fps": 25}]
    values["categories"][0] |= {"supercategory": "person", "skeleton": [[1, 2]], "sigmas": []}
    read = read_keypoints(written(tmp_path, values))
    assert [note for note in read.notes if "not read" in note] == [
        "keys of the file that are not read: videos, mood",
        "keys of images that are not read: fps",
        "keys of categories that are not read: sigmas",
    ]


def test_arrays_that_are_not_read_are_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "k.npz", keypoints=people_of(26), mood=3)
    assert "arrays that are not read: mood" in read_keypoints(tmp_path / "k.npz").notes


@pytest.mark.parametrize(
    ("value", "spelling"),
    [
        ((0.0, 0.0, 0.9), "at (0, 0)"),
        ((-1.0, -1.0, 0.9), "at (-1, -1)"),
        ((None, None, 0.9), "without coordinates"),
        ((50.0, None, 0.9), "without coordinates"),
        ((50.0, 1e6, 0.9), "beyond any image"),
        ((-1e39, 50.0, 0.9), "beyond any image"),
        ((50.0, 60.0, 0.0), "of confidence 0"),
        ((50.0, 60.0, None), "of confidence 0"),
    ],
)
@pytest.mark.parametrize("layout", ["coco", "mmpose", "csv", "npz", "openpose", "named coco"])
def test_not_seen_has_many_spellings(value: Any, spelling: str, layout: str, tmp_path: Path) -> None:
    """One joint of the left side, which pelvis, spine and thorax are made of in the file with other names, is not seen."""
    people = people_of(17).astype(object)
    hip = COCO17.index("left_hip")
    people[1, hip] = value
    read = read_keypoints(not_seen(layout, people, tmp_path))
    joint = read.skeleton.index("left_hip")
    assert (read.visibility[1, joint], read.confidence[1, joint]) == (0, 0)
    assert read.joints_2d[1, joint].tolist() == [0, 0]
    assert f"1 of 2 poses lack joints, which are unlabelled: 1 {spelling}" in read.notes
    made = ("left_hip", "pelvis", "spine") if layout == "named coco" else ("left_hip",)
    gone = [name for n, name in enumerate(read.skeleton.joints) if read.visibility[1, n] == 0]
    assert sorted(gone) == sorted(made)


def not_seen(layout: str, people: np.ndarray, folder: Path) -> Path:
    if layout == "npz":
        np.savez(folder / "k.npz", keypoints=people.astype(np.float64), skeleton="COCO17")
        return folder / "k.npz"
    rows = [[None if v is None else float(v) for v in person.reshape(-1)] for person in people]
    if layout == "csv":
        header = ",".join(f"{j}_{part}" for j in COCO17.joints for part in ("x", "y", "score"))
        text = [",".join("" if v is None else str(v) for v in row) for row in rows]
        return written(folder, "\n".join([header, *text]), "k.csv")
    if layout == "openpose":
        return written(folder, {"people": [{"pose_keypoints_2d": row} for row in rows]})
    results = [{"image_id": 7, "category_id": 1, "keypoints": row} for row in rows]
    if layout == "named coco":  # spelt otherwise, so that middle joints are made of what is there
        names = [joint.replace("left_", "L").replace("right_", "R") for joint in COCO17.joints]
        categories = [{"id": 1, "name": "person", "keypoints": names}]
        return written(folder, {"images": [{"id": 7}], "categories": categories, "annotations": results})
    if layout == "mmpose":
        entries = [
            {
                "keypoints": [row[n : n + 2] for n in range(0, 51, 3)],
                "keypoint_scores": row[2::3],
            }
            for row in rows
        ]
        return written(folder, entries)
    return written(folder, results)


def all_at_zero(read: Keypoints, people: np.ndarray) -> None:
    assert (read.visibility > 0).all()
    assert read.joints_2d == pytest.approx(people[..., :2], abs=1e-3)
    assert (read.confidence == 1).all()


@pytest.mark.parametrize("layout", ["results", "annotations", "mmpose", "csv", "openpose"])
def test_confidences_that_are_all_zero_tell_nothing(layout: str, tmp_path: Path) -> None:
    people = people_of(17)
    people[..., 2] = 0
    made = {"results": "coco", "annotations": "", "mmpose": "mmpose", "csv": "csv", "openpose": "openpose"}
    path = (
        written(tmp_path, coco(None, people, None))
        if layout == "annotations"
        else not_seen(made[layout], people.astype(object), tmp_path)
    )
    read = read_keypoints(path)
    all_at_zero(read, people)
    assert any("every confidence in it is 0" in note for note in read.notes)


def test_lines_tell_confidence_each_for_itself() -> None:
    people = points(COCO17)
    lines = [
        json.dumps({"skeleton": "COCO17", "joints_2d": p[:, :2].tolist(), "confidence": scores})
        for p, scores in zip(people, ([0.0] * 17, [0.0] + [0.5] * 16), strict=True)
    ]
    (together,) = KeypointStream("s").read(list(enumerate(lines, 1)))
    assert together.visibility.tolist() == [[2] * 17, [0] + [2] * 16]
    apart = [KeypointStream("s").read([(1, line)])[0] for line in lines]
    np.testing.assert_array_equal(np.concatenate([a.confidence for a in apart]), together.confidence)


def in_parts(folder: Path, size: str = "") -> tuple[Path, np.ndarray]:
    people = points(COCO17)[..., :2]
    parts = (people + 0.5) / samples.SIZE
    header = ",".join(f"{j}_{axis}" for j in COCO17.joints for axis in "xy")
    rows = [",".join(map(str, samples.flat(person))) for person in parts]
    if size:
        header, rows = f"{header},image_width,image_height", [f"{row},{size}" for row in rows]
    return written(folder, "\n".join([header, *rows]), "k.csv"), people


def test_parts_of_the_image_become_pixels(tmp_path: Path) -> None:
    path, people = in_parts(tmp_path)
    with pytest.raises(
        InputError, match="lie within 0 and 1, so they are parts of the image: give its size by"
    ):
        read_keypoints(path)
    read = read_keypoints(path, image_size=samples.SIZE)
    assert read.joints_2d == pytest.approx(people, abs=1e-3)
    path, _ = in_parts(tmp_path, "{},{}".format(*samples.SIZE))
    of_file = read_keypoints(path)
    assert of_file.joints_2d == pytest.approx(people, abs=1e-3)
    assert "are taken to be parts of the image" in " ".join(of_file.notes)
    assert of_file.image_size.tolist() == [list(samples.SIZE)] * 2


def test_parts_of_lines_are_told_for_each_person() -> None:
    people = points(COCO17)
    parts = (people[0, :, :2] + 0.5) / samples.SIZE
    lines = [json.dumps({"skeleton": "COCO17", "joints_2d": j.tolist()}) for j in (parts, people[1, :, :2])]
    (read,) = KeypointStream("s", image_size=samples.SIZE).read(list(enumerate(lines, 1)))
    assert read.joints_2d == pytest.approx(people[..., :2], abs=1e-3)
    stream = KeypointStream("s")
    assert len(stream.read(list(enumerate(lines, 1)))) == 1
    assert "s line 1: its 2D joints lie within 0 and 1" in stream.failed[0]


def test_joints_around_zero_are_neither_pixels_nor_parts(tmp_path: Path) -> None:
    people = people_of(17)
    people[..., :2] = np.random.default_rng(0).uniform(-0.9, 0.9, (2, 17, 2))
    with pytest.raises(InputError, match="lie within -1 and 1, so they are neither pixels nor parts"):
        read_keypoints(without_names("coco", people, tmp_path), image_size=(640, 480))


@pytest.mark.parametrize(
    ("place", "size", "note"),
    [
        (
            (900.0, 20.0),
            (640, 480),
            "1 of 34 joints lie beyond the image of 640 x 480 pixels, up to 260 pixels",
        ),
        (
            (20.0, -30.5),
            (640, 480),
            "1 of 34 joints lie beyond the image of 640 x 480 pixels, up to 30 pixels",
        ),
        ((20.0, -30.5), None, "1 of 34 joints lie beyond the image, up to 30 pixels"),
        ((900.0, 20.0), None, None),
        ((639.0, 479.0), (640, 480), None),
    ],
)
def test_joints_beyond_the_image_are_told(place: Any, size: Any, note: str | None, tmp_path: Path) -> None:
    people = people_of(17)
    people[0, 0, :2] = place
    read = read_keypoints(without_names("coco", people, tmp_path), image_size=size)
    assert [told for told in read.notes if "beyond" in told] == ([note] if note else [])
    assert read.joints_2d[0, 0].tolist() == pytest.approx(list(place))


def test_a_size_that_the_file_contradicts_is_told(tmp_path: Path) -> None:
    path = SAMPLES["mediapipe"][2](tmp_path)
    notes = read_keypoints(path, image_size=(100, 50)).notes
    assert "the file tells the size of its images, so 100 x 50 is not used" in notes
    assert not [note for note in read_keypoints(path, image_size=(640, 480)).notes if "size" in note]


def test_annotations_of_other_categories_are_left_out(tmp_path: Path) -> None:
    values = coco(list(COCO17.joints), people_of(17))
    values["categories"].append({"id": 2, "name": "dog", "keypoints": ["tail"]})
    values["annotations"][1]["category_id"] = 2
    read = read_keypoints(written(tmp_path, values))
    assert len(read) == 1
    assert "1 annotations of other categories are left out" in read.notes


def test_a_stream_tells_each_thing_once() -> None:
    line = json.dumps({"joints_2d": points(COCO17)[0, :, :2].tolist(), "skeleton": "COCO17", "mood": 1})
    stream = KeypointStream("s")
    stream.read([(1, line)])
    assert stream.notes() == ["keys of lines that are not read: mood"]
    stream.read([(2, line)])
    assert stream.notes() == []
