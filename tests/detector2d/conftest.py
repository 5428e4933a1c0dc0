"""Small stores with images: a bright dot at every labelled joint."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from evolift.posedata.camera import Camera, look_at
from evolift.posedata.poses import Poses, repeated_label
from evolift.posedata.skeleton import H36M17, LSP14
from evolift.posedata.store import PoseStoreWriter, Provenance


def draw_dots(joints: np.ndarray, width: int, height: int, spread: float = 1.5) -> np.ndarray:
    """Dark image with a Gaussian dot at each joint, each joint in a colour of its own."""
    v, u = np.mgrid[:height, :width]
    away = (u[None] - joints[:, 0, None, None]) ** 2 + (v[None] - joints[:, 1, None, None]) ** 2
    hues = np.stack([np.arange(len(joints)) * 179 // len(joints), *np.full((2, len(joints)), 255)], -1)
    colours = cv2.cvtColor(hues[None].astype(np.uint8), cv2.COLOR_HSV2RGB)[0]
    dots = np.exp(-away / (2 * spread**2))[..., None] * colours[:, None, None]
    return np.rint(dots.max(0)).astype(np.uint8)


@pytest.fixture(scope="session")
def image_store(make_poses: Callable[..., Poses], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve H36M17 poses in 3D (world frame) with 2D joints, boxes, and 160 x 200 images of them. Do not change it."""
    folder = tmp_path_factory.mktemp("images")
    R, t = look_at(np.array([4000.0, 800.0, 1300.0]), np.array([0.0, 0.0, 900.0]))
    camera = Camera.from_focal_length(300.0, 160, 200, R=R, t=t)
    poses = make_poses(12)
    assert poses.joints_3d is not None
    joints = camera.project(poses.joints_3d)
    names = []
    for number, pose in enumerate(joints):
        names.append(f"pose{number}.png")
        cv2.imwrite(str(folder / names[-1]), draw_dots(pose, 160, 200))
    low, high = joints.min(1), joints.max(1)
    labelled = Poses(
        poses.subject,
        poses.action,
        poses.frame,
        poses.joints_3d,
        joints,
        np.full(joints.shape[:2], 2, np.uint8),
        np.zeros(12, np.int32),
        names,
        np.concatenate([low, high - low], 1).astype(np.float32),
    )
    with PoseStoreWriter(
        folder / "rendered.h5", H36M17, "world", Provenance("test"), cameras=[camera]
    ) as writer:
        writer.append(labelled)
    return folder / "rendered.h5"


@pytest.fixture(scope="session")
def photograph_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight LSP14 people in 2D only, JPEG images of 120 x 90, no boxes, one joint unlabelled. Do not change it."""
    folder = tmp_path_factory.mktemp("photographs")
    rng = np.random.default_rng(5)
    joints = rng.uniform([20, 15], [100, 75], (8, len(LSP14), 2)).astype(np.float32)
    visibility = np.full((8, len(LSP14)), 2, np.uint8)
    visibility[:, LSP14.index("left_wrist")] = 0
    joints[visibility == 0] = 0
    names = []
    for number, pose in enumerate(joints):
        names.append(f"im{number}.jpg")
        cv2.imwrite(str(folder / names[-1]), draw_dots(pose, 120, 90))
    label = repeated_label("x", 8)
    poses = Poses(label, label, np.arange(8), joints_2d=joints, visibility=visibility, image=names)
    with PoseStoreWriter(folder / "photographs.h5", LSP14, "none", Provenance("test")) as writer:
        writer.append(poses)
    return folder / "photographs.h5"
