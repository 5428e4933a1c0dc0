"""A contact sheet of the poses that break most joint-angle limits."""

from __future__ import annotations

from pathlib import Path

import torch

from evolift.drawing.figures import image_sheet
from evolift.evolution.limits.joint_limits import JointLimits
from evolift.evolution.limits.limits_report import LimitsReport
from evolift.evolution.pose_images import facing_the_viewer, pose_image
from evolift.posedata.errors import OutputError
from evolift.posedata.image_file import write_image
from evolift.posedata.store import PoseStore

COLUMNS = 4


def write_worst_poses(
    store: PoseStore, limits: JointLimits, report: LimitsReport, path: Path, *, overwrite: bool = False
) -> None:
    """Draw `report.worst`, each rotated to face the viewer, broken bones thick and black.

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
    facing = facing_the_viewer(joints, limits.tree)
    images, captions = [], []
    for number, row in enumerate(report.worst):
        names = [bone for bone, valid in zip(limits.bones, verdict[number], strict=True) if not valid]
        images.append(pose_image(facing[number], limits.tree, ~verdict[number]))
        captions.append(f"row {row}: {', '.join(names)}")
    sheet = image_sheet(images, captions, columns=COLUMNS, tile=(320, 320))
    write_image(path, sheet, overwrite=overwrite)
