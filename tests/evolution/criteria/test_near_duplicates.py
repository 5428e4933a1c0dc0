"""Duplicates within a radius: the search against all pairs, and evolution that keeps its distance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from evolift.cli.evolve import evolve as command
from evolift.evolution.criteria.near_duplicates import (
    Crowd,
    DuplicateFilter,
    PostureSpace,
    apart_from_each_other,
    duplicate_filter,
)
from evolift.evolution.job.algorithm import evolve
from evolift.evolution.job.block_workers import ProcessWorkers
from evolift.evolution.kinematics.gene_pool import GenePool
from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.kinematics.local_bones import LocalBones, to_joints, to_local
from evolift.evolution.operators.length_templates import length_templates
from evolift.evolution.settings import ALGORITHM_1
from evolift.posedata.errors import InputError
from evolift.posedata.skeleton import H36M17
from evolift.posedata.store import PoseStore
from tests.evolution.kinematics.test_local_bones import random_bodies

TREE = KinematicTree(H36M17)
LENGTHS = np.linspace(100, 400, 16).astype(np.float32)


def cloud(n: int, seed: int) -> LocalBones:
    """Bodies of which many are near others: a few postures, each a little varied."""
    few = random_bodies(H36M17, 40, 11, spread=0.3)
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, 1, (n, 17, 3)) * rng.uniform(2, 30, (n, 1, 1))
    return to_local(
        TREE, few[torch.from_numpy(rng.integers(0, 40, n))] + torch.from_numpy(noise.astype(np.float32))
    )


def on_common_body(local: LocalBones, lengths: np.ndarray = LENGTHS) -> np.ndarray:
    """The obvious way: rebuild each pose with the lengths, then take it into the axes of its hips, in float64."""
    joints = to_joints(TREE, local.with_values(lengths=torch.from_numpy(lengths).expand(len(local), -1)))
    joints = (joints - joints[:, :1]).double().numpy()
    return np.einsum("nij,nki->nkj", local.lower.double().numpy(), joints)


def all_distances(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.sqrt(np.square(one[:, None] - other[None]).sum(-1).mean(-1))


@pytest.mark.parametrize("radius", [20.0, 60.0, 400.0])
def test_the_search_finds_what_all_pairs_find(radius: float) -> None:
    crowd, probes = cloud(700, 1), cloud(300, 2)
    space = PostureSpace(TREE, LENGTHS, crowd[:50])
    pool = GenePool.in_memory(TREE, 700)
    pool.put(0, crowd)
    nearest = all_distances(on_common_body(probes), on_common_body(crowd)).min(1)
    clear = np.abs(nearest - radius) > 0.01  # float32 may decide the rest either way
    assert clear.mean() > 0.98
    expected = nearest < radius
    assert radius == 400.0 or 0.02 < expected.mean() < 0.98
    for candidates in (Crowd.of_pool(space, pool, 700), Crowd.of_points(space, space.points(crowd))):
        found = candidates.near(space.points(probes), radius)
        np.testing.assert_array_equal(found[clear], expected[clear])


def test_the_axes_change_nothing_but_speed() -> None:
    crowd, probes = cloud(600, 3), cloud(200, 4)
    answers = []
    for axes, sample in ((2, crowd[:40]), (8, crowd[40:200]), (30, probes)):
        space = PostureSpace(TREE, LENGTHS, sample, axes=axes)
        answers.append(Crowd.of_points(space, space.points(crowd)).near(space.points(probes), 50.0))
    assert 0 < answers[0].sum() < 200
    np.testing.assert_array_equal(answers[0], answers[1])
    np.testing.assert_array_equal(answers[0], answers[2])


def test_only_what_is_near_an_earlier_kept_one_is_dropped() -> None:
    local = cloud(300, 5)
    space = PostureSpace(TREE, LENGTHS, local)
    distances, radius = all_distances(on_common_body(local), on_common_body(local)), 55.0
    kept: list[int] = []
    for row in range(300):
        if all(distances[row, other] >= radius for other in kept):
            kept.append(row)
    assert 50 < len(kept) < 270
    found = apart_from_each_other(space, space.points(local), radius)
    assert np.flatnonzero(found).tolist() == kept


def test_siblings_count_too() -> None:
    local = cloud(200, 6)
    space = PostureSpace(TREE, LENGTHS, local)
    nobody = Crowd.of_points(space, space.points(local[:1]) + 1e4)
    filter_ = DuplicateFilter(nobody, 40.0)
    first, points = filter_.keep(local[:100], None)
    second, _ = filter_.keep(local[100:], points)
    whole, _ = filter_.keep(local, None)
    assert len(second) < 100
    assert whole.tolist() == first.tolist() + (100 + second).tolist()


def test_evolved_poses_keep_their_distance(tiny_store: Path, tmp_path: Path) -> None:
    settings = ALGORITHM_1.replaced(ratio=6.0, generations=2, min_distance=30.0, mirror_rate=0.3)
    report = evolve(tiny_store, tmp_path / "out.h5", settings, block=100)
    plain = evolve(tiny_store, tmp_path / "plain.h5", settings.replaced(min_distance=0.0), block=100)
    assert sum(tally.duplicates for tally in plain.generations) == 0
    assert all(tally.duplicates > 20 for tally in report.generations)
    assert report.table().duplicates.tolist() == [tally.duplicates for tally in report.generations]
    nearest = {}
    for name in ("out", "plain"):
        with PoseStore(tmp_path / f"{name}.h5") as store:
            poses = store.read()
        assert poses.joints_3d is not None
        assert poses.lineage is not None
        local = to_local(TREE, torch.from_numpy(poses.joints_3d))
        templates, _ = length_templates(local.lengths[:64].numpy(), poses.subject[:64], TREE)
        here = on_common_body(local, templates.mean(0))
        # Rows that a child must keep away from: all generations before, and its own block's before it (2 of 160).
        starts = {1: 64, 2: 224}
        nearest[name] = []
        for row in range(64, 384):
            start = starts[int(poses.lineage.generation[row])]
            block = start + (row - start) // 100 * 100
            others = np.r_[0:start, block:row]
            nearest[name].append(all_distances(here[row : row + 1], here[others]).min())
    assert min(nearest["out"]) > 29.9
    assert min(nearest["plain"]) < 20


@pytest.mark.slow
def test_workers_refuse_the_same_duplicates(tiny_store: Path, tmp_path: Path) -> None:
    settings = ALGORITHM_1.replaced(ratio=8.0, generations=2, min_distance=25.0)
    evolve(tiny_store, tmp_path / "one.h5", settings, block=100)
    with ProcessWorkers(2) as workers:
        evolve(tiny_store, tmp_path / "two.h5", settings, workers=workers, block=100)
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "two.h5").read_bytes()


def test_no_room_left_is_one_sentence(tiny_store: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(
        command, [str(tiny_store), "-o", str(tmp_path / "out.h5"), "--min-distance", "900"]
    )
    assert isinstance(result.exception, InputError)
    assert "nearly all children are too near to poses that are there already" in str(result.exception)
    assert not any(tmp_path.iterdir())
    with pytest.raises(InputError, match="`min_distance` must be a number of at least 0, not -1"):
        ALGORITHM_1.replaced(min_distance=-1.0)


def test_the_common_body_is_the_mean_of_the_subjects() -> None:
    local = cloud(30, 7)
    pool = GenePool.in_memory(TREE, 30)
    pool.put(0, local)
    templates = np.stack([LENGTHS, LENGTHS + 50])
    crowd = duplicate_filter(pool, 30, 20, templates, 10.0).population
    expected = on_common_body(local, LENGTHS + 25).reshape(30, -1) / np.sqrt(17)
    np.testing.assert_allclose(crowd.space.points(local), expected, atol=1e-3)
    assert crowd.near(crowd.space.points(local), 10.0).all()
