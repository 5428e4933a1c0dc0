"""3D poses of a store in the world, cut into sequences: those of one subject and action, in the order of their frames."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float32, Int64

from evolift.posedata.errors import InputError
from evolift.posedata.predictions.levelled_poses import levelled_or_none, tell_levelled
from evolift.posedata.progress import Progress, no_progress
from evolift.posedata.store import CHUNK_ROWS, PoseStore

_CHILD = re.compile(r"_child_\d+$")
SAME_POSE = 1.0
"""mm: rows of one frame that no joint of which is further apart are one pose, seen by several cameras."""


@dataclass(frozen=True, eq=False)
class Sequence:
    """Poses of one subject and action.

    Args:
        subject, action: their labels.
        frame: numbers, in order.
        joints: millimetres, world, z up.
        row: of the store, that each pose is from.
    """

    subject: str
    action: str
    frame: Int64[np.ndarray, "frames"]
    joints: Float32[np.ndarray, "frames joints 3"]
    row: Int64[np.ndarray, "frames"]


def sequences_of(store: PoseStore, progress: Progress = no_progress) -> list[Sequence]:
    """All 3D poses of a store, by subject and action in the order of their names; the whole is in memory.

    Rows that show one pose to several cameras count once. Predictions are stood up (`levelled_poses`), which is logged.

    Args:
        store: with 3D poses in the world, or of predictions.
        progress: counts rows.

    Raises:
        InputError: it has no 3D poses, they lack a joint, or they are in the frames of cameras.
    """
    joints = _world_joints(store, progress)
    table = store.table()[["subject", "action", "frame"]].astype({"subject": str, "action": str})
    table["row"] = np.arange(len(table))
    first = table.groupby(["subject", "action", "frame"])["row"].transform("first").to_numpy()
    is_seen_again = (first != table["row"].to_numpy()) & (
        np.abs(joints - joints[first]).max((1, 2)) <= SAME_POSE
    )
    ordered = table[~is_seen_again].sort_values(["subject", "action", "frame"], kind="stable")
    return [
        Sequence(
            str(subject),
            str(action),
            part["frame"].to_numpy(np.int64),
            joints[part["row"].to_numpy()],
            part["row"].to_numpy(np.int64),
        )
        for (subject, action), part in ordered.groupby(["subject", "action"])
    ]


def _world_joints(store: PoseStore, progress: Progress) -> Float32[np.ndarray, "rows joints 3"]:
    if store.coordinate_frame == "none":
        raise InputError(f"{store.path} has no 3D poses, which this format is of: give another store")
    store.require_labelled("this format")
    levelled = levelled_or_none(store)
    if store.coordinate_frame == "camera" and levelled is None:
        raise InputError(
            f"{store.path}: its poses are in the frames of cameras whose place in a world is not known, and this format is of poses in a world: write them as .csv"
        )
    tell_levelled(store)
    joints = np.empty((len(store), len(store.skeleton), 3), np.float32)
    start = 0
    for poses in store.batches(CHUNK_ROWS * 16):
        assert poses.joints_3d is not None  # of a store with a frame
        joints[start : start + len(poses)] = poses.joints_3d if levelled is None else levelled.joints(poses)
        start += len(poses)
        progress(len(poses))
    return joints


def child_action(action: str, row: int) -> str:
    """The action of an evolved clip: that of its first parent, and the row of the store at which the clip begins."""
    return f"{action}_child_{row}"


def is_bred(store: PoseStore) -> bool:
    """Whether some of a store's poses are evolved one by one, so that they do not follow one another in time as evolved clips do.

    Evolved clips are told by their actions (`child_action`), and by having no frame twice.
    """
    table: pd.DataFrame = store.table()
    if "generation" not in table:
        return False
    is_child = table["generation"] > 0
    # A child alone has the labels and the frame number of its parent, which may be one of an evolved clip.
    is_twice = table.duplicated(["subject", "action", "frame"], keep=False)
    is_of_clip = table["action"].astype(str).str.contains(_CHILD)
    return bool((is_child & (is_twice | ~is_of_clip)).any())
