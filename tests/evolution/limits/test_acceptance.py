"""How many real poses keep the anatomical limits, data set by data set, and how few bodies with random limbs do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.kinematics.local_bones import to_joints, to_local
from evolift.evolution.limits.anatomical_limits import AnatomicalLimits
from evolift.evolution.operators.random_limbs import with_random_limbs
from evolift.posedata.importers.bvh import import_bvh
from evolift.posedata.importers.cmu_asfamc import import_cmu
from evolift.posedata.importers.settings import CmuSettings
from evolift.posedata.importers.videopose3d import import_videopose3d
from evolift.posedata.joint_mapping import mapping_between
from evolift.posedata.skeleton import H36M16, H36M17
from evolift.posedata.store import PoseStore
from tests.evolution.limits.test_head_limits import h36m_lengths

FPS = 5.0
SETS = {"01": 2200, "02": 500, "03": 400, "walks": 800, "dance and basketball": 1100, "actions": 800}
"""Name -> poses at least."""

pytestmark = pytest.mark.real_data


@pytest.fixture(scope="session")
def real_poses(data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    """Joints of each of the sets, at 5 frames a second; those of the actions have no nose."""
    folder = tmp_path_factory.mktemp("real")
    stores = {name: folder / f"{name}.h5" for name in ("cmu", "walks", "dance", "actions")}
    import_cmu(data_folder / "cmu_asfamc_subset.zip", stores["cmu"], CmuSettings(fps=FPS))
    import_bvh(data_folder / "cmu_walk_bvh.zip", stores["walks"], fps=FPS)
    import_bvh(data_folder / "cmu_dance_basketball_bvh.zip", stores["dance"], names="iclone", fps=FPS)
    import_videopose3d([data_folder / "cmu_actions.npz"], stores["actions"], fps=FPS)
    joints, unlabelled = {}, {}
    for name, path in stores.items():
        with PoseStore(path) as store:
            poses, unlabelled[name] = store.read(), store.unlabelled
        assert poses.joints_3d is not None
        joints[name] = torch.from_numpy(poses.joints_3d)
        if name == "cmu":
            for subject in ("01", "02", "03"):
                joints[subject] = joints[name][torch.from_numpy(np.asarray(poses.subject == subject))]
    assert unlabelled == {"cmu": (), "walks": (), "dance": (), "actions": ("nose",)}
    joints["dance and basketball"] = joints["dance"]
    return {name: joints[name] for name in SETS}


def limits_and_poses(joints: torch.Tensor) -> tuple[AnatomicalLimits, torch.Tensor]:
    """Poses without a nose in the skeleton without."""
    if joints.isfinite().all():
        return AnatomicalLimits(KinematicTree(H36M17)), joints
    converted, _ = mapping_between(H36M17, H36M16).convert(joints.nan_to_num(0.0).numpy())
    return AnatomicalLimits(KinematicTree(H36M16)), torch.from_numpy(converted)


def with_h36m_lengths(limits: AnatomicalLimits, joints: torch.Tensor) -> torch.Tensor:
    tree = limits.tree
    lengths = dict(zip(KinematicTree(H36M17).names, h36m_lengths().tolist(), strict=True))
    if "nose" not in tree.names:
        lengths["head"] = 175.0
    of_tree = torch.tensor([lengths[name] for name in tree.names])
    local = to_local(tree, joints)
    return to_joints(tree, local.with_values(lengths=of_tree.expand(len(joints), -1)))


@pytest.mark.parametrize("name", SETS)
def test_real_people_keep_the_limits(real_poses: dict[str, torch.Tensor], name: str) -> None:
    joints = real_poses[name]
    assert len(joints) >= SETS[name]
    verdict = AnatomicalLimits(KinematicTree(H36M17)).check(joints)
    refused = dict(zip(KinematicTree(H36M17).names, (~verdict).sum(0).tolist(), strict=True))
    assert verdict.all(-1).float().mean() >= 0.98, refused


@pytest.mark.parametrize("lengths", ["their own", "Human3.6M's"])
@pytest.mark.parametrize("name", SETS)
def test_random_limbs_do_not(real_poses: dict[str, torch.Tensor], name: str, lengths: str) -> None:
    limits, joints = limits_and_poses(real_poses[name])
    if lengths == "Human3.6M's":
        joints = with_h36m_lengths(limits, joints)
        # Only lengths were changed: these are still people.
        assert limits.accepts(joints).float().mean() >= 0.95
    enough = joints.repeat(-(-4000 // len(joints)), 1, 1)
    wild = with_random_limbs(enough, limits.tree, torch.Generator().manual_seed(0))
    assert limits.accepts(wild).float().mean() < 0.01
