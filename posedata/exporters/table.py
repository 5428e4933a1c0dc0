"""Rows of a store as CSV, one line for each pose and joint, for spreadsheets and whatever else.

Columns: subject, action, frame, person (SUBJECT/ACTION, and /CAMERA where there are cameras: who one sees over frames),
camera (its name), image, joint, u, v (px), visibility (0 unlabelled, 1 hidden, 2 visible), x, y, z (mm, in the store's frame).
What is not known is empty. The 2D joints are read by `evolift predict`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from evolift.posedata.joint_mapping import UNLABELLED
from evolift.posedata.output_file import whole_file
from evolift.posedata.poses import Poses
from evolift.posedata.progress import Progress, no_progress
from evolift.posedata.store import PoseStore


def write_table(path: Path, store: PoseStore, *, overwrite: bool, progress: Progress = no_progress) -> None:
    """Write all rows of a store, in their order.

    Args:
        path: of the file (.csv).
        store: any.
        overwrite: replace an existing file.
        progress: counts rows.

    Raises:
        OutputError: the file exists or cannot be written.
    """
    with (
        whole_file(path, overwrite=overwrite) as partial,
        partial.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file,
    ):
        is_first = True
        for poses in store.batches():
            _lines(store, poses).to_csv(file, index=False, header=is_first, lineterminator="\n")
            is_first = False
            progress(len(poses))


def _lines(store: PoseStore, poses: Poses) -> pd.DataFrame:
    rows, joints = len(poses), len(store.skeleton)
    cameras = np.array([*(camera.name for camera in store.cameras), ""], object)
    camera = cameras[np.full(rows, -1) if poses.camera is None else poses.camera]
    subject, action = (np.asarray(labels, object) for labels in (poses.subject, poses.action))
    person = ["/".join(filter(None, names)) for names in zip(subject, action, camera, strict=True)]

    def per_joint(values: Any) -> np.ndarray:
        return np.repeat(np.asarray(values), joints, axis=0)

    table: dict[str, Any] = {
        "subject": per_joint(subject),
        "action": per_joint(action),
        "frame": per_joint(poses.frame),
        "person": per_joint(np.array(person, object)),
        "camera": per_joint(camera),
        "image": per_joint(np.array(poses.image or [""] * rows, object)),
        "joint": np.tile(np.array(store.skeleton.joints, object), rows),
    }
    pixels = np.full((rows, joints, 2), np.nan, np.float32)
    if poses.joints_2d is not None and poses.visibility is not None:
        pixels = np.where(poses.visibility[..., None] == UNLABELLED, np.float32(np.nan), poses.joints_2d)
    points = np.full((rows, joints, 3), np.nan, np.float32) if poses.joints_3d is None else poses.joints_3d
    table |= {name: pixels.reshape(-1, 2)[:, axis] for axis, name in enumerate("uv")}
    table["visibility"] = "" if poses.visibility is None else poses.visibility.reshape(-1)
    table |= {name: points.reshape(-1, 3)[:, axis] for axis, name in enumerate("xyz")}
    return pd.DataFrame(table)
