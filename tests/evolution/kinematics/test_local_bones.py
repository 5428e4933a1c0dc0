"""Local bones against an obvious per-pose reference, and the laws they must keep."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.kinematics.local_bones import to_joints, to_local
from evolift.posedata.errors import InputError
from evolift.posedata.skeleton import BODY25, COCO17, COCO18_PELVIS, H36M16, H36M17, LSP14, MPII16, Skeleton

# A user's own tree, as a CMU importer might declare it: two bones to each shoulder, hands and toes.
CMU_LIKE = Skeleton(
    "CMU_LIKE",
    (
        "root", "left_hip", "left_knee", "left_ankle", "left_toes", "right_hip", "right_knee", "right_ankle",
        "right_toes", "lower_back", "upper_back", "thorax", "lower_neck", "head", "left_collar", "left_shoulder",
        "left_elbow", "left_wrist", "left_hand", "right_collar", "right_shoulder", "right_elbow", "right_wrist",
        "right_hand",
    ),
    (
        None, "root", "left_hip", "left_knee", "left_ankle", "root", "right_hip", "right_knee",
        "right_ankle", "root", "lower_back", "upper_back", "thorax", "lower_neck", "thorax", "left_collar",
        "left_shoulder", "left_elbow", "left_wrist", "thorax", "right_collar", "right_shoulder", "right_elbow",
        "right_wrist",
    ),
)  # fmt: skip
SKELETONS = (H36M17, H36M16, COCO18_PELVIS, MPII16, BODY25, CMU_LIKE)


def random_bodies(skeleton: Skeleton, n: int, seed: int, spread: float = 0.8) -> torch.Tensor:
    """Bodies of about human size with strongly random bones, anywhere in a room, upright or not."""
    rng = np.random.default_rng(seed)
    tree = KinematicTree(skeleton)
    joints = np.zeros((n, len(skeleton), 3))
    joints[:, skeleton.root] = rng.normal(0, 1500, (n, 3))
    rotation = Rotation.random(n, random_state=seed)
    hanging = torch.tensor([[0.0, 0.0, -1.0] if limb else [0.0, 0.0, 1.0] for limb in tree.is_limb]).numpy()
    spans = [tree.bone(joint) for joint in (*tree.hips, *tree.shoulders)]
    hanging[spans] = [[-1, 0, 0], [1, 0, 0], [-1, 0, 0], [1, 0, 0]]
    for bone, joint in enumerate(tree.joints_of_bones):
        direction = hanging[bone] + spread * rng.normal(0, 1, (n, 3))
        direction *= rng.uniform(100, 450, (n, 1)) / np.linalg.norm(direction, axis=-1, keepdims=True)
        joints[:, joint] = joints[:, skeleton.parent_indices[joint]] + rotation.apply(direction)
    return torch.from_numpy(joints.astype(np.float32))


def reference(joints: np.ndarray, tree: KinematicTree) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lower frame, upper frame relative to the carried one, and local directions of one pose, by plain matrices."""
    skeleton = tree.skeleton

    def torso(pair: tuple[str, str], bone: int) -> np.ndarray:
        left, right = (joints[skeleton.index(joint)] for joint in pair)
        x = (right - left) / np.linalg.norm(right - left)
        joint = tree.joints_of_bones[bone]
        up = joints[joint] - joints[skeleton.parent_indices[joint]]
        z = up - x * (up @ x)
        z /= np.linalg.norm(z)
        return np.stack([x, np.cross(z, x), z], 1)

    def minimal_rotation(start: np.ndarray, end: np.ndarray) -> np.ndarray:
        axis = np.cross(start, end)
        if np.linalg.norm(axis) < 1e-12:
            return np.eye(3)
        return Rotation.from_rotvec(
            axis / np.linalg.norm(axis) * math.atan2(np.linalg.norm(axis), start @ end)
        ).as_matrix()

    lower, upper = torso(tree.hips, tree.trunk[0]), torso(tree.shoulders, tree.trunk[-1])
    rests = tree.rest_directions.numpy()
    frames: dict[int, np.ndarray] = {}  # frame of each bone
    carried: dict[int, np.ndarray] = {}  # frame that each bone hands on
    local = np.zeros((len(tree.names), 3))
    for bone, joint in enumerate(tree.joints_of_bones):
        if tree.carriers[bone]:
            frames[bone] = carried[tree.carriers[bone][-1]]
        else:
            frames[bone] = upper if tree.in_upper[bone] else lower
        vector = joints[joint] - joints[skeleton.parent_indices[joint]]
        local[bone] = frames[bone].T @ (vector / np.linalg.norm(vector))
        hangs = np.array([0.0, 0.0, -1.0]) if tree.is_limb[bone] else rests[bone]
        carried[bone] = (
            frames[bone] @ minimal_rotation(rests[bone], local[bone]) @ minimal_rotation(hangs, rests[bone])
        )
    return lower, carried[tree.trunk[-1]].T @ upper, local


@pytest.mark.parametrize("skeleton", SKELETONS, ids=lambda skeleton: skeleton.name)
def test_it_equals_the_plain_reference(skeleton: Skeleton) -> None:
    tree = KinematicTree(skeleton)
    joints = random_bodies(skeleton, 40, seed=1).double()
    local = to_local(tree, joints)
    for row in range(len(joints)):
        lower, upper, directions = reference(joints[row].numpy(), tree)
        np.testing.assert_allclose(local.lower[row], lower, atol=1e-9)
        np.testing.assert_allclose(local.upper[row], upper, atol=1e-9)
        np.testing.assert_allclose(local.directions[row], directions, atol=1e-9)


@pytest.mark.parametrize("skeleton", SKELETONS, ids=lambda skeleton: skeleton.name)
def test_joints_come_back_to_a_thousandth_of_a_millimetre(skeleton: Skeleton) -> None:
    tree = KinematicTree(skeleton)
    joints = random_bodies(skeleton, 4000, seed=2)
    joints = joints - joints[:, skeleton.root, None] + torch.tensor([1200.0, -900.0, 1000.0])
    back = to_joints(tree, to_local(tree, joints))
    assert back.dtype == torch.float32
    assert (back - joints).abs().max() <= 1e-3


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=12, deadline=None)
def test_the_body_may_stand_anywhere_and_look_anywhere(seed: int) -> None:
    tree = KinematicTree(H36M17)
    joints = random_bodies(H36M17, 4, seed).double()
    rotation = torch.from_numpy(Rotation.random(random_state=seed % 2**31).as_matrix())
    moved = to_local(tree, joints @ rotation.T + torch.tensor([100.0, -2000.0, 30.0]))
    still = to_local(tree, joints)
    torch.testing.assert_close(moved.directions, still.directions, atol=1e-8, rtol=0)
    torch.testing.assert_close(moved.upper, still.upper, atol=1e-8, rtol=0)
    torch.testing.assert_close(moved.lengths, still.lengths, atol=1e-8, rtol=0)
    torch.testing.assert_close(moved.lower, rotation @ still.lower, atol=1e-8, rtol=0)


def test_the_axes_are_right_forward_and_up(standing_pose: np.ndarray) -> None:
    tree = KinematicTree(H36M17)
    local = to_local(tree, torch.from_numpy(standing_pose)[None])
    # The standing person faces +x, so its right is -y.
    expected = torch.tensor([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    torch.testing.assert_close(local.lower[0], expected, atol=0.02, rtol=0)
    torch.testing.assert_close(local.upper[0], torch.eye(3), atol=0.05, rtol=0)
    assert local.directions[0, tree.bone("right_elbow")][0] > 0.1
    assert local.directions[0, tree.bone("left_elbow")][0] < -0.1
    # Both forearms hang nearly straight and point a little forward.
    for wrist in ("right_wrist", "left_wrist"):
        assert local.directions[0, tree.bone(wrist)][2] < -0.98
        assert local.directions[0, tree.bone(wrist)][1] > 0.05


def test_a_mirrored_body_has_mirrored_bones() -> None:
    tree = KinematicTree(H36M17)
    joints = random_bodies(H36M17, 30, seed=4).double()
    flipped = joints[:, list(H36M17.mirror)] * torch.tensor([1.0, -1.0, 1.0])
    local, mirrored = to_local(tree, joints), to_local(tree, flipped)
    expected = local.directions[:, list(tree.mirror)] * torch.tensor([-1.0, 1.0, 1.0])
    torch.testing.assert_close(mirrored.directions, expected, atol=1e-9, rtol=0)


@pytest.mark.parametrize("limb", ["right_elbow", "left_elbow", "right_knee", "left_knee"])
def test_the_carried_frame_is_continuous_but_at_the_stated_direction(limb: str) -> None:
    tree = KinematicTree(H36M17)
    body = to_local(tree, random_bodies(H36M17, 1, seed=5).double())
    bone, child = tree.bone(limb), tree.bone(limb.replace("elbow", "wrist").replace("knee", "ankle"))
    rest = tree.rest_directions[bone]
    generator = torch.Generator().manual_seed(6)
    steps = torch.nn.functional.normalize(
        torch.randn(20000, 3, generator=generator, dtype=torch.float64), dim=-1
    )
    steps = steps[steps @ rest > -math.cos(math.radians(15))]
    nudge = torch.nn.functional.normalize(
        steps + 1e-6 * torch.randn(steps.shape, generator=generator), dim=-1
    )

    def forearm(directions: torch.Tensor) -> torch.Tensor:
        rows = body[torch.zeros(len(directions), dtype=torch.long)]
        rotated = rows.directions.clone()
        rotated[:, bone] = directions
        joints = to_joints(tree, rows.with_values(directions=rotated))
        return joints[:, tree.joints_of_bones[child]] - joints[:, tree.joints_of_bones[bone]]

    moved = (forearm(steps) - forearm(nudge)).norm(dim=-1) / body.lengths[0, child]
    rotation = (steps - nudge).norm(dim=-1)
    # The frame turns at most 2 tan(angle / 2) as fast as the limb: 15.2 at 165 degrees from rest.
    assert (moved / rotation).max() < 16


def test_singular_poses_stay_finite_and_come_back(standing_pose: np.ndarray) -> None:
    tree = KinematicTree(H36M17)
    no_length = torch.from_numpy(np.zeros_like(standing_pose))
    one_line = torch.from_numpy(standing_pose * np.array([0, 1, 0], np.float32))
    folded = torch.from_numpy(standing_pose.copy())
    folded[H36M17.index("right_wrist")] = folded[H36M17.index("right_shoulder")]
    joints = torch.stack([no_length, one_line, folded])
    local = to_local(tree, joints)
    for values in (local.directions, local.lower, local.upper, local.lengths):
        assert values.isfinite().all()
    torch.testing.assert_close(to_joints(tree, local), joints, atol=1e-3, rtol=0)


def test_gradients_are_right() -> None:
    tree = KinematicTree(H36M17)
    joints = random_bodies(H36M17, 1, seed=7, spread=0.3).double() / 1000
    joints.requires_grad_()

    def outputs(joints: torch.Tensor) -> tuple[torch.Tensor, ...]:
        local = to_local(tree, joints)
        return local.directions, local.lengths, local.upper, to_joints(tree, local)

    assert torch.autograd.gradcheck(outputs, (joints,), atol=1e-6, fast_mode=True)


def test_more_batch_axes_are_kept() -> None:
    tree = KinematicTree(H36M17)
    joints = random_bodies(H36M17, 6, seed=8).reshape(2, 3, 17, 3)
    local = to_local(tree, joints)
    assert local.directions.shape == (2, 3, 16, 3)
    assert local.lower.shape == (2, 3, 3, 3)
    torch.testing.assert_close(to_joints(tree, local), joints, atol=2e-3, rtol=0)
    torch.testing.assert_close(local.directions[1, 2], to_local(tree, joints[1, 2]).directions)


@pytest.mark.parametrize(
    ("skeleton", "message"),
    [
        (COCO17, "skeleton COCO17 is a drawing tree without a pelvis"),
        (LSP14, "skeleton LSP14 is a drawing tree without a pelvis"),
        (Skeleton("STICK", ("a", "b"), (None, "a")), "skeleton STICK has no joint 'left_hip'"),
        (
            Skeleton(
                "HEADED",
                ("head", "pelvis", "left_hip", "right_hip", "left_shoulder", "right_shoulder"),
                (None, "head", "pelvis", "pelvis", "head", "head"),
            ),
            "skeleton HEADED: its hips must branch off at the root joint",
        ),
        (
            Skeleton(
                "FLAT",
                ("root", "left_hip", "right_hip", "left_shoulder", "right_shoulder"),
                (None, "root", "root", "root", "root"),
            ),
            "skeleton FLAT: needs a trunk bone between the hips and the shoulders",
        ),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_skeletons_without_a_body_are_refused(skeleton: Skeleton, message: str) -> None:
    with pytest.raises(InputError, match="^" + message):
        KinematicTree(skeleton)


def test_the_wrong_number_of_joints_is_refused() -> None:
    with pytest.raises(InputError, match=r"must have shape \(\.\.\., 17, 3\), not \(5, 16, 3\)"):
        to_local(KinematicTree(H36M17), torch.zeros(5, 16, 3))


def test_the_tree_of_the_canonical_skeleton() -> None:
    tree = KinematicTree(H36M17)
    assert [tree.names[bone] for bone in tree.trunk] == ["spine", "thorax"]
    assert [tree.names[bone] for bone in tree.pelvic] == ["right_hip", "left_hip"]
    inside = tree.subtree[tree.bone("left_shoulder")].nonzero()[:, 0].tolist()
    assert {tree.names[bone] for bone in inside} == {"left_shoulder", "left_elbow", "left_wrist"}
    assert [tree.names[bone] for bone in tree.carriers[tree.bone("left_wrist")]] == ["left_elbow"]
