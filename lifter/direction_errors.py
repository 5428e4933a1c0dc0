"""Errors of lifters by where limbs truly point, so that one sees which directions gain.

The error of a limb is that of the joint at its end. Directions are those of `evolift.evolution.kinematics.limb_directions`, in body frames,
left limbs folded onto right ones; they are counted in the cells of `evolift.evolution.kinematics.direction_cells`, so that a
test set of any size makes a table of the same size.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from evolift.evolution.kinematics.direction_cells import cell_of, centres
from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.kinematics.limb_directions import folded, limb_bones
from evolift.evolution.kinematics.local_bones import to_local
from evolift.lifter.evaluation import TestSet, predict
from evolift.lifter.lifter import Lifter
from evolift.posedata.errors import InputError
from evolift.posedata.metrics import joint_errors

SIDE = 12
"""Cells along the edge of each limb's sphere: about 17 degrees each."""
GROUP = "direction"
AXES = ("out", "front", "up")
"""Of a direction; for a forearm or shin, down is straight."""


def direction_errors(model: Lifter, tests: TestSet) -> pd.DataFrame:
    """Mean errors of a lifter by limb and cell of its true direction.

    Args:
        model: to be scored.
        tests: the poses; joints that they lack are left out.

    Returns:
        A row per limb and cell that any pose points to: `group` ("direction"), `name` (the limb), `out`, `front` and `up`
        of the cell's middle, `poses` (limbs of both sides) and `mpjpe` (mm). None for a skeleton without limbs in body frames.
    """
    columns = ["group", "name", *AXES, "poses", "mpjpe"]
    try:
        tree = KinematicTree(tests.skeleton)
    except InputError:  # a drawing tree, whose limbs point nowhere
        return pd.DataFrame(columns=columns)
    errors = joint_errors(predict(model, tests), tests.truth)
    bones = to_local(tree, tests.truth)
    parts = []
    for limb, pair in limb_bones(tree).items():
        directions = folded(bones, pair)
        of_joint = torch.cat([errors[:, tree.joints_of_bones[bone]] for bone in pair])
        known = directions.isfinite().all(-1) & of_joint.isfinite()
        cells = cell_of(directions[known].T, SIDE).numpy()
        poses = np.bincount(cells, minlength=SIDE**2)
        total = np.bincount(cells, of_joint[known].double().numpy(), SIDE**2)
        taken = np.flatnonzero(poses)
        table = pd.DataFrame(centres(SIDE).numpy()[taken], columns=list(AXES))
        parts.append(
            table.assign(group=GROUP, name=limb, poses=poses[taken], mpjpe=total[taken] / poses[taken])
        )
    return pd.concat(parts, ignore_index=True)[columns]


def direction_gains(errors: pd.DataFrame, without: str) -> pd.DataFrame:
    """By how much errors are smaller than without, mm: means over splits, tests and seeds, weighted by poses.

    Args:
        errors: tables of `direction_errors` with the columns `trained on`, `tested on`, `arm` and `seed`, one under the other.
        without: the arm that the others are compared with, on the same poses.

    Returns:
        Columns `arm`, `name`, `out`, `front`, `up`, `poses` (of all splits, tests and seeds) and `gain`.
    """
    place = ["trained on", "tested on", "seed", "name", *AXES]
    plain = errors[errors["arm"] == without].set_index(place)["mpjpe"].rename("without")
    others = errors[errors["arm"] != without].join(plain, on=place)
    others = others.assign(gain=(others["without"] - others["mpjpe"]) * others["poses"])
    gains = others.groupby(["arm", "name", *AXES], sort=False)[["poses", "gain"]].sum().reset_index()
    return gains.assign(gain=gains["gain"] / gains["poses"])
