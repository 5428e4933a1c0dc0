"""Reports on stores, and the pass rates of real and synthetic people that the package states."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from evolift.evolution.criteria.criterion_sources import criteria_by_names
from evolift.evolution.criteria.ground import store_supports
from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.kinematics.local_bones import to_local
from evolift.evolution.limits.anatomical_limits import AnatomicalLimits
from evolift.evolution.limits.fitting import fit_store
from evolift.evolution.limits.limits_report import report_on_store
from evolift.evolution.operators.random_limbs import with_random_limbs
from evolift.posedata.errors import InputError
from evolift.posedata.importers.bvh import import_bvh
from evolift.posedata.importers.cmu_asfamc import import_cmu
from evolift.posedata.importers.settings import CmuSettings
from evolift.posedata.seeds import generator_at
from evolift.posedata.skeleton import H36M17, MPII16
from evolift.posedata.store import PoseStore
from evolift.synthetic.acting.actors import (
    TEST_ACTIONS,
    TEST_SUBJECTS,
    TRAIN_ACTIONS,
    TRAIN_SUBJECTS,
    write_actor_store,
)
from evolift.synthetic.settings import ActorSettings

LIMITS = AnatomicalLimits(KinematicTree(H36M17))


def test_counts_are_those_of_the_verdicts(tiny_store: Path) -> None:
    with PoseStore(tiny_store) as store:
        report = report_on_store(store, LIMITS, worst=5)
        joints = store.read().joints_3d
    assert joints is not None
    verdict = LIMITS.check(torch.from_numpy(joints)).numpy()
    assert report.poses == 64
    assert report.accepted == verdict.all(-1).sum()
    assert 0 < report.accepted < 64
    by_bone = dict(zip(LIMITS.bones, (~verdict).sum(0).tolist(), strict=True))
    assert report.refused_by == {bone: by_bone[bone] for bone in report.refused_by}
    assert "left_hip" not in report.refused_by
    broken = (~verdict).sum(-1)
    assert len(report.worst) <= 5
    assert broken[report.worst].min() >= np.sort(broken)[-5]
    table = report.table()
    assert table.refused.is_monotonic_decreasing
    assert table.bone[0] == "(whole pose)"


def test_random_limbs_are_uniform_on_the_same_bodies(tiny_store: Path) -> None:
    with PoseStore(tiny_store) as store:
        joints = store.read().joints_3d
    assert joints is not None
    before = to_local(LIMITS.tree, torch.from_numpy(joints).repeat(20, 1, 1))
    after = to_local(
        LIMITS.tree,
        with_random_limbs(
            torch.from_numpy(joints).repeat(20, 1, 1), LIMITS.tree, torch.Generator().manual_seed(0)
        ),
    )
    torch.testing.assert_close(after.lengths, before.lengths, atol=5e-3, rtol=0)
    limbs = torch.tensor(LIMITS.tree.is_limb)
    torch.testing.assert_close(after.directions[:, ~limbs], before.directions[:, ~limbs], atol=2e-3, rtol=0)
    # Uniform on the sphere: each coordinate is uniform from -1 to 1 (Archimedes).
    directions = after.directions[:, limbs].reshape(-1, 3)
    assert directions.mean(0).abs().max() < 0.03
    torch.testing.assert_close((directions**2).mean(0), torch.full((3,), 1 / 3), atol=0.02, rtol=0)
    assert (directions[:, 2].abs() < 0.5).float().mean() == pytest.approx(0.5, abs=0.02)


def test_the_report_counts_criteria_and_random_limbs(tiny_store: Path) -> None:
    criteria = criteria_by_names(("ground", "capsules"), LIMITS.tree)
    with PoseStore(tiny_store) as store:
        report = report_on_store(store, LIMITS, criteria=criteria, random_limbs=True)
        joints, standing = store.read().joints_3d, store_supports(store)
    assert joints is not None
    assert report.random is not None
    wild = with_random_limbs(torch.from_numpy(joints), LIMITS.tree, generator_at(0, 0))
    assert report.random.accepted == int(LIMITS.accepts(wild).sum())
    assert report.random.rate < report.rate
    plausible = torch.ones(64, dtype=torch.bool)
    for criterion in criteria:
        verdict = criterion.check(wild, torch.from_numpy(standing))
        plausible &= verdict.all(-1)
        for reason, refused in zip(criterion.reasons, (~verdict).sum(0).tolist(), strict=True):
            assert report.random.reasons[f"{criterion.name}: {reason}"] == refused
    assert report.random.implausible == int((~plausible).sum()) > 40
    table = report.table().set_index("bone")
    assert table.random_accepted_percent["(all criteria)"] == pytest.approx(
        100 * float(plausible.float().mean())
    )
    assert np.isnan(table.random_accepted_percent["head"])
    assert table.random_accepted_percent["left_ankle"] < table.accepted_percent["left_ankle"]


def test_limits_of_another_skeleton_are_refused(tiny_store: Path) -> None:
    limits = AnatomicalLimits(KinematicTree(MPII16))
    with PoseStore(tiny_store) as store, pytest.raises(InputError, match=r"tiny\.h5 has skeleton H36M17"):
        report_on_store(store, limits)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("subjects", "actions", "clips"), [(TRAIN_SUBJECTS, TRAIN_ACTIONS, 1), (TEST_SUBJECTS, TEST_ACTIONS, 3)]
)
def test_synthetic_actors_keep_the_anatomical_limits(
    tmp_path: Path, subjects: tuple[str, ...], actions: tuple[str, ...], clips: int
) -> None:
    path = tmp_path / "actors.h5"
    write_actor_store(
        path, ActorSettings(clips_per_action=clips, frames=10), subjects=subjects, actions=actions
    )
    with PoseStore(path) as store:
        report = report_on_store(store, LIMITS)
    assert report.rate >= 0.98, report.table().to_string()


@pytest.mark.real_data
@pytest.mark.slow
def test_held_out_people_keep_the_limits_and_random_limbs_do_not(data_folder: Path, tmp_path: Path) -> None:
    archive = data_folder / "cmu_asfamc_subset.zip"
    import_cmu(archive, tmp_path / "train.h5", CmuSettings(fps=10.0), subjects=["01", "03"])
    import_cmu(archive, tmp_path / "test.h5", CmuSettings(fps=10.0), subjects=["02"])
    import_bvh(data_folder / "cmu_walk_bvh.zip", tmp_path / "walks.h5", fps=10.0)
    with PoseStore(tmp_path / "train.h5") as store:
        fitted = fit_store(store, tmp_path / "limits.h5")
    criteria = criteria_by_names(("ground", "capsules"), LIMITS.tree)
    for limits in (LIMITS, fitted):
        for name in ("test.h5", "walks.h5"):
            with PoseStore(tmp_path / name) as store:
                report = report_on_store(store, limits, criteria=criteria, random_limbs=True)
            assert report.poses > 1000
            assert report.rate >= 0.98, report.table().to_string()
            assert 1 - report.implausible / report.poses >= 0.98, report.table().to_string()
            assert report.random is not None
            assert report.random.rate < 0.01, report.table().to_string()
            assert report.random.implausible / report.poses > 0.9
