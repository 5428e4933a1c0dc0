"""Bodies of other people: which bone takes which segment, the distribution of the factors, and what stays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from evolift.evolution.job.algorithm import evolve
from evolift.evolution.job.workers import block_workers
from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.kinematics.local_bones import to_joints, to_local
from evolift.evolution.limits.anatomical_limits import AnatomicalLimits
from evolift.evolution.operators.anthropometry import (
    CORRELATIONS,
    DEVIATIONS,
    SEGMENTS,
    WOMEN_OVER_MEN,
    draw_factors,
    give_bodies,
    segments_of_bones,
)
from evolift.evolution.operators.length_templates import length_templates
from evolift.evolution.settings import ALGORITHM_1
from evolift.posedata.skeleton import H36M17, Skeleton
from evolift.posedata.store import PoseStore
from tests.evolution.operators.test_mutation import bodies, generator

TREE = KinematicTree(H36M17)
ONLY_BODIES = ALGORITHM_1.replaced(
    ratio=9.0, generations=4, crossover_rate=0.0, mutation_rate=0.0, body_rate=1.0, settle=True
)


def test_each_bone_belongs_to_a_segment() -> None:
    named = dict(zip(TREE.names, (SEGMENTS[s] for s in segments_of_bones(TREE)), strict=True))
    expected = {"spine": "trunk", "thorax": "trunk", "nose": "head", "head": "head"}
    ends = {"hip": "hips", "knee": "thigh", "ankle": "shin", "shoulder": "shoulders"}
    ends |= {"elbow": "upper_arm", "wrist": "forearm"}
    expected |= {f"{side}_{joint}": name for side in ("left", "right") for joint, name in ends.items()}
    assert named == expected


def test_toes_and_fingers_are_feet_and_hands() -> None:
    more = ("left_toe", "right_toe", "left_hand", "right_hand", "left_finger", "right_finger")
    hang_on = ("left_ankle", "right_ankle", "left_wrist", "right_wrist", "left_hand", "right_hand")
    joints = (*H36M17.joints, *more)
    parents = [H36M17.parent_indices[j] for j in range(17)] + [joints.index(name) for name in hang_on]
    names = tuple(None if parent < 0 else joints[parent] for parent in parents)
    tree = KinematicTree(Skeleton("longer", joints, names))  # type: ignore[arg-type]
    named = dict(zip(tree.names, (SEGMENTS[s] for s in segments_of_bones(tree)), strict=True))
    assert [named[name] for name in more] == ["foot"] * 2 + ["hand"] * 4


def test_factors_are_those_of_the_survey() -> None:
    logs = draw_factors(60_000, generator()).double().log()
    within, half = np.diag(DEVIATIONS), np.log(WOMEN_OVER_MEN) / 2
    correlations = np.eye(len(SEGMENTS))
    for row, values in enumerate(CORRELATIONS):
        correlations[row, :row] = correlations[:row, row] = values
    # The mixture of two sexes adds the square of half their difference.
    expected = within @ correlations @ within + np.outer(half, half)
    np.testing.assert_allclose(np.cov(logs.numpy().T), expected, atol=1e-4)
    np.testing.assert_allclose(logs.mean(0), 0, atol=1.5e-3)
    # Shoulders tell the sexes best: the two halves lie apart by the ratio.
    assert logs.exp().min() > 0.6
    assert logs.exp().max() < 1.65


def test_given_bodies_are_even_and_start_from_the_subject() -> None:
    before = bodies(4000)
    given = torch.arange(4000) % 2 == 0
    subject = (before.lengths.mean(0) + before.lengths.mean(0)[list(TREE.mirror)]) / 2
    after = give_bodies(before, TREE, given, subject.expand(4000, -1), generator())
    torch.testing.assert_close(after.lengths[~given], before.lengths[~given])
    torch.testing.assert_close(after.directions, before.directions)
    factors = after.lengths[given] / subject
    torch.testing.assert_close(factors, factors[:, list(TREE.mirror)])
    torch.testing.assert_close(factors.log().mean(0), torch.zeros(16), atol=5e-3, rtol=0)
    # Nose and head keep their triangle with the thorax.
    torch.testing.assert_close(factors[:, TREE.bone("nose")], factors[:, TREE.bone("head")])
    assert factors.std(0).min() > 0.04


@pytest.fixture(scope="module")
def bred(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bodies") / "bodies.h5"
    evolve(tiny_store, path, ONLY_BODIES)
    return path


def test_spreads_do_not_grow_and_feet_stay_on_the_ground(bred: Path) -> None:
    with PoseStore(bred) as store:
        poses = store.read()
    assert poses.lineage is not None
    assert poses.joints_3d is not None
    joints = torch.from_numpy(poses.joints_3d)
    lineage = poses.lineage
    assert set(lineage.operator[64:]) == {"lengths"}
    assert AnatomicalLimits(TREE).accepts(joints[64:]).all()
    parents = joints[lineage.parent_a[64:]]
    torch.testing.assert_close(joints[64:, :, 2].amin(-1), parents[:, :, 2].amin(-1), atol=2e-3, rtol=0)
    local = to_local(TREE, joints)
    templates, person = length_templates(local.lengths[:64].numpy(), poses.subject[:64], TREE)
    ancestor = lineage.parent_a.copy()
    ancestor[:64] = np.arange(64)
    for _ in range(4):
        ancestor = ancestor[ancestor]
    logs = np.log(local.lengths.numpy() / templates[person[ancestor]])
    spread = [logs[lineage.generation == g].std() for g in range(1, 5)]
    assert spread == pytest.approx([0.063] * 4, abs=0.012)


def test_the_same_bodies_whoever_breeds_them(bred: Path, tiny_store: Path, tmp_path: Path) -> None:
    with block_workers(2, None) as two:
        evolve(tiny_store, tmp_path / "two.h5", ONLY_BODIES, workers=two)
    assert (tmp_path / "two.h5").read_bytes() == bred.read_bytes()


def test_directions_of_what_was_bred_are_the_parents(bred: Path) -> None:
    with PoseStore(bred) as store:
        poses = store.read()
    assert poses.lineage is not None
    child = to_local(TREE, torch.from_numpy(poses.joints_3d[64:]))
    parent = to_local(TREE, torch.from_numpy(poses.joints_3d[poses.lineage.parent_a[64:]]))
    torch.testing.assert_close(child.directions, parent.directions, atol=2e-4, rtol=0)
    torch.testing.assert_close(
        to_joints(TREE, child), torch.from_numpy(poses.joints_3d[64:]), atol=5e-3, rtol=0
    )
