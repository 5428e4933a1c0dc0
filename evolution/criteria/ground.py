"""Feet and pelvis plausible with the ground.

A store says nothing of floors, steps and climbing frames; people do: what a person stands on is as high as the lowest of
their joints. A child stays in the place of the original that its body descends from, so it should stand where that one
stands (or hang in the air with it, where it jumps):

* **sunk**: no joint is more than `SINK` below the support;
* **floating**: the lowest joint is no more than `RISE` above it;
* **no foot down**: an ankle or toe is within `FOOT` of the lowest joint, so the body does not stand on its hands or head.

`settle` moves children to where they stand as their parent does, before they are judged.

Poses that descend from nothing are judged against the floor of their clip (subject and action): the height that the
lowest joint is under in `FLOOR_SHARE` of the clip's poses. They may be any height above it: people jump and climb.

All poses of CMU subject 02 and of the walks as BVH pass, and 99.9% of subjects 01 and 03 (who climb); with random limbs
fewer than 9% do.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Float32
from torch import Tensor

from evolift.evolution.criteria.criterion import Criterion
from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.posedata.errors import InputError, StoreError
from evolift.posedata.predictions.levelled_poses import levelled_or_none
from evolift.posedata.store import PoseStore

SINK = 60.0
RISE = 100.0
FOOT = 150.0
"""Tolerances of the ground criterion, in mm: see above."""
FLOOR_SHARE = 0.05
READ_ROWS = 65536
_FEET = ("ankle", "heel", "toe", "toes", "foot", "big_toe", "small_toe")


class Ground(Criterion):
    """Refuses poses that sink, float, or have no foot down.

    Args:
        tree: of the poses.

    Raises:
        InputError: the skeleton has no ankles.
    """

    name = "ground"
    reasons = ("sunk", "floating", "no foot down")

    def __init__(self, tree: KinematicTree) -> None:
        names = tree.skeleton.joints
        feet = {f"{side}_{joint}" for side in ("left", "right") for joint in _FEET}
        self._feet = [index for index, name in enumerate(names) if name in feet]
        if not self._feet:
            raise InputError(
                f"the criterion 'ground' needs ankles, the skeleton {tree.skeleton.name} has none"
            )

    def check(
        self, joints: Float[Tensor, "n joints 3"], support: Float[Tensor, "n"]
    ) -> Bool[Tensor, "n reasons"]:
        """As `Criterion.check`; an infinite support judges only whether a foot is down."""
        heights = joints[..., 2]
        lowest = heights.amin(-1)
        foot = heights[:, self._feet].amin(-1)
        return torch.stack([lowest >= support - SINK, lowest <= support + RISE, foot <= lowest + FOOT], -1)


def lowest_joint(joints: Float[np.ndarray, "n joints 3"]) -> Float32[np.ndarray, "n"]:
    """Height of what a body stands on, as its joints tell it, mm."""
    lowest: np.ndarray = joints[..., 2].min(-1).astype(np.float32)
    return lowest


def settle(joints: Float[Tensor, "n joints 3"], lowest: Float[Tensor, "n"]) -> Float[Tensor, "n joints 3"]:
    """Bodies moved up or down until their lowest joint is as high as that of their parents.

    A leg that another body gave, or that was rotated, reaches elsewhere than the one that it replaces: left in its place
    a child would float or sink, and a lifter that sees its absolute place in the image would learn that people do.

    Args:
        joints: world frame, mm, z up.
        lowest: heights that their lowest joints shall have, in the same frame.
    """
    settled = joints.clone()
    settled[..., 2] += (lowest - joints[..., 2].amin(-1))[:, None]
    return settled


def supports(
    lowest: Float32[np.ndarray, "n"], subject: pd.Categorical, action: pd.Categorical
) -> Float32[np.ndarray, "n"]:
    """What poses that descend from nothing stand on: their lowest joint, or the floor of their clip if that is higher; mm."""
    heights = pd.Series(lowest)
    floors = heights.groupby([subject.codes, action.codes]).transform("quantile", FLOOR_SHARE)
    standing: np.ndarray = np.maximum(floors.to_numpy(np.float32), lowest)
    return standing


def store_supports(store: PoseStore) -> Float32[np.ndarray, "rows"]:
    """What each pose of a store stands on, mm: see `supports`; a child stands on what its ancestor stands on.

    Raises:
        StoreError: the poses are not 3D in the world frame, and no predictions.
    """
    levelled = levelled_or_none(store)
    if store.coordinate_frame != "world" and levelled is None:
        raise StoreError(f"{store.path}: the ground is judged in the world frame, these poses are not in it")
    lowest, subjects, actions, mothers = [], [], [], []
    for poses in store.batches(READ_ROWS):
        assert poses.joints_3d is not None  # they are in the world frame
        lowest.append(lowest_joint(poses.joints_3d if levelled is None else levelled.joints(poses)))
        subjects.append(poses.subject)
        actions.append(poses.action)
        mothers.append(np.full(len(poses), -1) if poses.lineage is None else poses.lineage.parent_a)
    parent = np.concatenate(mothers)
    first = parent < 0
    subject, action = (pd.api.types.union_categoricals(parts) for parts in (subjects, actions))
    standing = np.concatenate(lowest)
    standing[first] = supports(standing[first], subject[first], action[first])
    # Parents come before their children: a generation at a time, all take over what theirs stand on.
    ancestor = np.where(first, np.arange(len(parent)), parent)
    while not first[ancestor].all():
        ancestor = ancestor[ancestor]
    taken_over: np.ndarray = standing[ancestor]
    return taken_over
