from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from evolift.posedata.camera import Camera, look_at
from evolift.posedata.poses import Lineage, Poses, labelled
from evolift.posedata.skeleton import H36M17
from evolift.posedata.store import PoseStoreWriter, Provenance


@pytest.fixture(scope="session")
def evolved_store(make_poses: Callable[..., Poses], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 original poses in four clips of ten, 20 children of rows n and n + 20, 20 children of those."""
    plain = make_poses(80, seed=3)
    generation = np.repeat([0, 1, 2], [40, 20, 20]).astype(np.int32)
    none = np.full(40, -1)
    parent_a = np.concatenate([none, np.arange(20), np.arange(40, 60)])
    parent_b = np.concatenate([none, np.arange(20, 40), np.arange(59, 39, -1)])
    operator = labelled((generation > 0).astype(np.int32), ["", "crossover"])
    poses = Poses(
        labelled((np.arange(80) % 2).astype(np.int32), ["ann", "bob"]),
        labelled((np.arange(80) // 10 % 2).astype(np.int32), ["walk", "sit"]),
        plain.frame,
        plain.joints_3d,
        lineage=Lineage(generation, parent_a, parent_b, operator),
    )
    path = tmp_path_factory.mktemp("evolved") / "evolved.h5"
    with PoseStoreWriter(path, H36M17, "world", Provenance("test")) as writer:
        writer.append(poses)
    return path


@pytest.fixture(scope="session")
def camera_store(make_poses: Callable[..., Poses], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The poses of `tiny_store` in the frames of two cameras, with 2D joints of which one is unlabelled."""
    poses = make_poses(64)
    cameras = []
    for number, x in enumerate((4000.0, -3500.0)):
        R, t = look_at(np.array([x, 1000.0, 1500.0]), np.array([0.0, 0.0, 900.0]))
        cameras.append(Camera.from_focal_length(1000.0 + number, 800, 600, R=R, t=t, name=str(number)))
    which = (np.arange(64) % 2).astype(np.int32)
    world = poses.joints_3d
    joints = np.stack([cameras[c].to_camera(pose) for c, pose in zip(which, world, strict=True)])
    pixels = np.stack([cameras[c].project(pose) for c, pose in zip(which, world, strict=True)])
    visibility = np.full((64, 17), 2, np.uint8)
    visibility[:, 16] = 0
    pixels[:, 16] = 0
    path = tmp_path_factory.mktemp("cameras") / "cameras.h5"
    with PoseStoreWriter(path, H36M17, "camera", Provenance("test"), cameras=cameras) as writer:
        writer.append(
            Poses(
                poses.subject,
                poses.action,
                poses.frame,
                joints.astype(np.float32),
                pixels.astype(np.float32),
                visibility,
                which,
            )
        )
    return path
