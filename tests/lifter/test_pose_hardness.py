"""Hardness of poses: the error of a lifter, whatever the poses are scored together with, and as weights of evolution."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from evolift.lifter.architecture import FORMS, Architecture
from evolift.lifter.lifter import Lifter
from evolift.lifter.model import LifterModel
from evolift.lifter.pose_hardness import PoseHardness, pose_hardness
from evolift.lifter.settings import LifterSettings
from evolift.posedata.camera_rig import CameraBatch, sample_random, sample_ring
from evolift.posedata.errors import CheckpointError, InputError
from evolift.posedata.poses import Poses
from evolift.posedata.rig_settings import RandomRig, RingRig
from evolift.posedata.seeds import generator_at
from evolift.posedata.skeleton import H36M16, H36M17
from evolift.posedata.store import PoseStore


class Straight(Lifter):
    """Says that everybody is flat: all joints at the root."""

    def __init__(self, **settings: object) -> None:
        super().__init__()
        self.settings = LifterSettings(**settings)  # type: ignore[arg-type]

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.zeros(len(inputs), 17, self.settings.target_axes)


@pytest.fixture
def joints(make_poses: Callable[..., Poses]) -> np.ndarray:
    joints = make_poses(40).joints_3d
    assert joints is not None
    return joints


def test_it_is_the_mean_distance_over_joints_and_cameras(joints: np.ndarray) -> None:
    flat = PoseHardness(Straight())(joints)
    # A lifter that puts all joints at the root errs by their distance from it, from wherever it looks.
    expected = np.linalg.norm(joints - joints[:, :1], axis=-1).mean(-1)
    np.testing.assert_allclose(flat, expected, rtol=1e-4)


def test_a_lifter_that_is_right_finds_nothing_hard(joints: np.ndarray) -> None:
    class Right(Straight):
        """Is given the depths, in metres, and passes them on."""

        def forward(self, inputs: Tensor) -> Tensor:
            return inputs[..., 2:] * 1000

    assert PoseHardness(Right(input_axes=3, target="z"))(joints).max() < 0.01


@pytest.mark.parametrize(
    ("normalisation", "sample"),
    [
        ("screen", partial(sample_ring, RingRig(ring_radius=0.0))),
        ("box", partial(sample_random, RandomRig())),
    ],
)
def test_depths_are_seen_by_the_cameras_that_a_lifter_is_trained_with(
    joints: np.ndarray, normalisation: str, sample: Callable[..., CameraBatch]
) -> None:
    depths = PoseHardness(Straight(normalisation=normalisation, target="z"), seed=3)(joints)
    standing = torch.tensor([[0.0, 0, 900], [0, 0, 0], [0, 0, 1700]]).expand(4, 3, 3)
    cameras = sample(standing, 0, generator_at(3))
    for number, pose in enumerate(joints.astype(float)):
        errors = []
        for view in range(4):
            forward = cameras.R[view, 2].double().numpy()
            errors.append(np.abs((pose - pose[0]) @ forward).mean())
        assert depths[number] == pytest.approx(np.mean(errors), rel=1e-3)


@pytest.mark.parametrize("architecture", FORMS)
def test_a_pose_is_as_hard_alone_and_anywhere(
    joints: np.ndarray, tmp_path: Path, architecture: Architecture
) -> None:
    torch.manual_seed(0)
    LifterModel(LifterSettings(hidden=16, blocks=1, architecture=architecture)).save(
        tmp_path / "lifter.safetensors"
    )
    hardness = pose_hardness(tmp_path / "lifter.safetensors", H36M17)
    together = hardness(joints)
    assert together.std() > 1
    for row in (0, 17, 39):
        moved = joints[row : row + 1] + np.array([500, -900, 40], np.float32)
        np.testing.assert_allclose(hardness(moved), together[row : row + 1], rtol=1e-3)
    np.testing.assert_array_equal(hardness(joints), together)


def test_lifters_that_do_not_fit_are_one_sentence(tmp_path: Path, tiny_store: Path) -> None:
    LifterModel(LifterSettings(skeleton=H36M16, hidden=8)).save(tmp_path / "other.safetensors")
    with pytest.raises(
        InputError, match=r"other\.safetensors: this lifter is of the skeleton H36M16, the poses have H36M17"
    ):
        pose_hardness(tmp_path / "other.safetensors", H36M17)
    with pytest.raises(CheckpointError, match=r"tiny\.h5"):
        pose_hardness(tiny_store, H36M17)


def test_the_command_weighs_parents_by_a_lifter(
    tiny_store: Path, tmp_path: Path, evolift: Callable[..., object]
) -> None:
    torch.manual_seed(1)
    lifter = tmp_path / "lifter.safetensors"
    LifterModel(LifterSettings(hidden=16, blocks=1)).save(lifter)
    run = ("evolve", tiny_store, "--ratio", 300, "--generations", 1, "--recipe", "evolve-report")
    done = evolift(*run, "-o", tmp_path / "hard.h5", "--sampling", "hardness", "--hardness", lifter)
    assert done.returncode == 0, done.stderr  # type: ignore[attr-defined]
    with PoseStore(tmp_path / "hard.h5") as store:
        poses, provenance = store.read(), store.provenance
    assert poses.joints_3d is not None
    assert poses.lineage is not None
    assert "lifter.safetensors" in provenance.inputs
    weights = pose_hardness(lifter, H36M17)(poses.joints_3d[:64])
    chosen = np.bincount(poses.lineage.parent_a[64:], minlength=64)
    may = chosen > 0  # some originals break the limits
    assert np.corrcoef(weights[may], chosen[may])[0, 1] > 0.7
    record = json.loads((tmp_path / "hard.h5.settings.json").read_text())
    assert record["settings"]["sampling"] == "hardness"
    for wrong in (("--sampling", "hardness"), ("--hardness", lifter)):
        done = evolift(*run, "-o", tmp_path / "x.h5", *wrong)
        assert done.returncode == 2  # type: ignore[attr-defined]
        assert "give both or neither" in done.stderr  # type: ignore[attr-defined]
    assert not (tmp_path / "x.h5").exists()
