"""The frame of the head against plain vectors, and the laws it must keep."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from evolift.evolution.kinematics.head_frame import HeadFrame, head_frame, nose_and_head
from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.kinematics.local_bones import to_local
from evolift.posedata.skeleton import BODY25, COCO18_PELVIS, H36M16, H36M17, MPII16
from tests.evolution.kinematics.test_local_bones import random_bodies

TREE = KinematicTree(H36M17)
SPINE, THORAX, NOSE, HEAD = (H36M17.index(name) for name in ("spine", "thorax", "nose", "head"))
LEFT, RIGHT = (H36M17.index(f"{side}_shoulder") for side in ("left", "right"))
SEEDS = st.integers(0, 2**32 - 1)


def frame_of(joints: torch.Tensor) -> HeadFrame:
    return head_frame(TREE, to_local(TREE, joints))


def torso_axes(pose: np.ndarray) -> np.ndarray:
    """Right, forward and up of the chest as columns."""
    x = pose[RIGHT] - pose[LEFT]
    x /= np.linalg.norm(x)
    z = pose[THORAX] - pose[SPINE]
    z -= x * (x @ z)
    z /= np.linalg.norm(z)
    return np.stack([x, np.cross(z, x), z], 1)


def with_head(pose: np.ndarray, rotation: Rotation, nose: tuple[float, ...] = (0, 105, 110)) -> torch.Tensor:
    """The pose with a head of 230 mm right above its thorax, rotated there in the frame of its chest."""
    pose = pose.astype(np.float64)
    axes = torso_axes(pose)
    for joint, place in ((NOSE, nose), (HEAD, (0, 0, 230))):
        pose[joint] = pose[THORAX] + axes @ rotation.apply(place)
    return torch.from_numpy(pose)[None]


def test_it_equals_plain_vectors() -> None:
    joints = random_bodies(H36M17, 50, seed=1).double()
    frame = frame_of(joints)
    for row, pose in enumerate(joints.numpy()):
        torso = torso_axes(pose)
        z = (pose[HEAD] - pose[THORAX]) / np.linalg.norm(pose[HEAD] - pose[THORAX])
        y = pose[NOSE] - pose[THORAX]
        y = y - z * (z @ y)
        y /= np.linalg.norm(y)
        expected = torso.T @ np.stack([np.cross(y, z), y, z], 1)
        np.testing.assert_allclose(frame.axes[..., row], expected, atol=1e-7)
        np.testing.assert_allclose(frame.up[:, row], expected[:, 2], atol=1e-7)
        bones = [pose[NOSE] - pose[THORAX], pose[HEAD] - pose[NOSE]]
        bones = [bone / np.linalg.norm(bone) for bone in bones]
        np.testing.assert_allclose(frame.nose[:, row], torso.T @ bones[0], atol=1e-7)
        np.testing.assert_allclose(frame.head[:, row], torso.T @ bones[1], atol=1e-7)
        assert float(frame.bend[row]) == pytest.approx(bones[0] @ bones[1], abs=1e-7)


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, gap=st.sampled_from([0.0, 1e-6, 1e-3, 1.0, 100.0]))
def test_axes_are_orthonormal_and_right_handed_wherever_the_nose_is(seed: int, gap: float) -> None:
    joints = random_bodies(H36M17, 8, seed)
    if gap < 100:  # so far from the line thorax-head, mm
        generator = torch.Generator().manual_seed(seed % 2**31)
        share = torch.rand(8, 1, generator=generator) * 2 - 0.5
        joints[:, NOSE] = joints[:, THORAX] + share * (joints[:, HEAD] - joints[:, THORAX])
        joints[:, NOSE] += gap * torch.randn(8, 3, generator=generator)
    axes = frame_of(joints).axes.permute(2, 0, 1)
    torch.testing.assert_close(axes.mT @ axes, torch.eye(3).expand(8, 3, 3), atol=2e-5, rtol=0)
    torch.testing.assert_close(torch.linalg.det(axes), torch.ones(8), atol=2e-5, rtol=0)


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS)
def test_it_does_not_matter_where_the_body_stands_and_looks(seed: int) -> None:
    joints = random_bodies(H36M17, 4, seed).double()
    rotation = torch.from_numpy(Rotation.random(random_state=seed % 2**31).as_matrix())
    still, moved = frame_of(joints), frame_of(joints @ rotation.T + torch.tensor([100.0, -2000.0, 30.0]))
    for one, other in (
        (moved.axes, still.axes),
        (moved.nose, still.nose),
        (moved.head, still.head),
        (moved.level_face, still.level_face),
    ):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=0)


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS)
def test_a_mirrored_body_has_the_mirrored_frame(seed: int) -> None:
    joints = random_bodies(H36M17, 4, seed).double()
    mirrored = joints[:, list(H36M17.mirror)] * torch.tensor([1.0, -1.0, 1.0])
    here, there = frame_of(joints), frame_of(mirrored)
    flip = torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64)
    # Up and face are mirrored vectors; x, their product, is besides turned round.
    torch.testing.assert_close(
        there.axes, flip[:, None, None] * here.axes * flip[None, :, None], atol=1e-6, rtol=0
    )
    torch.testing.assert_close(there.level_face, flip[:, None] * here.level_face, atol=1e-6, rtol=0)
    torch.testing.assert_close(there.bend, here.bend, atol=1e-6, rtol=0)


@settings(max_examples=40, deadline=None)
@given(
    yaw=st.floats(-170, 170),
    tilt=st.floats(0, 100),
    towards=st.floats(-180, 180),
    nose=st.tuples(st.just(0), st.floats(40, 150), st.floats(-50, 200)),
)
def test_a_known_yaw_and_tilt_are_read_back(
    standing_pose: np.ndarray, yaw: float, tilt: float, towards: float, nose: tuple[float, ...]
) -> None:
    """Rotated about the neck to the left first, then tilted about a level axis, forward for 0, to the left for 90."""
    away = math.radians(towards)
    level_axis = np.array([-math.cos(away), -math.sin(away), 0.0])
    rotation = Rotation.from_rotvec(math.radians(tilt) * level_axis) * Rotation.from_euler(
        "z", yaw, degrees=True
    )
    frame = frame_of(with_head(standing_pose, rotation, nose))
    up, face = frame.up[:, 0].numpy(), frame.level_face[:, 0].numpy()
    expected_up = [
        -math.sin(away) * math.sin(math.radians(tilt)),
        math.cos(away) * math.sin(math.radians(tilt)),
        math.cos(math.radians(tilt)),
    ]
    np.testing.assert_allclose(up, expected_up, atol=1e-6)
    assert math.degrees(math.atan2(-face[0], face[1])) == pytest.approx(yaw, abs=1e-3)
    assert face[2] == pytest.approx(0, abs=1e-6)


def degenerate_heads(pose: np.ndarray) -> torch.Tensor:
    """Noses on the line from thorax to head and on either end, and heads without length."""
    joints = torch.from_numpy(pose)[None].repeat(6, 1, 1)
    line = joints[:, HEAD] - joints[:, THORAX]
    joints[:5, NOSE] = joints[:5, THORAX] + torch.tensor([[0.5], [0.0], [1.0], [-0.3], [1.4]]) * line[:5]
    joints[5, HEAD] = joints[5, THORAX]
    return joints


def test_a_nose_on_the_line_gives_finite_axes_and_gradients(standing_pose: np.ndarray) -> None:
    joints = degenerate_heads(standing_pose).requires_grad_()
    frame = frame_of(joints)
    outputs = (frame.axes, frame.bend, frame.level_face)
    for value in outputs:
        assert value.isfinite().all()
    sum(value.square().sum() + value.sum() for value in outputs).backward()  # type: ignore[union-attr]  # a sum that begins with 0 may be an int
    assert joints.grad is not None
    assert joints.grad.isfinite().all()


def test_gradients_are_right() -> None:
    joints = random_bodies(H36M17, 2, seed=7, spread=0.3).double() / 1000
    joints.requires_grad_()

    def outputs(joints: torch.Tensor) -> tuple[torch.Tensor, ...]:
        frame = frame_of(joints)
        return frame.axes, frame.bend, frame.level_face

    assert torch.autograd.gradcheck(outputs, (joints,), atol=1e-6, fast_mode=True)


def test_only_heads_with_a_nose_between_thorax_and_top_have_it() -> None:
    assert nose_and_head(TREE) == (TREE.bone("nose"), TREE.bone("head"))
    for skeleton in (H36M16, MPII16, COCO18_PELVIS, BODY25):
        assert nose_and_head(KinematicTree(skeleton)) is None
