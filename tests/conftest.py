"""Shared by all tests: shape checks in the package under test, real data, and small made-up poses."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jaxtyping
import numpy as np
import pytest

from tests import shape_checks  # noqa: F401 - the hook below finds it by name

# Before any room is imported: every jaxtyping shape in a signature is then checked at each call. Benchmarks time the
# code as users run it, without.
if "--benchmark-enable" not in sys.argv:
    _shape_checks = jaxtyping.install_import_hook(["evolift"], "tests.shape_checks.checked")

import torch

from evolift.posedata.poses import Poses, labelled
from evolift.posedata.skeleton import H36M17, Skeleton
from evolift.posedata.store import PoseStoreWriter, Provenance

torch.set_num_threads(1)

REAL_DATA_FILES = (
    "cmu_asfamc_subset.zip",
    "cmu_walk_bvh.zip",
    "cmu_dance_basketball_bvh.zip",
    "cmu_actions.npz",
    "lspet_subset.zip",
)

WriteClips = Callable[..., Path]

# A standing person, mm, z up, facing +x (so its left is +y), feet on the ground.
_STANDING = {
    "pelvis": (0, 0, 900),
    "right_hip": (0, -130, 890),
    "right_knee": (20, -135, 480),
    "right_ankle": (0, -135, 70),
    "left_hip": (0, 130, 890),
    "left_knee": (20, 135, 480),
    "left_ankle": (0, 135, 70),
    "spine": (0, 0, 1120),
    "thorax": (0, 0, 1400),
    "nose": (105, 0, 1510),
    "head": (20, 0, 1630),
    "left_shoulder": (0, 180, 1390),
    "left_elbow": (0, 230, 1110),
    "left_wrist": (30, 240, 860),
    "right_shoulder": (0, -180, 1390),
    "right_elbow": (0, -230, 1110),
    "right_wrist": (30, -240, 860),
}


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Folder of the real data; a test that asks for it is skipped only when EVOLIFT_DATA is not set."""
    value = os.environ.get("EVOLIFT_DATA")
    if not value:
        pytest.skip("EVOLIFT_DATA is not set")
    missing = [name for name in REAL_DATA_FILES if not (Path(value) / name).is_file()]
    if missing:
        pytest.fail(f"EVOLIFT_DATA is {value} but it lacks {', '.join(missing)}")
    return Path(value)


@pytest.fixture(scope="session")
def standing_pose() -> np.ndarray:
    """One standing H36M17 pose, (17, 3) float32 mm, world frame, facing +x."""
    return np.array([_STANDING[joint] for joint in H36M17.joints], np.float32)


@pytest.fixture(scope="session")
def make_poses(standing_pose: np.ndarray) -> Callable[..., Poses]:
    """`make_poses(rows, seed)`: H36M17 poses of constant bone lengths, two subjects, two actions each."""

    def make(rows: int, seed: int = 0) -> Poses:
        rng = np.random.default_rng(seed)
        joints = np.zeros((rows, len(H36M17), 3))
        joints[:, 0] = standing_pose[0] + rng.normal(0, 200, (rows, 3)) * [1, 1, 0]
        for joint in H36M17.topological_order[1:]:
            parent = H36M17.parent_indices[joint]
            bone = (standing_pose[joint] - standing_pose[parent]).astype(float)
            length = np.linalg.norm(bone)
            rotated = bone / length + rng.normal(0, 0.25, (rows, 3))
            joints[:, joint] = (
                joints[:, parent] + length * rotated / np.linalg.norm(rotated, axis=-1)[:, None]
            )
        number = np.arange(rows)
        return Poses(
            labelled((number % 2).astype(np.int32), ["ann", "bob"]),
            labelled((number // 2 % 2).astype(np.int32), ["walk", "sit"]),
            number.astype(np.int64),
            joints.astype(np.float32),
        )

    return make


@pytest.fixture(scope="session")
def tiny_store(make_poses: Callable[..., Poses], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of 64 H36M17 poses in the world frame. Do not change it."""
    path = tmp_path_factory.mktemp("tiny") / "tiny.h5"
    with PoseStoreWriter(path, H36M17, "world", Provenance("test")) as writer:
        writer.append(make_poses(64))
    return path


@pytest.fixture(scope="session")
def write_clips(standing_pose: np.ndarray) -> WriteClips:
    """`write_clips(path, {(subject, action): frame numbers})`: people who sway and swing their arms, by the frame numbers."""

    def write(
        path: Path,
        clips: dict[tuple[str, str], np.ndarray | list[int]],
        *,
        command: str = "test",
        skeleton: Skeleton = H36M17,
        unlabelled: tuple[str, ...] = (),
    ) -> Path:
        subjects = list(dict.fromkeys(subject for subject, _ in clips))
        actions = list(dict.fromkeys(action for _, action in clips))
        joints, who, what, numbers = [], [], [], []
        for number, ((subject, action), frames) in enumerate(clips.items()):
            time = np.asarray(frames, float)[:, None]
            pose = np.repeat(standing_pose[None].astype(float), len(time), 0)
            swing = 200 * np.sin(time / (5 + number))
            for joint, sign in (
                ("left_wrist", 1),
                ("right_wrist", -1),
                ("left_ankle", -0.5),
                ("right_ankle", 0.5),
            ):
                pose[:, H36M17.index(joint), 0] += sign * swing[:, 0]
            pose[..., 0] += 3 * time
            joints.append(pose[:, [H36M17.index(name) for name in skeleton.joints]])
            who += [subjects.index(subject)] * len(time)
            what += [actions.index(action)] * len(time)
            numbers += list(frames)
        poses = Poses(
            labelled(np.array(who, np.int32), subjects),
            labelled(np.array(what, np.int32), actions),
            np.array(numbers, np.int64),
            np.concatenate(joints).astype(np.float32),
        )
        made = Provenance(command)
        with PoseStoreWriter(path, skeleton, "world", made, unlabelled=unlabelled) as writer:
            writer.append(poses)
        return path

    return write


class Finished(NamedTuple):
    """What a command left: as of `subprocess.run`, but run in this process, which spares the start-up."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def evolift(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Finished]:
    """`evolift("predict", path, ...)` runs the command through the entry point of the console command."""

    from evolift.cli.main import main

    def run(*arguments: object) -> Finished:
        monkeypatch.setattr(sys, "argv", ["evolift", *map(str, arguments)])
        out, err = io.StringIO(), io.StringIO()
        code = 0
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                main()
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 0
        return Finished(code, out.getvalue(), err.getvalue())

    return run
