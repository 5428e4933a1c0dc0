"""Names of keypoints: those that data sets publish, one's own, and what joints are made of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evolift.posedata.errors import InputError
from evolift.posedata.joint_mapping import mapping_between, weights_of_points
from evolift.posedata.keypoint_formats.joint_names import named_points
from evolift.posedata.keypoint_formats.keypoint_files import read_keypoints
from evolift.posedata.keypoint_formats.name_mapping import (
    NamedColumns,
    NameMapping,
    mapping_of_names,
    mapping_onto,
    read_name_mapping,
)
from evolift.posedata.skeleton import (
    BODY25,
    COCO17,
    COCO18_PELVIS,
    H36M16,
    H36M17,
    HALPE26,
    LSP14,
    MEDIAPIPE33,
    MPII16,
    SMPL22,
    Skeleton,
)
from tests.posedata.keypoint_samples import SAMPLES, points

NECK_OR_NOSE = H36M17.joints[9]
_LIMBS = ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")
LIMBS = {f"{side}_{joint}": f"{side}_{joint}" for side in ("left", "right") for joint in _LIMBS}
HIPS, SHOULDERS = ("left_hip", "right_hip"), ("left_shoulder", "right_shoulder")

CROWDPOSE = [
    "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip",
    "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle", "head", "neck",
]  # fmt: skip
AIC = [
    "Right Shoulder", "Right Elbow", "Right Wrist", "Left Shoulder", "Left Elbow", "Left Wrist", "Right Hip",
    "Right Knee", "Right Ankle", "Left Hip", "Left Knee", "Left Ankle", "Head top", "Neck",
]  # fmt: skip
POSETRACK = [
    "nose", "head_bottom", "head_top", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
]  # fmt: skip
HALPE = [
    "Nose", "LEye", "REye", "LEar", "REar", "LShoulder", "RShoulder", "LElbow", "RElbow", "LWrist", "RWrist", "LHip",
    "RHip", "LKnee", "Rknee", "LAnkle", "RAnkle", "Head", "Neck", "Hip", "LBigToe", "RBigToe", "LSmallToe",
    "RSmallToe", "LHeel", "RHeel",
]  # fmt: skip
HALPE_136 = [
    *HALPE,
    *(f"face-{number}" for number in range(68)),
    *(
        f"{side}_{part}"
        for side in ("left", "right")
        for part in [
            "hand_root",
            *(f"{finger}{n}" for finger in ("thumb", "forefinger", "middle_finger", "ring_finger", "pinky_finger")
              for n in range(1, 5)),
        ]
    ),
]  # fmt: skip
HUMAN36M_MMPOSE = [
    "root", "right_hip", "right_knee", "right_foot", "left_hip", "left_knee", "left_foot", "spine", "thorax",
    "neck_base", "head", "left_shoulder", "left_elbow", "left_wrist", "right_shoulder", "right_elbow", "right_wrist",
]  # fmt: skip
HUMAN36M = [
    "Hip", "RHip", "RKnee", "RFoot", "LHip", "LKnee", "LFoot", "Spine", "Thorax", "Neck/Nose", "Head", "LShoulder",
    "LElbow", "LWrist", "RShoulder", "RElbow", "RWrist",
]  # fmt: skip
HUMAN36M_MULTIVIEW = [
    "root", "rhip", "rkne", "rank", "lhip", "lkne", "lank", "belly", "neck", "nose", "head", "lsho", "lelb", "lwri",
    "rsho", "relb", "rwri",
]  # fmt: skip


def weights(**made: str | tuple[str, ...]) -> dict[str, dict[str, float]]:
    """Limbs by their names, and joints that are made of others in equal parts."""
    rows = {joint: {name: 1.0} for joint, name in LIMBS.items()}
    for joint, names in made.items():
        parts = (names,) if isinstance(names, str) else names
        rows[NECK_OR_NOSE if joint == "ninth" else joint] = {name: 1 / len(parts) for name in parts}
    return rows


# Names as the data sets publish them -> what H36M17's joints are made of, by hand.
PUBLISHED: dict[str, tuple[list[str], dict[str, dict[str, float]]]] = {
    "coco": (
        list(COCO17.joints),
        weights(pelvis=HIPS, thorax=SHOULDERS, spine=HIPS + SHOULDERS, ninth="nose",
                head=("left_eye", "right_eye", "left_ear", "right_ear")),
    ),
    "crowdpose": (
        CROWDPOSE,
        weights(pelvis=HIPS, thorax="neck", head="head") | {"spine": {"left_hip": 0.25, "right_hip": 0.25, "neck": 0.5}},
    ),
    "posetrack": (
        POSETRACK,
        weights(pelvis=HIPS, thorax=SHOULDERS, spine=HIPS + SHOULDERS, ninth="nose", head="head_top"),
    ),
    "human36m of mmpose": (
        HUMAN36M_MMPOSE,
        weights(pelvis="root", spine="spine", thorax="thorax", ninth="neck_base", head="head",
                left_ankle="left_foot", right_ankle="right_foot"),
    ),
    "own limbs": (list(LIMBS), weights(pelvis=HIPS, thorax=SHOULDERS, spine=HIPS + SHOULDERS)),
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_names_become_joints_of_human36m(name: str) -> None:
    names, expected = PUBLISHED[name]
    assert mapping_onto(names, "a.json", H36M17).weights == expected


@pytest.mark.parametrize(
    ("names", "ours"),
    [
        (AIC, LSP14),
        (HALPE, HALPE26),
        (HALPE_136, HALPE26),
        (HUMAN36M, None),
        (HUMAN36M_MULTIVIEW, None),
        (["root (pelvis)", *HUMAN36M_MMPOSE[1:]], None),
    ],
)
def test_other_spellings_mean_the_same_as_the_skeleton_that_they_are(
    names: list[str], ours: Skeleton | None
) -> None:
    """Coordinates by the file's names are those that the declared mapping makes, or Human3.6M's own in its order."""
    rng = np.random.default_rng(0)
    joints = rng.normal(size=(4, len(names), 2))
    visibility = rng.integers(0, 3, (4, len(names))).astype(np.uint8)
    got, seen = NamedColumns(tuple(names), mapping_onto(names, "a.json", H36M17)).convert(joints, visibility)
    if ours is None:
        expected = np.where(visibility[..., None] > 0, joints, 0)
        np.testing.assert_array_equal(got, expected)
        np.testing.assert_array_equal(seen, visibility)
        return
    # AIC's order is its own; Halpe's is HALPE26's.
    order = (
        [[n.lower().replace(" ", "_") for n in names].index(joint) for joint in ours.joints]
        if names is AIC
        else range(26)
    )
    expected, expected_seen = mapping_between(ours, H36M17).convert(
        joints[:, list(order)], visibility[:, list(order)]
    )
    np.testing.assert_allclose(got, expected)
    np.testing.assert_array_equal(seen, expected_seen)


@pytest.mark.parametrize("target", [H36M17, H36M16], ids=lambda s: str(s.name))
@pytest.mark.parametrize(
    "source", [COCO17, MPII16, LSP14, HALPE26, BODY25, MEDIAPIPE33, SMPL22], ids=lambda s: str(s.name)
)
def test_names_of_a_skeleton_are_converted_as_its_declared_mapping_does(
    source: Skeleton, target: Skeleton
) -> None:
    assert mapping_onto(source.joints, "a.json", target).weights == mapping_between(source, target).weights


@pytest.mark.parametrize("target", [COCO17, COCO18_PELVIS])
def test_eyes_are_never_made_of_other_parts_of_the_head(target: Skeleton) -> None:
    made = mapping_onto(POSETRACK, "a.json", target).weights
    assert {"left_eye", "right_eye"}.isdisjoint(made)
    assert made["left_ear"] == {"left_ear": 1.0}
    assert made["nose"] == {"nose": 1.0}


def test_joints_are_made_of_what_is_there() -> None:
    shoulders = {f"{side}_shoulder" for side in ("left", "right")}
    assert weights_of_points(set(), H36M17) == {}
    assert weights_of_points({"left_shoulder"}, H36M17) == {"left_shoulder": {"left_shoulder": 1.0}}
    assert weights_of_points(shoulders, H36M17)["thorax"] == dict.fromkeys(sorted(shoulders), 0.5)
    assert weights_of_points(shoulders | {"neck"}, H36M17)["thorax"] == {"neck": 1.0}
    assert weights_of_points(shoulders | {"neck", "thorax"}, H36M17)["thorax"] == {"thorax": 1.0}


@pytest.mark.parametrize(
    ("names", "points"),
    [
        (
            ["hip_l", "R-Hip", "left shoulder", "ElbowRight"],
            ["left_hip", "right_hip", "left_shoulder", "right_elbow"],
        ),
        (["neck"], ["neck"]),
        (["neck", "thorax"], ["upper_neck", "thorax"]),
        (["neck", "thorax", "spine"], ["nose", "thorax", "spine"]),
        (["neck", "thorax", "spine", "nose"], ["neck", "thorax", "spine", "nose"]),
        (["head", "top_head"], [None, "head_top"]),
        (["LFoot", "spine", "thorax"], ["left_ankle", "spine", "thorax"]),
        (["LFoot", "LAnkle"], [None, "left_ankle"]),
    ],
)
def test_what_names_mean_beside_others(names: list[str], points: list[str | None]) -> None:
    found = named_points(names)
    assert found.points == {point: name for name, point in zip(names, points, strict=True) if point}
    assert list(found.beyond) == [name for name, point in zip(names, points, strict=True) if point is None]
    assert found.unknown == ()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["left_hip", "blob", "left_foot"], "a.json: no skeleton has the joints blob, left_foot: say what they mean with `mapping` FILE, "),
        (["left_hip", "hip_l"], "a.json: 'left_hip' and 'hip_l' both mean left_hip: say what they mean"),
        (["LHeel", "face-3"], "a.json: none of the joints LHeel, face-3 makes one of H36M17: say"),
        (["0", "1"], "no skeleton has the joints 0, 1"),
    ],
)  # fmt: skip
def test_names_that_are_not_known_are_listed(names: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message.replace("[", r"\[")) as raised:
        mapping_onto(names, "a.json", H36M17)
    example = str(raised.value).partition("FILE, ")[2]
    read = json.loads(example)
    NameMapping.one_to_one(LSP14, read["joints"])
    assert read["skeleton"] == "LSP14"


def test_own_names_go_to_the_skeleton_of_their_mapping_and_on_to_another() -> None:
    names = [f"my {joint}" for joint in LSP14.joints]
    own = NameMapping.one_to_one(
        LSP14, {f"my {joint}": joint for joint in LSP14.joints if joint != "left_hip"}
    )
    rng = np.random.default_rng(1)
    values, flags = rng.normal(size=(5, 14, 2)), rng.integers(0, 3, (5, 14)).astype(np.uint8)
    got, seen = NamedColumns(tuple(names), own.onto(H36M17)).convert(values, flags)
    flags[:, LSP14.index("left_hip")] = 0
    expected, expected_seen = mapping_between(LSP14, H36M17).convert(values, flags)
    np.testing.assert_allclose(got, expected)
    np.testing.assert_array_equal(seen, expected_seen)


def test_values_of_a_table_are_weighted_and_have_the_lowest_score() -> None:
    names = ["LHip", "RHip", "Nose"]
    values = np.array([[[0.0, 2, 0.9], [4, 6, 0.5], [1, 1, 0.7]], [[0, 0, 1], [np.nan, 0, 1], [3, 3, 0.2]]])
    mapping = mapping_of_names(names, "a.csv")
    arranged = mapping.arranged(names, values)
    for joint, name in enumerate(mapping.skeleton.joints):
        row = mapping.weights.get(name, {})
        for person in range(2):
            expected = [np.nan] * 3
            if row:
                used = [values[person, names.index(part)] for part in row]
                expected = [
                    sum(w * u[axis] for w, u in zip(row.values(), used, strict=True)) for axis in (0, 1)
                ]
                expected.append(min(u[2] for u in used))
            np.testing.assert_allclose(arranged[person, joint], expected)
    assert arranged[0, 0].tolist() == [2, 4, 0.5]


def test_a_mapping_is_told_in_words() -> None:
    assert mapping_onto(COCO17.joints, "a", COCO17).summary() == "all by their own names"
    told = mapping_onto(["LHip", "RHip", "Head"], "a", H36M17).summary()
    assert told.startswith("pelvis from LHip and RHip; the other joints by their own names; unlabelled: ")
    assert (
        "spine from 0.25 left_hip and 0.25 right_hip and 0.5 neck"
        in mapping_onto(CROWDPOSE, "a", H36M17).summary()
    )


def _write(folder: Path, values: Any, name: str) -> Path:
    path = folder / name
    path.write_text(values if isinstance(values, str) else json.dumps(values))
    return path


@pytest.mark.parametrize("name", ["deeplabcut", "sleap", "csv"])
def test_own_names_need_a_mapping(name: str, tmp_path: Path) -> None:
    path = SAMPLES[name][2](tmp_path)
    path.write_text(path.read_text().replace("left_", "sinister_").replace("pelvis", "root"))
    with pytest.raises(
        InputError,
        match=r"no skeleton has the joints .*sinister_ankle.*: say what they mean with `mapping` FILE",
    ):
        read_keypoints(path)
    names = {joint.replace("left_", "sinister_"): joint for joint in H36M17.joints if joint != "pelvis"}
    mapping = read_name_mapping(_write(tmp_path, {"skeleton": "H36M17", "joints": names}, "map.json"))
    read = read_keypoints(path, mapping=mapping)
    assert read.skeleton == H36M17
    assert read.joints_2d[:, 1:] == pytest.approx(points(H36M17)[:, 1:, :2], abs=1e-3)
    assert (read.visibility[:, 0] == 0).all()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], r"m.json must be an object, not a list"),
        ({"skeleton": "X", "joints": {}}, r"there is no skeleton 'X'"),
        ({"skeleton": "H36M17"}, r"m.json: joints must be an object, not null"),
        ({"skeleton": "H36M17", "joints": {"a": 1}}, r"m.json: joints.a must be a text, not a number"),
        ({"skeleton": "H36M17", "joints": {"a": "neck"}}, r"m.json: skeleton H36M17 has no joint 'neck'"),
        (
            {"skeleton": "H36M17", "joints": {"a": "head", "b": "head"}},
            r"m.json: two names are mapped to 'head'",
        ),
    ],
)
def test_bad_mappings(values: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        read_name_mapping(_write(tmp_path, values, "m.json"))


@pytest.mark.parametrize("skeleton", [None, H36M17, COCO17])
def test_a_part_of_a_skeleton_is_read(skeleton: Skeleton | None, tmp_path: Path) -> None:
    path = _write(tmp_path, "left_hip_x,left_hip_y\n1,2\n", "part.csv")
    read = read_keypoints(path, skeleton=skeleton)
    assert read.skeleton == (skeleton or H36M17)
    assert read.joints_2d[0, read.skeleton.index("left_hip")].tolist() == [1, 2]
    assert (read.visibility > 0).sum() == 1


def test_names_of_no_skeleton_that_are_known_are_read_and_told(tmp_path: Path) -> None:
    path = _write(tmp_path, "LHip_x,LHip_y,R Hip_x,R Hip_y,LHeel_x,LHeel_y\n1,2,5,4,7,8\n", "known.csv")
    read = read_keypoints(path)
    assert read.joints_2d[0, H36M17.index("pelvis")].tolist() == [3, 3]
    assert "pelvis from LHip and R Hip" in read.notes[0]
    assert read.notes[1] == "left out, because no joint is made of them: LHeel"
