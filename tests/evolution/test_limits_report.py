"""Reports on stores, and the pass rates of real and synthetic people that the package states."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from evolution.anatomical_limits import AnatomicalLimits
from evolution.kinematic_tree import KinematicTree
from evolution.limits_report import report_on_store
from posedata.actors import TEST_ACTIONS, TEST_SUBJECTS, TRAIN_ACTIONS, TRAIN_SUBJECTS, write_actor_store
from posedata.cmu_asfamc import import_cmu
from posedata.errors import InputError
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


@pytest.mark.parametrize(
    ("subjects", "actions"), [(TRAIN_SUBJECTS, TRAIN_ACTIONS), (TEST_SUBJECTS, TEST_ACTIONS)]
)
def test_synthetic_actors_keep_the_anatomical_limits(
    tmp_path: Path, subjects: tuple[str, ...], actions: tuple[str, ...]
) -> None:
    path = tmp_path / "actors.h5"
    write_actor_store(path, subjects=subjects, actions=actions, clips_per_action=1, frames=8)
    with PoseStore(path) as store:
        report = report_on_store(store, LIMITS)
    assert report.rate >= 0.98, report.table().to_string()


@pytest.mark.real_data
@pytest.mark.slow
def test_held_out_people_keep_the_anatomical_limits(data_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "02.h5"
    import_cmu(data_folder / "cmu_asfamc_subset.zip", path, subjects=["02"], fps=10.0)
    with PoseStore(path) as store:
        report = report_on_store(store, LIMITS)
    assert report.poses > 1000
    assert report.rate >= 0.98, report.table().to_string()
