"""The anatomical limits on the heads of Human3.6M, and on poses that lack a joint.

The bones' lengths and the percentiles of the heads' pitch were measured on its five training subjects, in the torso frame.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.kinematics.local_bones import to_joints, to_local
from evolift.evolution.limits.anatomical_limits import AnatomicalLimits
from evolift.evolution.limits.fitted_limits import fit_limits
from evolift.evolution.limits.joint_limits import JointLimits
from evolift.evolution.settings import FitSettings
from evolift.posedata.skeleton import H36M17
from tests.evolution.kinematics.test_local_bones import random_bodies

TREE = KinematicTree(H36M17)
LIMITS = AnatomicalLimits(TREE)
H36M_LENGTHS = {
    "hip": 133.0, "knee": 443.0, "ankle": 454.0, "spine": 234.0, "thorax": 257.0, "nose": 114.5, "head": 115.0,
    "shoulder": 151.0, "elbow": 279.0, "wrist": 252.0,
}  # fmt: skip
"""Mean lengths in mm of the bone that ends at each joint."""
NOSE_PITCH, HEAD_PITCH = 44.0, -32.0
"""Medians, degrees forward of up."""
THORAX, NOSE, HEAD = (H36M17.index(name) for name in ("thorax", "nose", "head"))


def h36m_lengths() -> torch.Tensor:
    return torch.tensor(
        [H36M_LENGTHS[name.removeprefix("left_").removeprefix("right_")] for name in TREE.names]
    )


def h36m_person(
    standing_pose: np.ndarray,
    nose_pitch: float = NOSE_PITCH,
    head_pitch: float = HEAD_PITCH,
    yaw: float = 0.0,
) -> torch.Tensor:
    """The standing person with Human3.6M's bone lengths, its face turned to the left by `yaw`."""
    local = to_local(TREE, torch.from_numpy(standing_pose)[None])
    pose = to_joints(TREE, local.with_values(lengths=h36m_lengths()[None]))[0].numpy()
    # It faces +x, and its chest is upright.
    turned = Rotation.from_euler("z", yaw, degrees=True)
    for joint, parent, pitch in ((NOSE, THORAX, nose_pitch), (HEAD, NOSE, head_pitch)):
        angle = np.radians(pitch)
        length = H36M_LENGTHS[H36M17.joints[joint]]
        pose[joint] = pose[parent] + length * turned.apply([np.sin(angle), 0, np.cos(angle)])
    return torch.from_numpy(pose)[None]


def broken(joints: torch.Tensor, limits: JointLimits = LIMITS) -> set[str]:
    verdict = limits.check(joints)[0]
    return {name for name, valid in zip(limits.bones, verdict.tolist(), strict=True) if not valid}


@pytest.mark.parametrize("pitch", [-5, 15, NOSE_PITCH, 78, 97])
def test_the_percentiles_of_the_nose_bone_pass(standing_pose: np.ndarray, pitch: float) -> None:
    assert broken(h36m_person(standing_pose, nose_pitch=pitch)) == set()


@pytest.mark.parametrize("pitch", [-96, -73, HEAD_PITCH, 0, 16])
def test_the_percentiles_of_the_head_bone_pass(standing_pose: np.ndarray, pitch: float) -> None:
    assert broken(h36m_person(standing_pose, head_pitch=pitch)) == set()


@pytest.mark.parametrize("nose_pitch", [-75, 160])
def test_a_nose_bone_far_beyond_them_does_not(standing_pose: np.ndarray, nose_pitch: float) -> None:
    assert {"nose"} <= broken(h36m_person(standing_pose, nose_pitch=nose_pitch)) <= {"nose", "head"}


@pytest.mark.parametrize("head_pitch", [-150, 40])
def test_a_head_bone_far_beyond_them_does_not(standing_pose: np.ndarray, head_pitch: float) -> None:
    assert {"head"} <= broken(h36m_person(standing_pose, head_pitch=head_pitch)) <= {"nose", "head"}


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize(("degrees", "valid"), [(40, True), (75, True), (120, False), (180, False)])
def test_the_face_turns_to_the_side_and_no_further(
    standing_pose: np.ndarray, side: int, degrees: float, valid: bool
) -> None:
    found = broken(h36m_person(standing_pose, yaw=side * degrees))
    assert found == (set() if valid else {"nose"})


@pytest.mark.parametrize("share", [0.3, 0.45, 0.6])
@pytest.mark.parametrize("forward", [0.0, 5.0, 10.0])
def test_a_neck_in_place_of_the_nose_is_refused(
    standing_pose: np.ndarray, share: float, forward: float
) -> None:
    joints = h36m_person(standing_pose)
    joints[:, NOSE] = joints[:, THORAX] + share * (joints[:, HEAD] - joints[:, THORAX])
    joints[:, NOSE, 0] += forward
    found = broken(joints)
    assert found
    assert found <= {"nose", "head"}


def fitted() -> JointLimits:
    return fit_limits([random_bodies(H36M17, 60, 1, spread=0.3)], TREE, FitSettings())


@pytest.mark.parametrize("make", [lambda: LIMITS, fitted], ids=["anatomical", "fitted"])
@pytest.mark.parametrize("joint", ["nose", "left_wrist", "head"])
def test_bones_of_unlabelled_joints_pass_and_the_others_are_judged(
    standing_pose: np.ndarray, make: Callable[[], JointLimits], joint: str
) -> None:
    limits = make()
    joints = torch.cat([h36m_person(standing_pose), random_bodies(H36M17, 50, 3)])
    unlabelled = joints.clone()
    unlabelled[:, H36M17.index(joint)] = torch.nan
    before, after = limits.check(joints), limits.check(unlabelled)
    unknown = [
        joint in (name, TREE.names[parent]) for name, parent in zip(TREE.names, TREE.parents, strict=True)
    ]
    assert after[:, torch.tensor(unknown)].all()
    # Where the face looks is unknown without the top of the head: the nose bone may then only gain.
    nose = TREE.bone("nose")
    assert (after[:, nose] >= before[:, nose]).all()
    known = [bone for bone in range(16) if not unknown[bone] and (joint, bone) != ("head", nose)]
    assert torch.equal(after[:, known], before[:, known])
    assert (~after).any()
    if limits is LIMITS:
        assert limits.accepts(unlabelled)[0]
