from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evolift.posedata.errors import InputError
from evolift.posedata.joint_mapping import (
    HIDDEN,
    MAPPINGS,
    UNLABELLED,
    VISIBLE,
    JointMapping,
    mapping_between,
)
from evolift.posedata.skeleton import (
    BODY25,
    COCO17,
    H36M16,
    H36M17,
    LSP14,
    MEDIAPIPE33,
    MPII16,
    SMPL22,
    Skeleton,
)


def by_name(mapping: JointMapping) -> str:
    return f"{mapping.source.name}-{mapping.target.name}"


@pytest.mark.parametrize("mapping", MAPPINGS, ids=by_name)
def test_laws_of_every_mapping(mapping: JointMapping) -> None:
    rng = np.random.default_rng(0)
    joints = rng.normal(size=(3, len(mapping.source), 2))
    converted, visibility = mapping.convert(joints)
    assert converted.shape == (3, len(mapping.target), 2)
    declared = [mapping.target.index(name) for name in mapping.weights]
    assert (visibility[:, declared] == VISIBLE).all()
    absent = sorted(set(range(len(mapping.target))) - set(declared))
    assert (visibility[:, absent] == UNLABELLED).all()
    assert (converted[:, absent] == 0).all()
    # Weights sum to 1: a shift and a scaling pass through.
    moved, _ = mapping.convert(2 * joints + 5)
    np.testing.assert_allclose(moved[:, declared], 2 * converted[:, declared] + 5)
    # Left stays left: the mapping of the mirror image is the mirror image of the mapping.
    mirrored, _ = mapping.convert(joints[:, list(mapping.source.mirror)])
    np.testing.assert_allclose(mirrored, converted[:, list(mapping.target.mirror)], atol=1e-12)
    assert mapping_between(mapping.source, mapping.target) is mapping


@pytest.mark.parametrize("mapping", MAPPINGS, ids=by_name)
def test_limbs_are_taken_over_as_they_are(mapping: JointMapping) -> None:
    numbers = np.arange(len(mapping.source), dtype=np.float32)[:, None].repeat(2, 1)
    converted, _ = mapping.convert(numbers)
    assert converted.dtype == np.float32
    for side in ("left", "right"):
        for joint in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist"):
            name = f"{side}_{joint}"
            assert converted[mapping.target.index(name), 0] == mapping.source.index(name)


def test_middle_joints_are_where_anatomy_has_them() -> None:
    coco = np.zeros((17, 2))
    at = {"left_hip": (10, 100), "right_hip": (-10, 100), "left_shoulder": (20, 50), "right_shoulder": (-20, 50),
          "nose": (0, 30), "left_eye": (3, 25), "right_eye": (-3, 25), "left_ear": (6, 27), "right_ear": (-6, 27)}  # fmt: skip
    for name, place in at.items():
        coco[COCO17.index(name)] = place
    joints, _ = mapping_between(COCO17, H36M17).convert(coco)
    expected = {"pelvis": (0, 100), "spine": (0, 75), "thorax": (0, 50), "nose": (0, 30), "head": (0, 26)}
    for name, place in expected.items():
        np.testing.assert_allclose(joints[H36M17.index(name)], place)


@pytest.mark.parametrize("source", [COCO17, BODY25, MEDIAPIPE33], ids=lambda skeleton: skeleton.name)
def test_detector_formats_reach_every_joint_of_h36m17(source: object) -> None:
    assert set(mapping_between(source, H36M17).weights) == set(H36M17.joints)  # type: ignore[arg-type]  # a skeleton


def test_visibility_is_that_of_the_least_visible_source() -> None:
    visibility = np.full(14, VISIBLE, np.uint8)
    visibility[LSP14.index("left_hip")] = HIDDEN
    visibility[LSP14.index("neck")] = UNLABELLED
    joints, converted = mapping_between(LSP14, H36M17).convert(np.ones((14, 2)), visibility)
    seen = dict(zip(H36M17.joints, converted.tolist(), strict=True))
    assert seen["left_hip"] == seen["pelvis"] == HIDDEN
    assert seen["spine"] == seen["thorax"] == seen["nose"] == UNLABELLED
    assert seen["right_hip"] == seen["head"] == VISIBLE
    assert joints[H36M17.index("spine")].tolist() == [0, 0]


def test_there_and_back_keeps_the_shared_joints() -> None:
    joints = np.random.default_rng(0).normal(size=(5, 17, 3))
    there, _ = mapping_between(H36M17, MPII16).convert(joints)
    back, _ = mapping_between(MPII16, H36M17).convert(there)
    # MPII's upper neck is no joint of H36M17 nor its nose one of MPII.
    shared = [i for i, name in enumerate(H36M17.joints) if name not in ("spine", "nose")]
    np.testing.assert_allclose(back[:, shared], joints[:, shared])
    same, _ = mapping_between(H36M17, H36M17).convert(joints)
    np.testing.assert_array_equal(same, joints)


def test_h36m16_drops_only_the_nose() -> None:
    joints = np.random.default_rng(0).normal(size=(17, 3))
    reduced, visibility = mapping_between(H36M17, H36M16).convert(joints)
    np.testing.assert_array_equal(reduced, np.delete(joints, H36M17.index("nose"), 0))
    assert (visibility == VISIBLE).all()


def test_an_unlabelled_joint_that_is_not_a_number_does_not_spread() -> None:
    joints = np.ones((14, 2))
    joints[LSP14.index("left_knee")] = np.nan
    visibility = np.full(14, VISIBLE, np.uint8)
    visibility[LSP14.index("left_knee")] = UNLABELLED
    converted, _ = mapping_between(LSP14, H36M17).convert(joints, visibility)
    assert np.isfinite(converted).all()
    assert converted[H36M17.index("left_ankle")].tolist() == [1, 1]


@pytest.mark.parametrize("source", [MPII16, LSP14, SMPL22], ids=lambda skeleton: skeleton.name)
def test_a_neck_or_a_skull_is_no_nose(source: Skeleton) -> None:
    """Sources with a joint inside the neck say nothing of Human3.6M's joint in front of it, nor the other way round."""
    assert mapping_between(source, H36M17).lacking() == ("nose",)
    assert mapping_between(source, H36M16).lacking() == ()
    for mapping in MAPPINGS:
        if mapping.source == H36M17 and "nose" not in mapping.target.joints:
            assert all("nose" not in row for row in mapping.weights.values())
    assert mapping_between(H36M17, MPII16).lacking() == ("upper_neck",)


@pytest.mark.parametrize("mapping", MAPPINGS, ids=by_name)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_lacking_joints_are_those_that_come_back_unlabelled(mapping: JointMapping, data) -> None:
    unlabelled = data.draw(st.lists(st.sampled_from(mapping.source.joints), unique=True, max_size=4))
    visibility = np.array(
        [UNLABELLED if j in unlabelled else VISIBLE for j in mapping.source.joints], np.uint8
    )
    _, converted = mapping.convert(np.ones((len(visibility), 2)), visibility)
    expected = [j for j, seen in zip(mapping.target.joints, converted, strict=True) if seen == UNLABELLED]
    assert list(mapping.lacking(unlabelled)) == expected


def test_a_weight_of_nothing_is_lacking() -> None:
    assert JointMapping(H36M16, H36M16, {"head": {"head": 1.0}}).lacking() == tuple(
        joint for joint in H36M16.joints if joint != "head"
    )


def test_bad_declarations() -> None:
    with pytest.raises(InputError, match=r"weights of 'pelvis' from LSP14 must sum to 1, not 0\.9"):
        JointMapping(LSP14, H36M17, {"pelvis": {"neck": 0.9}})
    with pytest.raises(InputError, match="skeleton LSP14 has no joint 'nose'"):
        JointMapping(LSP14, H36M17, {"nose": {"nose": 1.0}})
    with pytest.raises(InputError, match="skeleton H36M17 has no joint 'neck'"):
        JointMapping(LSP14, H36M17, {"neck": {"neck": 1.0}})
    with pytest.raises(InputError, match="no mapping from LSP14 to COCO17 is declared"):
        mapping_between(LSP14, COCO17)
