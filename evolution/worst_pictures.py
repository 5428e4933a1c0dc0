"""A contact sheet of the poses that break most joint-angle limits."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float

from evolution.joint_limits import JointLimits
from evolution.limits_report import LimitsReport
from evolution.local_bones import to_local
from posedata.errors import OutputError
from posedata.figures import figure_picture, new_figure, picture_sheet, plot_pose, pose_axes
from posedata.output_file import whole_file
from posedata.store import PoseStore

BROKEN = "#000000"
COLUMNS = 4


def write_worst_pictures(
    store: PoseStore, limits: JointLimits, report: LimitsReport, path: Path, *, overwrite: bool = False
) -> None:
    """Draw `report.worst`, each turned to face the viewer, broken bones thick and black.

    Args:
        store: that the report is on.
        limits: that it was checked against.
        path: PNG to write.

    Raises:
        OutputError: the file exists, or cannot be written.
    """
    poses = store.read(report.worst)
    if poses.joints_3d is None or not len(report.worst):
        raise OutputError(f"{path}: there are no broken poses to draw")
    joints = poses.joints_3d
    verdict = limits.check(torch.from_numpy(joints)).numpy()
    facing = _facing_the_viewer(joints, limits)
    pictures, captions = [], []
    for number, row in enumerate(report.worst):
        names = [bone for bone, valid in zip(limits.bones, verdict[number], strict=True) if not valid]
        pictures.append(_picture(facing[number], ~verdict[number], limits))
        captions.append(f"row {row}: {', '.join(names)}")
    sheet = picture_sheet(pictures, captions, columns=COLUMNS, tile=(320, 320))
    done, encoded = cv2.imencode(".png", sheet[..., ::-1])
    if not done:
        raise OutputError(f"{path}: the picture could not be encoded")
    with whole_file(path, overwrite=overwrite) as partial:
        partial.write_bytes(encoded.tobytes())


def _facing_the_viewer(
    joints: Float[np.ndarray, "n joints 3"], limits: JointLimits
) -> Float[np.ndarray, "n joints 3"]:
    """Poses about their pelvis, turned about the vertical so that their front is towards -y, where the viewer is."""
    forward = to_local(limits.tree, torch.from_numpy(joints)).lower[..., 1].numpy()
    heading = np.arctan2(forward[:, 1], forward[:, 0])
    turn = -np.pi / 2 - heading
    c, s, zero, one = np.cos(turn), np.sin(turn), np.zeros_like(turn), np.ones_like(turn)
    matrix = np.stack(
        [np.stack([c, -s, zero], -1), np.stack([s, c, zero], -1), np.stack([zero, zero, one], -1)], 1
    )
    centred = joints - joints[:, limits.tree.skeleton.root, None]
    turned: np.ndarray = centred @ matrix.transpose(0, 2, 1)
    return turned.astype(np.float32)


def _picture(
    joints: Float[np.ndarray, "joints 3"], broken: Bool[np.ndarray, "bones"], limits: JointLimits
) -> np.ndarray:
    figure = new_figure(3.2, 3.2)
    axes = pose_axes(figure)
    plot_pose(axes, joints, limits.tree.skeleton, frame="world", opacity=0.8)
    for bone in np.flatnonzero(broken):
        joint = limits.tree.joints_of_bones[bone]
        ends = joints[[limits.tree.skeleton.parent_indices[joint], joint]]
        axes.plot(*ends.T, color=BROKEN, linewidth=5)
    return figure_picture(figure)
