"""Criteria beyond joint-angle limits, each against a slow loop, and evolution under them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.optimize import lsq_linear

from evolift.evolution.criteria.capsules import RADII, Capsules
from evolift.evolution.criteria.criterion_sources import criteria_by_names
from evolift.evolution.criteria.ground import Ground, store_supports, supports
from evolift.evolution.job.algorithm import evolve
from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.kinematics.segment_distance import segment_distance
from evolift.evolution.operators.random_limbs import with_random_limbs
from evolift.evolution.settings import ALGORITHM_1, EvolutionSettings
from evolift.posedata.errors import InputError, StoreError
from evolift.posedata.poses import Poses
from evolift.posedata.skeleton import BODY25, H36M16, H36M17, Skeleton
from evolift.posedata.store import PoseStore, PoseStoreWriter, Provenance
from tests.evolution.kinematics.test_local_bones import random_bodies

TREE = KinematicTree(H36M17)


def plain_distance(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> float:
    """The least squares of the gap over the places 0 to 1 on both segments."""
    found = lsq_linear(np.stack([b - a, c - d], 1), c - a, bounds=(0, 1), method="bvls", tol=1e-12)
    return float(np.sqrt(2 * found.cost))


def test_distances_of_segments_are_those_of_a_solver() -> None:
    rng = np.random.default_rng(0)
    ends = rng.normal(0, 0.4, (4, 60, 3))
    ends[1, 40:45] = ends[0, 40:45]  # a point and a segment
    ends[3, 45:50] = ends[2, 45:50] + (ends[1, 45:50] - ends[0, 45:50])  # parallel
    ends[2:, 50:55] = ends[:2, 50:55] + 0.5 * (ends[1, 50:55] - ends[0, 50:55])  # on one line, overlapping
    ends[3, 55:] = ends[2, 55:]
    ends[1, 55:] = ends[0, 55:]  # two points
    found = segment_distance(*(torch.from_numpy(end.T.copy()) for end in ends))
    expected = [plain_distance(*ends[:, row]) for row in range(60)]
    np.testing.assert_allclose(found, expected, atol=2e-5)
    in_mm = segment_distance(*(torch.from_numpy((1000 * end).T.astype(np.float32)) for end in ends))
    np.testing.assert_allclose(in_mm, 1000 * np.array(expected), atol=0.5)


def capsules_of(joints: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray, float, set[str]]]:
    """Name -> both ends, radius, and the joints that it touches."""
    at = {name: joints[H36M17.index(name)] for name in H36M17.joints}
    trunk = float(np.linalg.norm(at["thorax"] - at["pelvis"]))
    capsules = {
        "trunk": (at["pelvis"], at["thorax"], RADII["trunk"] * trunk, {"pelvis", "thorax"}),
        # From about the base of the skull: half-way up from the thorax.
        "head": ((at["thorax"] + at["head"]) / 2, at["head"], RADII["head"] * trunk, {"thorax", "head"}),
    }
    bones = {"upper_arm": ("shoulder", "elbow"), "forearm": ("elbow", "wrist"), "thigh": ("hip", "knee"), "shin": ("knee", "ankle")}  # fmt: skip
    for side in ("left", "right"):
        for kind, (one, other) in bones.items():
            names = {f"{side}_{one}", f"{side}_{other}"}
            capsules[f"{side} {kind}"] = (
                at[f"{side}_{one}"],
                at[f"{side}_{other}"],
                RADII[kind] * trunk,
                names,
            )
        middle = (at["thorax"] + at[f"{side}_shoulder"]) / 2
        touched = {f"{side}_hip", f"{side}_shoulder", "thorax"}
        capsules[f"{side} flank"] = (at[f"{side}_hip"], middle, RADII["flank"] * trunk, touched)
    return capsules


def plain_reasons(joints: np.ndarray) -> set[str]:
    """Pair by pair, with the words spelt out."""
    part = {"upper_arm": "arm", "forearm": "arm", "thigh": "leg", "shin": "leg", "flank": "trunk"}
    order = ["arm", "leg", "trunk", "head"]
    capsules = capsules_of(joints / 1000)
    reasons = set()
    for one in capsules:
        for other in capsules:
            kinds = [part.get(name.split()[-1], name) for name in (one, other)]
            a, b, radius, touched = capsules[one]
            c, d, other_radius, others = capsules[other]
            skip = one >= other or touched & others
            skip = skip or all(kind in ("trunk", "head") for kind in kinds)
            skip = skip or ("thigh" in one + other and "trunk" in kinds)
            if not skip and plain_distance(a, b, c, d) < radius + other_radius:
                first, second = sorted(kinds, key=order.index)
                reasons.add(f"{first} in {second}")
    return reasons


def test_capsules_say_what_a_loop_over_pairs_says(make_poses: Callable[..., Poses]) -> None:
    joints = make_poses(16).joints_3d
    assert joints is not None
    wild = with_random_limbs(torch.from_numpy(joints), TREE, torch.Generator().manual_seed(0))
    criterion = Capsules(TREE)
    verdicts = criterion.check(wild).numpy()
    assert (~verdicts).any(1).sum() > 2
    for pose, verdict in zip(wild.double().numpy(), verdicts, strict=True):
        said = {reason for reason, valid in zip(criterion.reasons, verdict, strict=True) if not valid}
        assert said == plain_reasons(pose)
    # Larger and smaller people are judged alike.
    np.testing.assert_array_equal(criterion.check(wild * 1.3 + 50), verdicts)


def test_a_forearm_through_the_trunk_is_refused(standing_pose: np.ndarray) -> None:
    criterion = Capsules(TREE)
    pierced = standing_pose.copy()
    chest = (pierced[H36M17.index("spine")] + pierced[H36M17.index("thorax")]) / 2
    elbow = pierced[H36M17.index("right_elbow")]
    pierced[H36M17.index("right_wrist")] = elbow + 2 * (chest - elbow)
    verdicts = criterion.check(torch.from_numpy(np.stack([standing_pose, pierced])))
    assert verdicts[0].all()
    assert not verdicts[1, criterion.reasons.index("arm in trunk")]


def test_feet_sink_float_and_hang(standing_pose: np.ndarray) -> None:
    low = float(standing_pose[:, 2].min())
    upside_down = standing_pose * np.array([1, 1, -1], np.float32)
    joints = torch.from_numpy(np.stack([standing_pose] * 5 + [upside_down]))
    support = torch.tensor([low, low + 59, low + 61, low - 99, low - 101, float(upside_down[:, 2].min())])
    verdicts = Ground(TREE).check(joints, support)
    assert Ground.reasons == ("sunk", "floating", "no foot down")
    assert verdicts.tolist() == [
        [True, True, True],
        [True, True, True],
        [False, True, True],
        [True, True, True],
        [True, False, True],
        [True, True, False],
    ]


def test_settled_children_stand_as_high_as_their_bodies_parents(tiny_store: Path, tmp_path: Path) -> None:
    wild = EvolutionSettings(ratio=4.0, generations=2, seed=3)
    stores = {}
    for name, settings in (("settled", wild), ("left", wild.replaced(settle=False))):
        evolve(tiny_store, tmp_path / f"{name}.h5", settings)
        with PoseStore(tmp_path / f"{name}.h5") as store:
            stores[name] = store.read()
    joints, lineage = stores["settled"].joints_3d, stores["settled"].lineage
    assert joints is not None
    assert lineage is not None
    lowest = joints[..., 2].min(-1)
    np.testing.assert_allclose(lowest[64:], lowest[lineage.parent_a[64:]], atol=2e-3)
    # Nothing else changes: in the first generation the same children are bred, at another height.
    free = stores["left"].joints_3d
    assert free is not None
    first = slice(64, 160)
    rise = joints[first, :, 2] - free[first, :, 2]
    np.testing.assert_allclose(rise, rise[:, :1].repeat(17, 1), atol=2e-3)
    np.testing.assert_allclose(joints[first, :, :2], free[first, :, :2], atol=2e-3)
    assert np.abs(rise[:, 0]).mean() > 30


def test_originals_stand_on_their_clip_or_higher() -> None:
    rng = np.random.default_rng(1)
    lowest = rng.uniform(50, 900, 200).astype(np.float32)
    subject = pd.Categorical(rng.choice(["ann", "bob"], 200))
    action = pd.Categorical(rng.choice(["walk", "climb"], 200))
    found = supports(lowest, subject, action)
    for row in range(200):
        clip = (subject == subject[row]) & (action == action[row])
        assert found[row] == pytest.approx(max(np.percentile(lowest[clip], 5), lowest[row]), abs=0.01)


SETTINGS = ALGORITHM_1.replaced(
    ratio=16.0, generations=3, sigma=40.0, criteria=("ground", "capsules"), seed=4
)


def test_children_meet_the_criteria_and_refusals_are_counted(tiny_store: Path, tmp_path: Path) -> None:
    report = evolve(tiny_store, tmp_path / "out.h5", SETTINGS)
    with PoseStore(tmp_path / "out.h5") as store:
        poses, standing, provenance = store.read(), store_supports(store), store.provenance
    assert poses.joints_3d is not None
    assert poses.lineage is not None
    joints = torch.from_numpy(poses.joints_3d)
    # A child stands where the first of its line stands, found here step by step.
    for row in range(64, len(poses), 13):
        ancestor = row
        while poses.lineage.parent_a[ancestor] >= 0:
            ancestor = poses.lineage.parent_a[ancestor]
        assert standing[row] == standing[ancestor]
        assert standing[row] >= joints[ancestor, :, 2].min()
    for criterion in criteria_by_names(("ground", "capsules"), TREE):
        assert criterion.check(joints[64:], torch.from_numpy(standing[64:])).all()
    for number, tally in enumerate(report.generations):
        assert tally.implausible_by["ground"] > 5
        assert tally.implausible_by["capsules"] > 0
        assert max(tally.implausible_by.values()) <= tally.implausible <= sum(tally.implausible_by.values())
        stored = provenance.parameters["report"]["generations"][number]
        assert stored["implausible_by"] == tally.implausible_by
        assert report.table()["ground"][number] == tally.implausible_by["ground"]
    reasons = report.reasons()
    assert list(reasons.values()) == sorted(reasons.values(), reverse=True)
    assert reasons["ground: sunk"] == sum(
        tally.reasons.get("ground: sunk", 0) for tally in report.generations
    )


def test_without_criteria_children_break_them(tiny_store: Path, tmp_path: Path) -> None:
    plain = ALGORITHM_1.replaced(ratio=8.0, generations=3, sigma=40.0, seed=4)
    report = evolve(tiny_store, tmp_path / "out.h5", plain)
    with PoseStore(tmp_path / "out.h5") as store:
        joints = store.read().joints_3d
        standing = store_supports(store)
    assert joints is not None
    verdict = Ground(TREE).check(torch.from_numpy(joints[64:]), torch.from_numpy(standing[64:]))
    assert not verdict.all()
    assert report.reasons() == {}


def test_criteria_that_refuse_all_are_named(tmp_path: Path, make_poses: Callable[..., Poses]) -> None:
    poses = make_poses(20)
    assert poses.joints_3d is not None
    # Turned about the line ahead, not mirrored: a mirror would swap the sides, which the limits refuse.
    upside_down = Poses(
        poses.subject, poses.action, poses.frame, poses.joints_3d * np.array([1, -1, -1], np.float32)
    )
    with PoseStoreWriter(
        tmp_path / "heads.h5", H36M17, "world", Provenance("test"), implausible="accept"
    ) as writer:
        writer.append(upside_down)
    with pytest.raises(
        InputError, match=r"the criteria refuse nearly all children .* for ground: no foot down"
    ):
        evolve(tmp_path / "heads.h5", tmp_path / "out.h5", ALGORITHM_1.replaced(criteria=("ground",)))


def test_criteria_that_cannot_be() -> None:
    with pytest.raises(InputError, match="`criteria` must be a list, each one of ground, capsules, not"):
        ALGORITHM_1.replaced(criteria=("ground", "balance"))
    with pytest.raises(InputError, match="`criteria` names one twice: ground, ground"):
        ALGORITHM_1.replaced(criteria=("ground", "ground"))
    bust = Skeleton(
        "BUST",
        ("pelvis", "chest", "left_hip", "right_hip", "left_shoulder", "right_shoulder"),
        (None, "pelvis", "pelvis", "pelvis", "chest", "chest"),
    )
    with pytest.raises(InputError, match="needs ankles, the skeleton BUST has none"):
        criteria_by_names(("ground",), KinematicTree(bust))
    with pytest.raises(InputError, match="the skeleton BUST lacks left_ankle, left_elbow"):
        criteria_by_names(("capsules",), KinematicTree(bust))


@pytest.mark.parametrize("skeleton", [H36M16, BODY25], ids=lambda skeleton: skeleton.name)
def test_other_skeletons_are_judged_too(skeleton: Skeleton) -> None:
    joints = random_bodies(skeleton, 200, 3)
    for criterion in criteria_by_names(("ground", "capsules"), KinematicTree(skeleton)):
        verdicts = criterion.check(joints, joints[..., 2].amin(-1))
        assert verdicts.shape == (200, len(criterion.reasons))
        assert 0 < verdicts.all(-1).float().mean() < 1


def test_the_ground_needs_the_world_frame(tmp_path: Path, make_poses: Callable[..., Poses]) -> None:
    poses = make_poses(3)
    flat = Poses(
        poses.subject,
        poses.action,
        poses.frame,
        joints_2d=np.ones((3, 17, 2), np.float32),
        visibility=np.full((3, 17), 2, np.uint8),
    )
    with PoseStoreWriter(tmp_path / "flat.h5", H36M17, "none", Provenance("test")) as writer:
        writer.append(flat)
    with (
        PoseStore(tmp_path / "flat.h5") as store,
        pytest.raises(StoreError, match=r"flat\.h5: the ground is judged in the world frame"),
    ):
        store_supports(store)
