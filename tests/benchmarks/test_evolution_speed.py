"""Children per second: the batched operators against the same operators written as a loop over poses.

Method: one core, CPU time of the fastest of the rounds that pytest-benchmark makes after a warm-up; both sides run in
the same session over the same population (3,000 made-up bodies, limits fitted on them), and print
`children_per_second` among their extra information. The loop makes 20 children a round, the batches 16,384. The group
"choosing" has the choice between the directions of two parents for 8,192 children, bit by bit and by `torch.where`.
"""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from evolift.evolution.job.breeding import Parents, breed
from evolift.evolution.kinematics.direction import chosen
from evolift.evolution.kinematics.direction_cells import cell_of
from evolift.evolution.kinematics.gene_pool import GenePool
from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.kinematics.local_bones import to_local
from evolift.evolution.limits.fitted_limits import PARENT_SIDE, SIDE, FittedLimits, fit_limits
from evolift.evolution.settings import ALGORITHM_1, EvolutionSettings, FitSettings
from evolift.posedata.skeleton import H36M17
from tests.evolution.kinematics.test_local_bones import random_bodies, reference

TREE = KinematicTree(H36M17)
POSES = 3000


@pytest.fixture(scope="module")
def population() -> tuple[np.ndarray, GenePool, FittedLimits]:
    joints = random_bodies(H36M17, POSES, 1, spread=0.25)
    pool = GenePool.in_memory(TREE, POSES)
    pool.put(0, to_local(TREE, joints))
    return joints.numpy(), pool, fit_limits([joints], TREE, FitSettings())


@pytest.mark.benchmark(group="breeding", timer=time.process_time)
def test_batched(benchmark, population) -> None:  # type: ignore[no-untyped-def]
    _, pool, limits = population
    settings, parents = ALGORITHM_1, Parents(pool, np.arange(POSES))
    place = iter(range(10**6))
    children = 16384
    benchmark(lambda: breed(parents, children, limits, settings, (next(place),)))
    if benchmark.stats is not None:
        benchmark.extra_info["children_per_second"] = round(children / benchmark.stats.stats.min)


@pytest.mark.benchmark(group="breeding", timer=time.process_time)
def test_batched_with_the_default_settings(benchmark, population) -> None:  # type: ignore[no-untyped-def]
    joints, pool, limits = population
    lengths = to_local(TREE, torch.from_numpy(joints)).lengths.numpy()
    person = np.arange(POSES, dtype=np.int32)
    parents = Parents(pool, np.arange(POSES), templates=lengths, person=person, lowest=joints[..., 2].min(1))
    place = iter(range(10**6))
    children = 16384
    benchmark(lambda: breed(parents, children, limits, EvolutionSettings(), (next(place),)))
    if benchmark.stats is not None:
        benchmark.extra_info["children_per_second"] = round(children / benchmark.stats.stats.min)


@pytest.mark.benchmark(group="breeding", timer=time.process_time)
def test_one_pose_at_a_time(benchmark, population) -> None:  # type: ignore[no-untyped-def]
    joints, _, limits = population
    rng = np.random.default_rng(0)
    children = 20
    benchmark(lambda: [child_of_a_loop(joints, limits, rng) for _ in range(children)])
    if benchmark.stats is not None:
        benchmark.extra_info["children_per_second"] = round(children / benchmark.stats.stats.min)


@pytest.mark.benchmark(group="choosing", timer=time.process_time)
@pytest.mark.parametrize("choose", [chosen, torch.where], ids=["chosen", "where"])
def test_choosing(benchmark, choose) -> None:  # type: ignore[no-untyped-def]
    bones = len(TREE.names)
    first, second = (torch.randn(3, bones, 8192).permute(2, 1, 0) for _ in range(2))
    taken = (torch.rand(bones, 8192) < 0.3).T[..., None]
    benchmark(lambda: choose(taken, second, first))


def child_of_a_loop(joints: np.ndarray, limits: FittedLimits, rng: np.random.Generator) -> np.ndarray:
    """One valid child by plain matrices: measure both parents, exchange, mutate, rebuild, measure, check."""
    while True:
        a, b = rng.choice(len(joints), 2, replace=False)
        lower, upper, directions = reference(joints[a], TREE)
        _, other_upper, other = reference(joints[b], TREE)
        taken = TREE.subtree[rng.choice(TREE.movable)].numpy()
        directions[taken] = other[taken]
        if taken[TREE.trunk[-1]]:
            upper = other_upper
        bone = rng.choice(TREE.movable)
        step = rng.normal(0, math.radians(10), 3)
        step -= directions[bone] * (step @ directions[bone])
        directions[bone] = Rotation.from_rotvec(np.cross(directions[bone], step)).apply(directions[bone])
        child = rebuilt(joints[a], lower, upper, directions)
        _, upper, directions = reference(child, TREE)
        if within_limits(upper, directions, limits):
            return child


def rebuilt(body: np.ndarray, lower: np.ndarray, upper: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Joints from local directions with the bone lengths of a body."""
    rests = TREE.rest_directions.numpy()
    joints = np.zeros_like(body)
    joints[0] = body[0]
    frames: dict[int, np.ndarray] = {}

    def rotation(start: np.ndarray, end: np.ndarray) -> np.ndarray:
        half = (start + end)[:, None]
        back = np.eye(3) - 2 * np.outer(start, start)
        return (np.eye(3) - 2 * half @ half.T / (half.T @ half)) @ back

    for bone, joint in enumerate(TREE.joints_of_bones):
        parent = H36M17.parent_indices[joint]
        if TREE.carriers[bone]:
            frame = frames[TREE.carriers[bone][-1]]
        else:
            frame = frames[TREE.trunk[-1]] @ upper if TREE.in_upper[bone] else lower
        length = np.linalg.norm(body[joint] - body[parent])
        joints[joint] = joints[parent] + length * frame @ directions[bone]
        hangs = np.array([0.0, 0.0, -1.0]) if TREE.is_limb[bone] else rests[bone]
        frames[bone] = frame @ rotation(rests[bone], directions[bone]) @ rotation(hangs, rests[bone])
    return joints


def within_limits(upper: np.ndarray, directions: np.ndarray, limits: FittedLimits) -> bool:
    """The verdict on one pose, bone by bone."""

    def cell(direction: np.ndarray, side: int) -> int:
        return int(cell_of(torch.from_numpy(direction)[:, None], side))

    for bone, allowed in limits.free.items():
        if not allowed[cell(directions[bone], SIDE)]:
            return False
    for bone, table in limits.bound.items():
        if not table[cell(directions[TREE.parents[bone]], PARENT_SIDE), cell(directions[bone], SIDE)]:
            return False
    return bool(limits.shoulder_line[cell(upper[:, 0], SIDE)])


def test_the_loop_makes_the_same_kind_of_children(population) -> None:  # type: ignore[no-untyped-def]
    """Both keep the limits and the bodies, so the comparison is of equals."""
    joints, _, limits = population
    rng = np.random.default_rng(1)
    children = torch.from_numpy(np.stack([child_of_a_loop(joints, limits, rng) for _ in range(10)]))
    assert limits.accepts(children.float()).all()
    lengths = to_local(TREE, torch.from_numpy(joints)).lengths
    own = to_local(TREE, children.float()).lengths
    nearest = (own[:, None] - lengths).abs().amax(-1).min(-1).values
    assert nearest.max() < 0.01
