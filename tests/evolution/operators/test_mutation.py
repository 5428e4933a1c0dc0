"""Mutation: the distribution of its rotations, what it leaves alone, and lengths by body."""

from __future__ import annotations

import math

import pytest
import torch

from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.kinematics.local_bones import LocalBones, to_joints, to_local
from evolift.evolution.operators.mutation import (
    draw_rotated,
    mirror_bodies,
    rotate_bodies,
    rotate_bones,
    scale_lengths,
)
from evolift.posedata.skeleton import H36M17
from tests.evolution.kinematics.test_local_bones import random_bodies

TREE = KinematicTree(H36M17)


def bodies(n: int, seed: int = 0) -> LocalBones:
    return to_local(TREE, random_bodies(H36M17, n, seed, spread=0.3))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def angles(before: LocalBones, after: LocalBones) -> torch.Tensor:
    cosine = (before.directions.double() * after.directions.double()).sum(-1)
    return torch.rad2deg(torch.arccos(cosine.clamp(-1, 1)))


def mutated(
    before: LocalBones, chance: torch.Generator, *, sigma: float, per_bone_rate: float | None = None
) -> tuple[LocalBones, torch.Tensor]:
    """Mutants, and which of their bones were turned."""
    everyone = torch.ones(len(before), dtype=torch.bool)
    rotated = draw_rotated(TREE, everyone, chance, per_bone_rate=per_bone_rate)
    return rotate_bones(before, rotated, TREE, chance, sigma=sigma), rotated


def test_one_bone_turns_by_the_stated_gaussian() -> None:
    before = bodies(8000)
    after, rotated = mutated(before, generator(), sigma=math.radians(10))
    assert (rotated.sum(-1) == 1).all()
    assert not rotated[:, list(TREE.pelvic)].any()
    angle = angles(before, after)
    assert angle[~rotated].max() < 0.1
    # Two independent gaussian components of 10 degrees: a mean square of 200.
    assert (angle[rotated] ** 2).mean() == pytest.approx(200, rel=0.06)
    counts = rotated.sum(0)[list(TREE.movable)]
    assert (counts - 8000 / 14).abs().max() < 120
    torch.testing.assert_close(after.directions.norm(dim=-1), torch.ones(8000, 16))


def test_each_bone_turns_at_its_rate() -> None:
    before = bodies(4000)
    after, rotated = mutated(before, generator(), sigma=0.2, per_bone_rate=0.3)
    assert rotated[:, list(TREE.movable)].float().mean() == pytest.approx(0.3, abs=0.02)
    assert (angles(before, after)[rotated] > 0.05).float().mean() > 0.99


def test_only_the_subtree_below_the_bone_moves() -> None:
    before = bodies(400)
    after, rotated = mutated(before, generator(1), sigma=0.5)
    old, new = to_joints(TREE, before), to_joints(TREE, after)
    below = rotated.float() @ TREE.subtree.float()
    moved = torch.zeros(400, 17, dtype=torch.bool)
    moved[:, list(TREE.joints_of_bones)] = below > 0
    torch.testing.assert_close(old[~moved], new[~moved], atol=2e-3, rtol=0)
    torch.testing.assert_close(to_local(TREE, new).lengths, before.lengths, atol=2e-3, rtol=0)


def test_the_last_trunk_bone_also_twists_the_shoulders() -> None:
    before = bodies(2000)
    after, rotated = mutated(before, generator(2), sigma=0.2)
    thorax = rotated[:, TREE.bone("thorax")]
    relative = after.upper @ before.upper.mT
    twist = torch.atan2(relative[:, 1, 0], relative[:, 0, 0])
    assert twist[thorax].std() == pytest.approx(0.2, rel=0.3)
    torch.testing.assert_close(after.upper[~thorax], before.upper[~thorax], atol=0, rtol=0)


def test_a_new_heading_keeps_people_upright() -> None:
    before = bodies(4000)
    rotated = torch.rand(4000, generator=generator(3)) < 0.5
    after = rotate_bodies(before, rotated, generator(4))
    # Rows of `lower` say how high the axes point: a turn about the vertical keeps the last.
    torch.testing.assert_close(after.lower[:, 2], before.lower[:, 2], atol=1e-6, rtol=0)
    torch.testing.assert_close(after.lower[~rotated], before.lower[~rotated], atol=0, rtol=0)
    change = after.lower @ before.lower.mT
    heading = torch.atan2(change[rotated, 1, 0], change[rotated, 0, 0])
    assert torch.histc(heading, 4, -math.pi, math.pi).min() > 0.2 * rotated.sum()


def test_tilt_is_gaussian_about_each_horizontal_axis() -> None:
    before = bodies(6000)
    everyone = torch.ones(6000, dtype=torch.bool)
    after = rotate_bodies(before, everyone, generator(5), tilt_sigma=math.radians(8))
    change = after.lower.double() @ before.lower.double().mT
    torch.testing.assert_close(
        change @ change.mT, torch.eye(3, dtype=torch.float64).expand(6000, 3, 3), atol=1e-5, rtol=0
    )
    tilt = torch.rad2deg(torch.arccos(change[:, 2, 2].clamp(-1, 1)))
    assert (tilt**2).mean() == pytest.approx(128, rel=0.08)
    assert torch.linalg.det(change).min() > 0.99


def test_lengths_change_left_and_right_together() -> None:
    joints = bodies(3000)
    even = joints.with_values(lengths=(joints.lengths + joints.lengths[:, list(TREE.mirror)]) / 2)
    scaled = torch.rand(3000, generator=generator(6)) < 0.4
    after = scale_lengths(even, TREE, scaled, generator(7), spread=0.1)
    factor = after.lengths / even.lengths
    torch.testing.assert_close(factor, factor[:, list(TREE.mirror)])
    torch.testing.assert_close(factor[~scaled], torch.ones_like(factor[~scaled]))
    assert factor.min() >= 0.9 - 1e-6
    assert factor.max() <= 1.1 + 1e-6
    assert factor[scaled].std() == pytest.approx(0.2 / math.sqrt(12), rel=0.05)
    thigh, shin = factor[scaled, TREE.bone("left_knee")], factor[scaled, TREE.bone("left_ankle")]
    assert torch.corrcoef(torch.stack([thigh, shin]))[0, 1].abs() < 0.1


def test_a_mirrored_body_is_the_mirror_image_of_its_joints() -> None:
    joints = random_bodies(H36M17, 300, 8, spread=0.3)
    mirrored = torch.rand(300, generator=generator(9)) < 0.5
    after = to_joints(TREE, mirror_bodies(to_local(TREE, joints), TREE, mirrored))
    torch.testing.assert_close(after[~mirrored], joints[~mirrored], atol=5e-3, rtol=0)
    for body, image in zip(joints[mirrored].double(), after[mirrored].double(), strict=True):
        left, right = (body[H36M17.index(name)] for name in ("left_hip", "right_hip"))
        normal = (right - left) * torch.tensor([1.0, 1.0, 0.0])
        normal = normal / normal.norm()
        for joint, name in enumerate(H36M17.joints):
            other = name.replace("left_", "RIGHT_").replace("right_", "left_").replace("RIGHT_", "right_")
            offset = body[H36M17.index(other)] - body[0]
            expected = body[0] + offset - 2 * normal * (normal @ offset)
            torch.testing.assert_close(image[joint], expected, atol=5e-3, rtol=0)


def test_mirroring_twice_changes_nothing_even_with_upright_hips() -> None:
    joints = random_bodies(H36M17, 100, 10, spread=0.3)
    lying = to_local(TREE, joints)
    side = torch.tensor([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])  # hip line upright: the person lies on its side
    lying = lying.with_values(lower=side.T.expand(100, 3, 3).clone())
    everyone = torch.ones(100, dtype=torch.bool)
    for before in (to_local(TREE, joints), lying):
        once = mirror_bodies(before, TREE, everyone)
        assert (torch.linalg.det(once.lower) > 0.99).all()
        assert not torch.allclose(once.directions, before.directions, atol=0.1)
        twice = mirror_bodies(once, TREE, everyone)
        torch.testing.assert_close(to_joints(TREE, twice), to_joints(TREE, before), atol=5e-3, rtol=0)


def test_nothing_passed_in_is_changed() -> None:
    before = bodies(100)
    copies = [value.clone() for value in vars(before).values()]
    everyone = torch.ones(100, dtype=torch.bool)
    mutated(before, generator(), sigma=0.3)
    rotate_bodies(before, everyone, generator(), tilt_sigma=0.1)
    scale_lengths(before, TREE, everyone, generator(), spread=0.1)
    mirror_bodies(before, TREE, everyone)
    for value, copy in zip(vars(before).values(), copies, strict=True):
        torch.testing.assert_close(value, copy, atol=0, rtol=0)


def test_the_same_generator_gives_the_same_mutants() -> None:
    before = bodies(50)
    one, _ = mutated(before, generator(9), sigma=0.3)
    two, _ = mutated(before, generator(9), sigma=0.3)
    other, _ = mutated(before, generator(10), sigma=0.3)
    torch.testing.assert_close(one.directions, two.directions, atol=0, rtol=0)
    assert not torch.equal(one.directions, other.directions)
