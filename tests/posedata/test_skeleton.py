from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolift.posedata.errors import InputError
from evolift.posedata.skeleton import (
    BODY25,
    COCO17,
    H36M16,
    H36M17,
    LSP14,
    MPII16,
    ROOT,
    SKELETONS,
    Skeleton,
    skeleton_by_name,
)

ALL = list(SKELETONS.values())

# Published orders, as the data sets' own pages list them (0-based).
LANDMARKS = [
    (H36M17, {0: "pelvis", 1: "right_hip", 3: "right_ankle", 6: "left_ankle", 7: "spine", 8: "thorax", 9: "nose", 10: "head", 11: "left_shoulder", 13: "left_wrist", 14: "right_shoulder", 16: "right_wrist"}),
    (H36M16, {0: "pelvis", 8: "thorax", 9: "head", 10: "left_shoulder", 15: "right_wrist"}),
    (COCO17, {0: "nose", 1: "left_eye", 4: "right_ear", 5: "left_shoulder", 10: "right_wrist", 11: "left_hip", 16: "right_ankle"}),
    (MPII16, {0: "right_ankle", 3: "left_hip", 6: "pelvis", 7: "thorax", 8: "upper_neck", 9: "head_top", 10: "right_wrist", 15: "left_wrist"}),
    (LSP14, {0: "right_ankle", 2: "right_hip", 5: "left_ankle", 6: "right_wrist", 11: "left_wrist", 12: "neck", 13: "head_top"}),
    (SKELETONS["CROWDPOSE14"], {0: "left_shoulder", 5: "right_wrist", 6: "left_hip", 11: "right_ankle", 12: "head_top", 13: "neck"}),
    (SKELETONS["AIC14"], {0: "right_shoulder", 2: "right_wrist", 3: "left_shoulder", 6: "right_hip", 11: "left_ankle", 12: "head_top"}),
    (SKELETONS["OPENPOSE18"], {0: "nose", 1: "neck", 4: "right_wrist", 7: "left_wrist", 8: "right_hip", 13: "left_ankle", 14: "right_eye", 17: "left_ear"}),
    (BODY25, {0: "nose", 1: "neck", 4: "right_wrist", 8: "pelvis", 11: "right_ankle", 14: "left_ankle", 15: "right_eye", 19: "left_big_toe", 24: "right_heel"}),
    (SKELETONS["MEDIAPIPE33"], {0: "nose", 7: "left_ear", 11: "left_shoulder", 16: "right_wrist", 23: "left_hip", 28: "right_ankle", 31: "left_foot_index"}),
]  # fmt: skip


@pytest.mark.parametrize(("skeleton", "places"), LANDMARKS, ids=lambda value: getattr(value, "name", ""))
def test_joint_orders_are_those_of_the_data_sets(skeleton: Skeleton, places: dict[int, str]) -> None:
    assert {place: skeleton.joints[place] for place in places} == places
    assert skeleton.index(skeleton.joints[-1]) == len(skeleton) - 1


@pytest.mark.parametrize("skeleton", ALL, ids=lambda skeleton: skeleton.name)
def test_laws_of_every_skeleton(skeleton: Skeleton) -> None:
    mirror = np.array(skeleton.mirror)
    assert np.array_equal(mirror[mirror], np.arange(len(skeleton)))
    for joint, twin in zip(skeleton.joints, (skeleton.joints[i] for i in mirror), strict=True):
        assert joint.replace("left", "?").replace("right", "?") == twin.replace("left", "?").replace(
            "right", "?"
        )
        assert (joint == twin) == (not joint.startswith(("left_", "right_")))
    assert len(skeleton.bones) == len(skeleton) - 1
    assert skeleton.parent_indices[skeleton.root] == ROOT
    seen: set[int] = set()
    for joint in skeleton.topological_order:
        assert joint == skeleton.root or skeleton.parent_indices[joint] in seen
        seen.add(joint)
    assert seen == set(range(len(skeleton)))
    assert skeleton_by_name(skeleton.name) is skeleton
    assert Skeleton.from_dict(json.loads(json.dumps(skeleton.to_dict()))) == skeleton
    assert pickle.loads(pickle.dumps(skeleton)) == skeleton


@pytest.mark.parametrize(
    "skeleton", [H36M17, H36M16, SKELETONS["COCO18_PELVIS"], MPII16, BODY25], ids=lambda s: s.name
)
def test_the_tree_of_a_kinematic_skeleton_is_its_own_mirror_image(skeleton: Skeleton) -> None:
    bones = set(skeleton.bones)
    assert {(skeleton.mirror[parent], skeleton.mirror[child]) for parent, child in bones} == bones


def test_h36m16_has_the_head_on_the_thorax() -> None:
    assert H36M16.parents[H36M16.index("head")] == "thorax"
    assert "neck" not in H36M16.joints


@given(st.lists(st.integers(0, 5), min_size=2, max_size=6))
def test_any_declared_tree_is_accepted_or_refused_whole(choice: list[int]) -> None:
    joints = tuple(f"j{i}" for i in range(len(choice)))
    parents = (None, *(f"j{value}" for value in choice[1:]))
    try:
        skeleton = Skeleton("x", joints, parents)
    except InputError:
        return
    assert sorted(skeleton.topological_order) == list(range(len(joints)))


@pytest.mark.parametrize(
    ("joints", "parents", "message"),
    [
        (("a", "a"), (None, "a"), "skeleton x: a joint name is repeated"),
        (("a", "b"), (None,), "skeleton x: 2 joints but 1 parents"),
        (("a", "b"), (None, "c"), "skeleton x: parent 'c' of 'b' is not a joint"),
        (("a", "b"), (None, None), "skeleton x: needs exactly one root, has 2"),
        (("a", "b"), ("b", "a"), "skeleton x: needs exactly one root, has 0"),
        (("a", "b", "c"), (None, "c", "b"), "skeleton x: its parents form a loop"),
        (("a", "left_b"), (None, "a"), "skeleton x: 'left_b' has no 'right_b'"),
    ],
)
def test_bad_declarations(joints: tuple[str, ...], parents: tuple[str | None, ...], message: str) -> None:
    with pytest.raises(InputError) as caught:
        Skeleton("x", joints, parents)
    assert str(caught.value) == message


def test_unknown_names() -> None:
    with pytest.raises(InputError, match="skeleton LSP14 has no joint 'tail': it has right_ankle, "):
        LSP14.index("tail")
    with pytest.raises(InputError, match="there is no skeleton 'H36M32': choose one of H36M17, "):
        skeleton_by_name("H36M32")
    with pytest.raises(InputError, match="a skeleton's description lacks 'parents'"):
        Skeleton.from_dict({"name": "x", "joints": ["a"]})
    with pytest.raises(InputError, match="must be lists"):
        Skeleton.from_dict({"name": "x", "joints": "ab", "parents": [None], "is_kinematic": True})
