"""Crossover: what is exchanged, what stays, and the shares of the draws."""

from __future__ import annotations

import pytest
import torch

from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.kinematics.local_bones import to_joints, to_local
from evolift.evolution.operators.crossover import draw_pairs, draw_subtrees, exchange
from evolift.posedata.skeleton import COCO18_PELVIS, H36M17
from tests.evolution.kinematics.test_local_bones import random_bodies

TREE = KinematicTree(H36M17)


def bodies(seed: int, n: int = 200):
    return to_local(TREE, random_bodies(H36M17, n, seed, spread=0.3))


def test_an_arm_moves_and_nothing_else() -> None:
    first, second = bodies(1, 5), bodies(2, 5)
    taken = torch.zeros(5, 16, dtype=torch.bool)
    taken[:, [TREE.bone(joint) for joint in ("left_elbow", "left_wrist")]] = True
    before = to_joints(TREE, first)
    child = to_joints(TREE, exchange(first, second, taken, TREE))
    others = [joint for joint in range(17) if H36M17.joints[joint] not in ("left_elbow", "left_wrist")]
    torch.testing.assert_close(child[:, others], before[:, others], atol=1e-3, rtol=0)
    # The arm of the second parent, seen from the shoulders of the first.
    local = to_local(TREE, child)
    for joint in ("left_elbow", "left_wrist"):
        torch.testing.assert_close(
            local.directions[:, TREE.bone(joint)],
            second.directions[:, TREE.bone(joint)],
            atol=1e-4,
            rtol=0,
        )
    torch.testing.assert_close(local.lengths, first.lengths, atol=1e-3, rtol=0)


def test_the_upper_body_comes_with_its_trunk_bone() -> None:
    first, second = bodies(3, 5), bodies(4, 5)
    # Torso axes depend on the lengths of hip and collar bones: give both the same, and measure the axes anew.
    first = to_local(TREE, to_joints(TREE, first.with_values(lengths=second.lengths)))
    taken = TREE.subtree[TREE.bone("spine")].expand(5, -1)
    child = to_local(TREE, to_joints(TREE, exchange(first, second, taken, TREE)))
    torch.testing.assert_close(child.upper, second.upper, atol=1e-4, rtol=0)
    upper = [bone for bone in range(16) if taken[0, bone]]
    torch.testing.assert_close(child.directions[:, upper], second.directions[:, upper], atol=1e-4, rtol=0)
    torch.testing.assert_close(child.lower, first.lower, atol=1e-5, rtol=0)
    torch.testing.assert_close(child.root, first.root, atol=1e-3, rtol=0)


def test_parents_are_never_changed() -> None:
    first, second = bodies(5), bodies(6)
    copies = [value.clone() for body in (first, second) for value in vars(body).values()]
    taken = draw_subtrees(TREE, 200, torch.Generator().manual_seed(0), two_point_rate=0.5)
    exchange(first, second, taken, TREE, lengths="swapped")
    for value, copy in zip([v for body in (first, second) for v in vars(body).values()], copies, strict=True):
        torch.testing.assert_close(value, copy, atol=0, rtol=0)


def test_swapped_lengths_keep_both_sides_equal() -> None:
    joints = random_bodies(H36M17, 100, 7)
    first = to_local(TREE, joints)
    even = (first.lengths + first.lengths[:, list(TREE.mirror)]) / 2
    first = first.with_values(lengths=even)
    second = first.with_values(lengths=even * 1.3)
    taken = draw_subtrees(TREE, 100, torch.Generator().manual_seed(1), two_point_rate=0.5)
    child = exchange(first, second, taken, TREE, lengths="swapped")
    torch.testing.assert_close(child.lengths, child.lengths[:, list(TREE.mirror)])
    assert (child.lengths[taken] > first.lengths[taken] * 1.2).all()
    untouched = ~(taken | taken[:, list(TREE.mirror)])
    torch.testing.assert_close(child.lengths[untouched], first.lengths[untouched])


@pytest.mark.parametrize("skeleton", [H36M17, COCO18_PELVIS], ids=lambda skeleton: skeleton.name)
def test_one_cut_takes_whole_subtrees_of_every_movable_bone(skeleton) -> None:
    tree = KinematicTree(skeleton)
    taken = draw_subtrees(tree, 4000, torch.Generator().manual_seed(2), two_point_rate=0.0)
    expected = {tuple(tree.subtree[bone].tolist()) for bone in tree.movable}
    drawn = [tuple(row) for row in taken.tolist()]
    assert set(drawn) == expected
    for row in expected:
        assert drawn.count(row) == pytest.approx(4000 / len(expected), rel=0.35)


def test_two_cuts_are_never_empty_and_take_pieces() -> None:
    taken = draw_subtrees(TREE, 4000, torch.Generator().manual_seed(3), two_point_rate=1.0)
    assert taken.any(-1).all()
    assert not taken[:, list(TREE.pelvic)].any()
    whole_subtrees = {tuple(TREE.subtree[bone].tolist()) for bone in TREE.movable}
    assert sum(tuple(row) not in whole_subtrees for row in taken.tolist()) > 3000


def test_pairs_are_different_and_uniform() -> None:
    first, second = draw_pairs(30000, 3, torch.Generator().manual_seed(4))
    assert (first != second).all()
    counts = torch.bincount(first * 3 + second, minlength=9)
    assert counts[[0, 4, 8]].sum() == 0
    assert (counts[[1, 2, 3, 5, 6, 7]] - 5000).abs().max() < 300


def test_golden_children_guard_the_random_stream() -> None:
    taken = draw_subtrees(TREE, 6, torch.Generator().manual_seed(0), two_point_rate=0.5)
    names = [[TREE.names[bone] for bone in row.nonzero()[:, 0].tolist()] for row in taken]
    assert names == GOLDEN


GOLDEN = [
    ["right_ankle", "right_shoulder", "right_elbow", "right_wrist"],
    [
        "left_knee", "thorax", "left_ankle", "nose", "left_shoulder", "right_shoulder", "head", "left_elbow",
        "right_elbow", "left_wrist", "right_wrist",
    ],
    ["left_shoulder", "left_elbow"],
    ["left_knee", "left_ankle"],
    ["right_knee", "right_ankle"],
    ["head"],
]  # fmt: skip
