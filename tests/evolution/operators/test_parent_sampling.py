"""Weighted parents, copies and length templates."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from evolift.evolution.job.algorithm import evolve
from evolift.evolution.kinematics.gene_pool import GenePool, pack, unpack
from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.kinematics.local_bones import to_local
from evolift.evolution.operators.length_templates import length_templates
from evolift.evolution.operators.parent_sampling import (
    draw_weighted_pairs,
    hardness,
    in_torso_frame,
    novelty,
    pose_distance,
)
from evolift.evolution.settings import ALGORITHM_1, EvolutionSettings
from evolift.posedata.errors import InputError
from evolift.posedata.skeleton import H36M17
from evolift.posedata.store import PoseStore
from tests.evolution.kinematics.test_local_bones import random_bodies

TREE = KinematicTree(H36M17)


def pool_of(joints: torch.Tensor) -> GenePool:
    pool = GenePool.in_memory(TREE, len(joints))
    pool.put(0, to_local(TREE, joints))
    return pool


def test_genes_come_back_as_they_were() -> None:
    local = to_local(TREE, random_bodies(H36M17, 50, 1))
    back = unpack(pack(local), 16)
    for name, value in vars(local).items():
        assert torch.equal(getattr(back, name), value), name
    taken = pool_of(random_bodies(H36M17, 50, 1)).take(torch.tensor([7, 3, 7]))
    assert torch.equal(taken.directions, local.directions[[7, 3, 7]])


def test_rows_of_a_large_file_are_read_as_they_are_mapped(tmp_path: Path) -> None:
    genes = np.random.default_rng(0).normal(0, 1, (40, GenePool.width(TREE))).astype(np.float32)
    genes.tofile(tmp_path / "genes")
    rows = np.memmap(tmp_path / "genes", np.float32, "r", shape=genes.shape)
    members = torch.tensor([7, 39, 0, 7])
    mapped = GenePool(TREE, rows).take(members)
    pool = GenePool(TREE, rows, mapped_at_most=0)
    read = pool.take(members)
    for name, value in vars(mapped).items():
        assert torch.equal(getattr(read, name), value), name
    np.testing.assert_array_equal(pack(read), genes[members.numpy()])
    os.truncate(tmp_path / "genes", 39 * 4 * genes.shape[1])
    with pytest.raises(IndexError, match="has no row 39"):
        pool.take(members)


def test_pairs_follow_the_weights_and_never_pair_a_pose_with_itself() -> None:
    weights = np.array([1.0, 0.0, 2.0, 5.0])
    cumulative = torch.from_numpy(np.cumsum(weights))
    first, second = draw_weighted_pairs(cumulative, 40000, torch.Generator().manual_seed(0))
    assert (first != second).all()
    shares = torch.bincount(first, minlength=4) / 40000
    torch.testing.assert_close(shares, torch.tensor([1, 0, 2, 5]) / 8, atol=0.01, rtol=0)


def test_novelty_is_the_distance_to_the_nearest_other_pose() -> None:
    joints = random_bodies(H36M17, 60, 2, spread=0.3)
    pool, rows = pool_of(joints), np.arange(5, 60)
    scores = novelty(pool, rows, seed=3, generation=0)
    poses = in_torso_frame(to_local(TREE, joints), TREE)
    # Fewer poses than anchors: every pose is one, so the plain search over pairs is the reference.
    for number, row in enumerate(rows):
        others = [other for other in rows if other != row]
        nearest = min(float(pose_distance(poses[row], poses[other])) for other in others)
        assert scores[number] == pytest.approx(nearest, rel=1e-3, abs=0.5)


def test_hardness_sees_the_joints_and_is_checked() -> None:
    joints = random_bodies(H36M17, 40, 4)
    pool, rows = pool_of(joints), np.arange(10, 30)
    weights = hardness(pool, rows, lambda poses: poses[:, 0, 2] ** 2)
    np.testing.assert_allclose(weights, joints[10:30, 0, 2] ** 2, rtol=1e-4)
    for wrong in (
        lambda poses: -np.ones(len(poses)),
        lambda poses: np.ones(3),
        lambda poses: poses[:, 0, 0] * np.nan,
    ):
        with pytest.raises(InputError, match="one finite weight of at least 0"):
            hardness(pool, rows, wrong)
    with pytest.raises(InputError, match="no parent can be drawn"):
        hardness(pool, rows, lambda poses: np.zeros(len(poses)))


def test_evolution_prefers_hard_parents(tiny_store: Path, tmp_path: Path) -> None:
    settings = ALGORITHM_1.replaced(ratio=6.0, generations=1, sampling="hardness")
    with PoseStore(tiny_store) as store:
        source = store.read().joints_3d
    assert source is not None
    threshold = np.median(source[:, 13, 2])

    def raised_wrists(joints: np.ndarray) -> np.ndarray:
        return np.where(joints[:, 13, 2] > threshold, 9.0, 1.0)

    evolve(tiny_store, tmp_path / "hard.h5", settings, hardness=raised_wrists)
    with PoseStore(tmp_path / "hard.h5") as store:
        lineage = store.read(slice(64, None)).lineage
    assert lineage is not None
    assert (source[lineage.parent_a, 13, 2] > threshold).mean() > 0.8
    with pytest.raises(InputError, match="must be given together"):
        evolve(tiny_store, tmp_path / "x.h5", settings)
    with pytest.raises(InputError, match="must be given together"):
        evolve(tiny_store, tmp_path / "x.h5", EvolutionSettings(), hardness=raised_wrists)


def test_novelty_evolves_to_the_same_bytes_again(tiny_store: Path, tmp_path: Path) -> None:
    settings = ALGORITHM_1.replaced(ratio=4.0, generations=2, sampling="novelty", seed=1)
    for name in ("a.h5", "b.h5"):
        evolve(tiny_store, tmp_path / name, settings)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_copies_of_parents_are_refused_and_counted(tiny_store: Path, tmp_path: Path) -> None:
    settings = ALGORITHM_1.replaced(
        ratio=4.0,
        generations=1,
        crossover_rate=0.0,
        mutation_rate=1.0,
        sigma=10.0,
        min_change=25.0,
    )
    report = evolve(tiny_store, tmp_path / "out.h5", settings)
    assert report.generations[0].copies > 20
    with PoseStore(tmp_path / "out.h5") as store:
        poses = store.read()
    assert poses.joints_3d is not None
    assert poses.lineage is not None
    joints = torch.from_numpy(poses.joints_3d)
    # A mutation leaves root and heading alone, so distances need no alignment.
    change = pose_distance(joints[64:], joints[poses.lineage.parent_a[64:]])
    assert change.min() > 24.9


def test_templates_are_the_people_of_the_store() -> None:
    joints = random_bodies(H36M17, 30, 5)
    lengths = to_local(TREE, joints).lengths.numpy()
    subject = pd.Categorical(["ann"] * 10 + ["bob"] * 20, categories=["bob", "ann"])
    templates, _ = length_templates(lengths, subject, TREE)
    assert templates.shape == (2, 16)
    left, right = TREE.bone("left_knee"), TREE.bone("right_knee")
    expected = (np.median(lengths[10:, left]) + np.median(lengths[10:, right])) / 2
    assert templates[0, left] == templates[0, right] == pytest.approx(expected)


def test_children_get_templates(tiny_store: Path, tmp_path: Path) -> None:
    settings = ALGORITHM_1.replaced(
        ratio=3.0, generations=1, crossover_rate=0.0, mutation_rate=0.0, template_rate=1.0
    )
    evolve(tiny_store, tmp_path / "out.h5", settings)
    with PoseStore(tmp_path / "out.h5") as store:
        poses = store.read()
    assert poses.joints_3d is not None
    assert poses.lineage is not None
    assert set(poses.lineage.operator[64:]) == {"lengths"}
    local = to_local(TREE, torch.from_numpy(poses.joints_3d))
    templates, _ = length_templates(local.lengths[:64].numpy(), poses.subject[:64], TREE)
    off = np.abs(local.lengths[64:, None].numpy() - templates).max(-1)
    assert (off.min(-1) < 0.01).all()
    # Directions stay.
    parents = local.directions[poses.lineage.parent_a[64:]]
    torch.testing.assert_close(
        local.directions[64:, TREE.bone("left_wrist")], parents[:, TREE.bone("left_wrist")], atol=0.05, rtol=0
    )
