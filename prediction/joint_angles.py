"""Joint angles of poses for the page of `evolift predict`, marked where they leave the range of motion of adults."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from evolift.drawing.pose_page import Reading
from evolift.evolution.kinematics.head_frame import head_frame, nose_and_head
from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.kinematics.local_bones import to_local
from evolift.evolution.limits.anatomical_limits import HINGE_TOLERANCE, AnatomicalLimits
from evolift.evolution.limits.ranges_of_motion import ELBOW, KNEE
from evolift.posedata.errors import InputError
from evolift.posedata.skeleton import Skeleton

NOTE = (
    "Angles are marked where a bone leaves the range of motion of healthy adults (clinical literature, with its "
    "tolerances); that may be the person, or an error of the prediction."
)
# End of the bone, without its side -> what is read, and the direction in its local frame (x right, y forward, z up) that
# counts as 0 on the right side. A straight elbow or knee is -z (see `evolift.evolution.kinematics.local_bones`).
_READ = {
    "spine": ("lower trunk from upright", (0, 0, 1)),
    "thorax": ("upper trunk from upright", (0, 0, 1)),
    "neck": ("neck from upright", (0, 0, 1)),
    "head": ("head from the line of the neck", (0, 0, 1)),
    "nose": ("rotation of the head", (0, 1, 0)),
    "shoulder": ("collar bone from level", (1, 0, 0)),
    "elbow": ("upper arm from hanging", (0, 0, -1)),
    "wrist": ("elbow flexion", (0, 0, -1)),
    "knee": ("thigh from straight down", (0, 0, -1)),
    "ankle": ("knee flexion", (0, 0, -1)),
}


def joint_readings(skeleton: Skeleton) -> Callable[[np.ndarray], Sequence[Sequence[Reading]]] | None:
    """What reads the joint angles of poses of a skeleton.

    Returns:
        A function of root-relative joints (rows, joints, 3) in mm, or None for skeletons that are only drawing trees.
    """
    try:
        tree = KinematicTree(skeleton)
    except InputError:
        return None
    limits = AnatomicalLimits(tree)
    with_nose = nose_and_head(tree)
    hinges = {"wrist": ELBOW, "ankle": KNEE}
    limited = [bone for bone, is_limited in enumerate(limits.limited) if is_limited]
    bones = sorted(
        limited,
        key=lambda bone: list(_READ).index(part) if (part := _part(tree.names[bone])) in _READ else -1,
    )

    def read(joints: np.ndarray) -> list[list[Reading]]:
        local = to_local(tree, torch.from_numpy(joints))
        keeps = limits.check_measured(local).numpy()
        directions = local.directions.numpy()
        if with_nose is not None:
            # Such a head is read in its own frame: its tilt, and the rotation of the face about that.
            frame = head_frame(tree, local)
            directions[:, with_nose[0]], directions[:, with_nose[1]] = frame.level_face.T, frame.up.T
        rows: list[list[Reading]] = [[] for _ in joints]
        for bone in bones:
            name = tree.names[bone]
            part = _part(name)
            side = name[: -len(part)].rstrip("_")
            if part not in _READ:
                continue
            what, zero = (
                _READ[part] if part != "head" or with_nose is None else ("head from upright", (0, 0, 1))
            )
            mirrored = np.array([-1 if side == "left" else 1, 1, 1]) * zero
            angles = np.degrees(np.arccos(np.clip(directions[:, bone] @ mirrored, -1, 1)))
            high = hinges[part].flexion + HINGE_TOLERANCE if part in hinges else None
            for row, (angle, is_kept) in enumerate(
                zip(angles.tolist(), keeps[:, bone].tolist(), strict=True)
            ):
                is_askew = not is_kept and high is not None and angle <= high
                label = f"{side} {what}".strip() + (", bent out of its plane" if is_askew else "")
                low = None if high is None else 0.0
                rows[row].append(Reading(label, angle, low, high, is_outside=not is_kept))
        return rows

    return read


def _part(name: str) -> str:
    """A joint's name without `left_` or `right_`."""
    return name.removeprefix("left_").removeprefix("right_")
