from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from evolift.posedata.bvh_clip import bvh_text, symmetric_lengths, with_lengths
from evolift.posedata.importers.bvh_file import moved_joints, parse_bvh
from evolift.posedata.poses import Poses
from evolift.posedata.predictions.levelled_poses import FLOOR_SHARE
from evolift.posedata.skeleton import COCO18_PELVIS, H36M16, H36M17, Skeleton


def walked(text: str) -> tuple[dict[str, np.ndarray], list[dict[str, list[float]]]]:
    """Rest place, and place in each frame, of every joint of a BVH file, by one 4x4 matrix after another (cm)."""
    words = text.split()
    names: list[str] = []
    stack: list[str] = []
    parents: dict[str, str | None] = {}
    offsets: dict[str, list[float]] = {}
    channels: list[tuple[str, str]] = []
    at = 1
    while words[at] != "MOTION":
        word = words[at]
        if word in ("ROOT", "JOINT", "End"):
            name = f"{stack[-1]}_End" if word == "End" else words[at + 1]
            parents[name] = stack[-1] if stack else None
            names.append(name)
            stack.append(name)
            at += 2
        elif word == "OFFSET":
            offsets[stack[-1]] = [float(value) for value in words[at + 1 : at + 4]]
            at += 4
        elif word == "CHANNELS":
            count = int(words[at + 1])
            channels += [(stack[-1], channel) for channel in words[at + 2 : at + 2 + count]]
            at += 2 + count
        else:
            if word == "}":
                stack.pop()
            at += 1
    numbers = [float(value) for value in words[words.index("Time:") + 2 :]]
    frames = []
    for start in range(0, len(numbers), len(channels)):
        world: dict[str, np.ndarray] = {}
        for name in names:
            local = np.eye(4)
            local[:3, 3] = offsets[name]
            for (joint, channel), value in zip(channels, numbers[start:], strict=False):
                if joint != name:
                    continue
                step = np.eye(4)
                axis = "XYZ".index(channel[0])
                if channel.endswith("position"):
                    step[axis, 3] = value
                else:
                    one, two = (axis + 1) % 3, (axis + 2) % 3
                    cosine, sine = math.cos(math.radians(value)), math.sin(math.radians(value))
                    step[one, one] = step[two, two] = cosine
                    step[two, one], step[one, two] = sine, -sine
                local = local @ step
            parent = parents[name]
            world[name] = local if parent is None else world[parent] @ local
        frames.append({name: world[name][:3, 3].tolist() for name in names})
    rest: dict[str, np.ndarray] = {}
    for name in names:
        parent = parents[name]
        rest[name] = np.array(offsets[name]) + (0 if parent is None else rest[parent])
    return rest, frames


def played(text: str, skeleton: Skeleton) -> np.ndarray:
    """(frames, joints, 3) mm, y up."""
    _, frames = walked(text)
    return 10 * np.array([[frame[joint] for joint in skeleton.joints] for frame in frames])


def random_clip(skeleton: Skeleton, frames: int = 6, *, symmetric: bool = False) -> np.ndarray:
    generator = np.random.default_rng(1)
    joints = np.zeros((frames, len(skeleton), 3))
    joints[:, skeleton.root] = generator.normal(0, 1000, (frames, 3))
    for joint in skeleton.topological_order[1:]:
        bone = generator.normal(size=(frames, 3))
        number = min(joint, skeleton.mirror[joint]) if symmetric else joint
        bone *= (100 + 10 * number) / np.linalg.norm(bone, axis=-1, keepdims=True)
        joints[:, joint] = joints[:, skeleton.parent_indices[joint]] + bone
    return joints


@pytest.mark.parametrize("skeleton", [H36M16, H36M17, COCO18_PELVIS], ids=lambda s: s.name)
def test_joints_are_where_they_were_but_for_the_floor(skeleton: Skeleton) -> None:
    joints = random_clip(skeleton, symmetric=True)
    text = bvh_text(skeleton, joints, 30.0)
    slow = played(text, skeleton)
    shift = slow[:1, :1] - joints[:1, :1]
    np.testing.assert_allclose(slow - shift, joints, atol=2e-3)
    motion = parse_bvh(text.encode(), "a.bvh")
    back, _ = moved_joints(motion, np.arange(6), list(skeleton.joints))
    np.testing.assert_allclose(np.stack([back[joint] for joint in skeleton.joints], 1) * 10, slow, atol=2e-3)


def test_both_sides_are_equally_long_and_lengths_stay(make_poses: Callable[..., Poses]) -> None:
    joints = random_clip(H36M17, 9) * np.linspace(0.9, 1.1, 9)[:, None, None]
    slow = played(bvh_text(H36M17, joints, 25.0), H36M17)
    for parent, child in H36M17.bones:
        other = H36M17.mirror[child]
        sides = [
            np.median(np.linalg.norm(joints[:, one] - joints[:, H36M17.parent_indices[one]], axis=-1))
            for one in (child, other)
        ]
        lengths = np.linalg.norm(slow[:, child] - slow[:, parent], axis=-1)
        np.testing.assert_allclose(lengths, sum(sides) / 2, atol=2e-3)
        directions = (joints[:, child] - joints[:, parent]) / np.linalg.norm(
            joints[:, child] - joints[:, parent], axis=-1, keepdims=True
        )
        np.testing.assert_allclose(slow[:, child] - slow[:, parent], sum(sides) / 2 * directions, atol=2e-3)


@pytest.mark.parametrize("is_placed", [True, False])
def test_people_stand_on_the_floor_at_the_origin(is_placed: bool) -> None:
    joints = random_clip(H36M17, 40, symmetric=True) + np.array([3000, 700, -5000])
    slow = played(bvh_text(H36M17, joints, 25.0, is_placed=is_placed), H36M17)
    lowest = slow[..., 1].min(1)
    np.testing.assert_allclose(slow[0, 0, [0, 2]], 0, atol=2e-3)
    if is_placed:
        np.testing.assert_allclose(np.diff(slow[:, 0], axis=0), np.diff(joints[:, 0], axis=0), atol=2e-3)
        assert (lowest < -2e-3).mean() <= FLOOR_SHARE < (lowest < 50).mean() + FLOOR_SHARE
    else:
        np.testing.assert_allclose(lowest, 0, atol=2e-3)
        np.testing.assert_allclose(slow[:, 0, [0, 2]], 0, atol=2e-3)


def test_a_t_pose_turns_nothing() -> None:
    """The rest pose of the file itself, that is without any rotation, is a T-pose."""
    rest, _ = walked(bvh_text(H36M17, random_clip(H36M17, 2), 25.0))
    points = 10 * np.stack([rest[joint] for joint in H36M17.joints])
    values = parse_bvh(bvh_text(H36M17, points[None], 25.0).encode(), "a").values(np.arange(1), [])
    np.testing.assert_allclose(values[:, 3:], 0, atol=1e-4)
    assert rest["left_wrist"][0] > rest["left_shoulder"][0] > 0 > rest["right_shoulder"][0]
    assert rest["head"][1] > 0 > rest["left_ankle"][1]


def test_frame_time() -> None:
    assert "\nFrames: 6\nFrame Time: 0.0400000\n" in bvh_text(H36M17, random_clip(H36M17), 25.0)


def test_lengths_that_are_there_already_move_nothing() -> None:
    joints = random_clip(H36M17, symmetric=True)
    moved = with_lengths(H36M17, joints, symmetric_lengths(H36M17, joints))
    np.testing.assert_allclose(moved, joints, atol=1e-9)
