"""Coverage against a plain search."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner

from evolift.cli.evolve import evolve as command
from evolift.evolution.job.coverage import distance_to_nearest, posture_cells
from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.kinematics.local_bones import to_local
from evolift.evolution.operators.parent_sampling import in_torso_frame
from evolift.posedata.errors import InputError
from evolift.posedata.poses import Poses
from evolift.posedata.skeleton import H36M17, MPII16
from evolift.posedata.store import PoseStore, PoseStoreWriter, Provenance
from tests.evolution.kinematics.test_local_bones import random_bodies

TREE = KinematicTree(H36M17)


def test_distances_are_those_of_a_plain_search() -> None:
    probes, poses = random_bodies(H36M17, 12, 1, spread=0.3), random_bodies(H36M17, 50, 2, spread=0.3)
    found = distance_to_nearest(probes, [poses[:20], poses[20:]], TREE)
    a, b = (in_torso_frame(to_local(TREE, joints), TREE).double() for joints in (probes, poses))
    for number in range(12):
        expected = min(float((a[number] - other).square().sum(-1).mean().sqrt()) for other in b)
        assert float(found[number]) == pytest.approx(expected, rel=1e-3)
    # Where a person stands and looks does not matter.
    rotated = probes @ torch.tensor([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]]) + 500
    assert distance_to_nearest(rotated, [probes], TREE).max() < 0.5


def test_coverage_counts_originals_and_children_apart(tiny_store: Path, tmp_path: Path) -> None:
    out, probes = tmp_path / "out.h5", tmp_path / "probes.h5"
    with PoseStore(tiny_store) as store:
        first = store.read(slice(0, 64))
    assert first.joints_3d is not None
    shifted = first.joints_3d + np.random.default_rng(0).normal(0, 40, (64, 17, 3)).astype(np.float32)
    with PoseStoreWriter(probes, H36M17, "world", Provenance("test")) as writer:
        writer.append(Poses(first.subject, first.action, first.frame, shifted))
    arguments = [str(tiny_store), "-o", str(out), "--ratio", "30", "--coverage-of", str(probes)]
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 0, result.output
    with PoseStore(out) as store:
        joints = torch.from_numpy(store.read().joints_3d)
    poses = in_torso_frame(to_local(TREE, joints), TREE).double()
    wanted = in_torso_frame(to_local(TREE, torch.from_numpy(shifted)), TREE).double()
    all_pairs = (wanted[:, None] - poses[None]).square().sum(-1).mean(-1).sqrt()
    covered = json.loads((tmp_path / "out.h5.settings.json").read_text())["coverage"]
    assert covered["probes"] == 64
    assert covered["before"] == pytest.approx(float(all_pairs[:, :64].min(1).values.mean()), rel=1e-3)
    assert covered["after"] == pytest.approx(float(all_pairs.min(1).values.mean()), rel=1e-3)
    assert covered["after"] < covered["before"]
    assert f"{covered['before']:.1f} mm before, {covered['after']:.1f} mm after" in result.output


def test_poses_of_another_skeleton_cannot_be_covered(tiny_store: Path, tmp_path: Path) -> None:
    probes = tmp_path / "other.h5"
    joints = random_bodies(MPII16, 3, 1).numpy()
    label = pd.Categorical(["a"] * 3)
    with PoseStoreWriter(probes, MPII16, "world", Provenance("test")) as writer:
        writer.append(Poses(label, label, np.arange(3), joints))
    arguments = [str(tiny_store), "-o", str(tmp_path / "out.h5"), "--coverage-of", str(probes)]
    result = CliRunner().invoke(command, arguments)
    assert isinstance(result.exception, InputError)
    assert "other.h5 has skeleton MPII16, the evolved poses have H36M17" in str(result.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["other.h5"]


def test_postures_differ_when_an_arm_moves() -> None:
    local = to_local(TREE, random_bodies(H36M17, 1, 3, spread=0.1))
    directions = local.directions.repeat(3, 1, 1)
    directions[1, TREE.bone("left_elbow")] = torch.tensor([-0.6, 0.0, 0.8])
    directions[2, TREE.bone("left_wrist")] = torch.tensor([0.0, 1.0, 0.0])
    three = local[torch.zeros(3, dtype=torch.long)].with_values(directions=directions)
    numbers = posture_cells(three, TREE).tolist()
    assert numbers[0] != numbers[1]
    assert numbers[0] == numbers[2]  # fore-limbs do not count
