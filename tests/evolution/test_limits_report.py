"""Reports on stores, and the pass rates of real and synthetic people that the package states."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from evolution.anatomical_limits import AnatomicalLimits
from evolution.fitted_limits import FitSettings
from evolution.fitting import fit_store
from evolution.kinematic_tree import KinematicTree
from evolution.limits_report import report_on_store
from evolution.local_bones import to_joints, to_local
from posedata.acting.actors import (
    TEST_ACTIONS,
    TEST_SUBJECTS,
    TRAIN_ACTIONS,
    TRAIN_SUBJECTS,
    write_actor_store,
)
from posedata.errors import InputError
from posedata.importers.bvh import import_bvh
from posedata.importers.cmu_asfamc import import_cmu
from posedata.skeleton import H36M17, MPII16
from posedata.store import PoseStore

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
    write_actor_store(path, subjects=subjects, actions=actions, clips_per_action=clips, frames=10)
    with PoseStore(path) as store:
        report = report_on_store(store, LIMITS)
    assert report.rate >= 0.98, report.table().to_string()


@pytest.mark.real_data
@pytest.mark.slow
def test_held_out_people_keep_the_limits_and_random_limbs_do_not(data_folder: Path, tmp_path: Path) -> None:
    archive = data_folder / "cmu_asfamc_subset.zip"
    import_cmu(archive, tmp_path / "train.h5", subjects=["01", "03"], fps=10.0)
    import_cmu(archive, tmp_path / "test.h5", subjects=["02"], fps=10.0)
    import_bvh(data_folder / "cmu_walk_bvh.zip", tmp_path / "walks.h5", fps=10.0)
    with PoseStore(tmp_path / "train.h5") as store:
        fitted = fit_store(store, FitSettings(), tmp_path / "limits.h5")
    for limits in (LIMITS, fitted):
        for name in ("test.h5", "walks.h5"):
            with PoseStore(tmp_path / name) as store:
                report = report_on_store(store, limits)
                assert report.poses > 1000
                assert report.rate >= 0.98, report.table().to_string()
        with PoseStore(tmp_path / "test.h5") as store:
            joints = store.read().joints_3d
        assert joints is not None
        body = to_local(LIMITS.tree, torch.from_numpy(joints))
        limbs = [bone for bone, limb in enumerate(LIMITS.tree.is_limb) if limb]
        anywhere = torch.randn(len(body), len(limbs), 3, generator=torch.Generator().manual_seed(0))
        directions = body.directions.clone()
        directions[:, limbs] = torch.nn.functional.normalize(anywhere, dim=-1)
        random_limbs = to_joints(LIMITS.tree, body.with_values(directions=directions))
        assert limits.accepts(random_limbs).float().mean() < 0.01
