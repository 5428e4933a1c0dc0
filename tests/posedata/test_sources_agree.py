"""The same person in the same pose, told by every source's own joints, is the same person in H36M17.

How far a joint may lie from where it is by motion capture is stated below, in millimetres, as in docs/skeletons.md. Human3.6M
itself is the measure of joint 9: motion capture puts it where Human3.6M has it, detectors on the tip of the nose.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evolift.posedata.importers.bvh import import_bvh
from evolift.posedata.importers.cmu_asfamc import import_cmu
from evolift.posedata.importers.human36m import H36M17_OF_32
from evolift.posedata.joint_mapping import UNLABELLED, mapping_between
from evolift.posedata.nose import nose_of_head
from evolift.posedata.skeleton import H36M17, SMPL22, Skeleton
from evolift.posedata.store import PoseStore
from tests.posedata import acclaim_files, one_person
from tests.posedata.one_person import BODY, HEAD, SKELETONS, joints_of

LIMBS = [
    f"{side}_{joint}"
    for side in ("left", "right")
    for joint in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")
]
FAR: dict[str, dict[str, float]] = {
    "COCO17": {"thorax": 15, "spine": 40, "nose": 60, "head": 120},
    "MEDIAPIPE33": {"thorax": 15, "spine": 40, "nose": 60, "head": 120},
    "BODY25": {"thorax": 15, "spine": 40, "nose": 60, "head": 120},
    "OPENPOSE18": {"thorax": 15, "spine": 40, "nose": 60, "head": 120},
    "HALPE26": {"thorax": 15, "spine": 40, "nose": 60, "head": 1},
    "MPII16": {"thorax": 1, "spine": 40, "head": 1},
    "LSP14": {"thorax": 1, "spine": 40, "head": 1},
    "CROWDPOSE14": {"thorax": 1, "spine": 40, "head": 1},
    "AIC14": {"thorax": 1, "spine": 40, "head": 1},
    "SMPL22": {"thorax": 1, "spine": 1, "head": 60},
}
"""Source -> joint -> how far it may lie, mm; limbs and the pelvis are at their places, joints not named are unlabelled."""
H36M32 = [
    "hips",
    "right_hip",
    "right_knee",
    "right_ankle",
    "right_toe_base",
    "right_toe",
    "left_hip",
    "left_knee",
    "left_ankle",
    "left_toe_base",
    "left_toe",
    "spine_base",
    "spine",
    "thorax",
    "nose",
    "head",
    "left_collar",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
    "left_hand",
    "left_thumb",
    "left_finger",
    "left_end",
    "right_collar",
    "right_shoulder",
    "right_elbow",
    "right_wrist",
    "right_hand",
    "right_thumb",
    "right_finger",
    "right_end",
]


def at(joints: np.ndarray, name: str) -> np.ndarray:
    place: np.ndarray = joints[H36M17.index(name)]
    return place


def reference() -> np.ndarray:
    """The person in H36M17, y up, written down joint by joint; joint 9 as `evolift.posedata.nose` has it."""
    left, up = HEAD.apply([1, 0, 0]), HEAD.apply([0, 1, 0])
    nose = nose_of_head(BODY["thorax"], BODY["skull"], BODY["head_top"], left, up)
    places = BODY | {"nose": nose, "head": BODY["head_top"]}
    return np.array([places[joint] for joint in H36M17.joints])


def check_person(joints: np.ndarray, labelled: np.ndarray, far: dict[str, float]) -> None:
    """The right person, facing the right way, y up."""
    true = reference()
    for name in H36M17.joints:
        if name in LIMBS or name == "pelvis" or name in far:
            assert labelled[H36M17.index(name)], name
            assert np.linalg.norm(at(joints, name) - at(true, name)) <= far.get(name, 1.0), name
        else:
            assert not labelled[H36M17.index(name)], name
    assert at(joints, "left_wrist")[1] > at(joints, "head")[1] > at(joints, "right_wrist")[1]  # left is left
    forward = np.cross(
        at(joints, "left_shoulder") - at(joints, "right_shoulder"),
        at(joints, "thorax") - at(joints, "pelvis"),
    )
    assert forward[2] > 0
    if "nose" in far:
        face = at(joints, "nose") - (at(joints, "thorax") + at(joints, "head")) / 2
        assert face @ forward > 0  # the nose is in front
        assert 5 < np.degrees(np.arctan2(face[0], face[2])) < 60  # and the head turned to the left


@pytest.mark.parametrize("skeleton", SKELETONS, ids=lambda skeleton: skeleton.name)
def test_detectors_and_annotators_see_the_same_person(skeleton: Skeleton) -> None:
    joints, visibility = mapping_between(skeleton, H36M17).convert(joints_of(skeleton))
    check_person(joints, visibility != UNLABELLED, FAR[skeleton.name])


def test_motion_capture_in_asf_and_amc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acclaim_files, "BONES", one_person.acclaim_bones())
    folder = tmp_path / "subjects" / "01"
    folder.mkdir(parents=True)
    (folder / "01.asf").write_text(acclaim_files.asf_text())
    (folder / "01_01.amc").write_text(acclaim_files.amc_text(one_person.acclaim_values()))
    import_cmu(tmp_path, tmp_path / "cmu.h5")
    check_store(tmp_path / "cmu.h5")


def test_motion_capture_in_bvh(tmp_path: Path) -> None:
    (tmp_path / "a.bvh").write_text(one_person.bvh_text())
    import_bvh(tmp_path / "a.bvh", tmp_path / "bvh.h5", names="mixamo")
    check_store(tmp_path / "bvh.h5")


def check_store(path: Path) -> None:
    """The stored pose (z up, facing -y) is the reference, to the rounding of the files' numbers."""
    with PoseStore(path) as store:
        assert store.unlabelled == ()
        joints = store.read().joints_3d
    assert joints is not None
    y_up = joints[0][:, [0, 2, 1]] * [1, 1, -1]
    check_person(y_up, np.ones(17, bool), dict.fromkeys(("spine", "thorax", "nose", "head"), 0.2))


def test_human36m_s_32_joints_are_taken_by_their_names() -> None:
    """MPI-INF-3DHP's 28 and 17 are in the test of its importer."""
    meanings = {"hips": "pelvis"}
    assert tuple(meanings.get(H36M32[place], H36M32[place]) for place in H36M17_OF_32) == H36M17.joints


def test_smpl_has_the_legs_of_the_person_although_its_pelvis_is_higher() -> None:
    pelvis = joints_of(SMPL22)[0]
    assert np.linalg.norm(pelvis - BODY["pelvis"]) > 50
    joints, _ = mapping_between(SMPL22, H36M17).convert(joints_of(SMPL22))
    np.testing.assert_allclose(at(joints, "pelvis"), BODY["pelvis"], atol=1e-9)
