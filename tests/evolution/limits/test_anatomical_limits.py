"""Anatomical limits on poses whose verdict an anatomist would give, and on random limbs."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.kinematics.local_bones import to_joints, to_local
from evolift.evolution.limits.anatomical_limits import AnatomicalLimits
from evolift.evolution.limits.limit_sources import joint_limits
from evolift.posedata.errors import InputError
from evolift.posedata.skeleton import COCO18_PELVIS, H36M16, H36M17, MPII16

TREE = KinematicTree(H36M17)
LIMITS = AnatomicalLimits(TREE)
RIGHT_LIMBS = ("right_elbow", "right_wrist", "right_knee", "right_ankle")


def posed(standing_pose: np.ndarray, **directions: tuple[float, float, float]) -> torch.Tensor:
    """The standing pose with some bones in other local directions; arms and legs are straight and hang otherwise."""
    local = to_local(TREE, torch.from_numpy(standing_pose)[None])
    rotated = local.directions.clone()
    for bone, limb in enumerate(TREE.is_limb):
        if limb:
            rotated[0, bone] = torch.tensor([0.0, 0.0, -1.0])
    for joint, direction in directions.items():
        rotated[0, TREE.bone(joint)] = torch.nn.functional.normalize(torch.tensor(direction), dim=0)
    return to_joints(TREE, local.with_values(directions=rotated))


def broken(joints: torch.Tensor) -> set[str]:
    verdict = LIMITS.check(joints)[0]
    return {name for name, valid in zip(LIMITS.bones, verdict.tolist(), strict=True) if not valid}


def sagittal(degrees: int) -> tuple[float, float, float]:
    """A limb lifted forward by so much."""
    return (0.0, math.sin(math.radians(degrees)), -math.cos(math.radians(degrees)))


def frontal(degrees: float, side: int) -> tuple[float, float, float]:
    """A limb lifted sideways by so much, to the right if side is +1."""
    return (side * math.sin(math.radians(degrees)), 0.0, -math.cos(math.radians(degrees)))


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize(
    ("joint", "degrees", "valid"),
    [
        ("elbow", 175, True), ("elbow", 90, True), ("elbow", -50, True), ("elbow", -100, False), ("elbow", -130, False),
        ("wrist", 145, True), ("wrist", 0, True), ("wrist", -15, True), ("wrist", -45, False), ("wrist", 170, False),
        ("knee", 115, True), ("knee", -30, True), ("knee", 150, False), ("knee", -60, False),
        ("ankle", -150, True), ("ankle", 15, True), ("ankle", 40, False), ("ankle", 90, False), ("ankle", -175, False),
    ],
)  # fmt: skip
def test_flexion_in_the_sagittal_plane(
    standing_pose: np.ndarray, side: str, joint: str, degrees: float, valid: bool
) -> None:
    name = f"{side}_{joint}"
    assert broken(posed(standing_pose, **{name: sagittal(degrees)})) == (set() if valid else {name})


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize(
    ("joint", "degrees", "valid"),
    [
        ("elbow", 90, True), ("elbow", 175, True), ("elbow", -60, False), ("elbow", -100, False),
        ("knee", 45, True), ("knee", -25, True), ("knee", 100, False), ("knee", -70, False),
        ("wrist", 80, True), ("ankle", 80, False), ("ankle", -80, False),
    ],
)  # fmt: skip
def test_lifting_sideways(
    standing_pose: np.ndarray, side: int, joint: str, degrees: float, valid: bool
) -> None:
    name = f"{'right' if side > 0 else 'left'}_{joint}"
    directions = {name: frontal(degrees, side)}
    assert broken(posed(standing_pose, **directions)) == (set() if valid else {name})


@pytest.mark.parametrize("joint", ["nose", "thorax"])
def test_neck_and_trunk_do_not_fold_back(standing_pose: np.ndarray, joint: str) -> None:
    assert broken(posed(standing_pose, **{joint: (0.0, 0.3, 1.0)})) == set()
    assert joint in broken(posed(standing_pose, **{joint: (0.0, -1.0, -0.2)}))


def test_the_head_bone_leaves_the_nose_bone_as_in_a_head(standing_pose: np.ndarray) -> None:
    """Its local z is the direction of the nose bone, y towards the face: it neither goes on straight nor folds back."""
    for degrees, valid in ((-20, True), (-80, True), (-145, True), (0, False), (-170, False)):
        angle = math.radians(degrees)
        head = (0.0, math.sin(angle), math.cos(angle))
        assert ("head" in broken(posed(standing_pose, head=head))) != valid, degrees


def test_shoulders_do_not_turn_half_round(standing_pose: np.ndarray) -> None:
    local = to_local(TREE, posed(standing_pose))
    for degrees, expected in ((45, set()), (-45, set()), (110, {"thorax"}), (180, {"thorax"})):
        c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        rotation = torch.tensor([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
        assert broken(to_joints(TREE, local.with_values(upper=rotation @ local.upper))) == expected


def test_right_and_left_are_alike(standing_pose: np.ndarray) -> None:
    joints = random_limbs(standing_pose, 3000, seed=1)
    flipped = joints[:, list(H36M17.mirror)] * torch.tensor([1.0, -1.0, 1.0])
    here, there = LIMITS.check(joints), LIMITS.check(flipped)[:, list(TREE.mirror)]
    # Rounding at a border may tip single verdicts.
    assert (here != there).float().mean() < 1e-3


def random_limbs(standing_pose: np.ndarray, n: int, seed: int) -> torch.Tensor:
    """Poses of a body whose limbs point anywhere with equal chance."""
    generator = torch.Generator().manual_seed(seed)
    body = to_local(TREE, torch.from_numpy(standing_pose)[None])
    rows = body[torch.zeros(n, dtype=torch.long)]
    directions = rows.directions.clone()
    limbs = [bone for bone, limb in enumerate(TREE.is_limb) if limb]
    anywhere = torch.randn(n, len(limbs), 3, generator=generator)
    directions[:, limbs] = torch.nn.functional.normalize(anywhere, dim=-1)
    return to_joints(TREE, rows.with_values(directions=directions))


def test_fewer_than_one_random_pose_in_a_hundred_passes(standing_pose: np.ndarray) -> None:
    joints = random_limbs(standing_pose, 20000, seed=2)
    verdict = LIMITS.check(joints)
    assert verdict.all(-1).float().mean() < 0.01
    # The region of every limb is a proper part of the sphere.
    shares = verdict.float().mean(0)
    for bone, limb in enumerate(TREE.is_limb):
        assert (0.2 < shares[bone] < 0.85) == limb


def test_a_bone_without_length_is_not_within_its_limit(standing_pose: np.ndarray) -> None:
    joints = posed(standing_pose)
    joints[:, H36M17.index("right_wrist")] = joints[:, H36M17.index("right_elbow")]
    assert broken(joints) == {"right_wrist"}


@pytest.mark.parametrize("skeleton", [H36M16, MPII16, COCO18_PELVIS], ids=lambda skeleton: skeleton.name)
def test_other_skeletons_have_the_limits_of_the_bones_they_share(skeleton, standing_pose: np.ndarray) -> None:
    limits = AnatomicalLimits(KinematicTree(skeleton))
    limited = {name for name, has in zip(limits.bones, limits.limited, strict=True) if has}
    assert {*RIGHT_LIMBS, "left_elbow", "left_shoulder", "thorax"} <= limited
    assert not {"left_eye", "nose", "left_hip"} & limited


def test_another_skeleton_is_refused() -> None:
    with pytest.raises(
        InputError, match=r"^poses\.h5 has skeleton MPII16, the limits 'anatomical' are for H36M17: convert"
    ):
        LIMITS.require(MPII16, "poses.h5")


def test_unknown_limits_are_refused() -> None:
    with pytest.raises(InputError, match=r"^there are no limits 'anatomic'"):
        joint_limits("anatomic", TREE.skeleton)
