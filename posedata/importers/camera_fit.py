"""Whether 3D joints, seen through a camera, lie where the 2D joints are."""

from __future__ import annotations

import numpy as np

from evolift.posedata.camera import Camera
from evolift.posedata.errors import InputError
from evolift.posedata.joint_mapping import UNLABELLED
from evolift.posedata.poses import Poses

MAX_PIXELS = 100.0
"""Median distance above which joints and camera do not belong together. Detections are ten to twenty pixels beside, the three
shifted sequences of S9 some forty; another person's camera is hundreds."""


def check_fit(poses: Poses, camera: Camera, label: str) -> None:
    """Refuse detected joints that are far from the 3D ones: someone else's data set may have an S1 too.

    Args:
        poses: rows with joints in the world (mm) and in the image (px).
        camera: that saw them.
        label: of the rows, for the message.

    Raises:
        InputError: their median distance is above `MAX_PIXELS`.
    """
    if poses.joints_3d is None or poses.joints_2d is None or poses.visibility is None:
        return
    with np.errstate(over="ignore"):  # of absurd numbers, which are infinitely far
        distance = np.linalg.norm(camera.project(poses.joints_3d) - poses.joints_2d, axis=-1)
    labelled = poses.visibility != UNLABELLED
    median = float(np.median(distance[labelled])) if labelled.any() else 0.0
    if not median <= MAX_PIXELS:
        raise InputError(
            f"{label}: its 3D joints seen through camera {camera.name} are {median:.0f} px beside its 2D joints: give files and cameras that belong together"
        )
