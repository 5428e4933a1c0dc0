"""3D poses of a store as BVH files in a folder, one for each subject and action (`evolift.posedata.bvh_clip`)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from evolift.posedata.bvh_clip import FROM_WORLD, bvh_text, require_kinematic
from evolift.posedata.errors import InputError
from evolift.posedata.exporters.sequences import Sequence
from evolift.posedata.frame_rate import usual_step
from evolift.posedata.output_file import SETTINGS, free_path, write_json, write_text
from evolift.posedata.output_folder import output_folder
from evolift.posedata.predictions.bvh_tracks import at_frames
from evolift.posedata.predictions.predictions import require_near_frames
from evolift.posedata.skeleton import Skeleton


def cut_at_pauses(sequences: Iterable[Sequence], frames_per_second: float) -> list[Sequence]:
    """Sequences without a pause of more than a second: what lies between is not known, and would be made up.

    Args:
        sequences: of any lengths.
        frames_per_second: of their rows.
    """
    parts = []
    for one in sequences:
        steps = np.diff(one.frame)
        if (
            len(steps) == 0 or (steps == 0).any()
        ):  # of the latter it is said what is wrong when they are written
            parts.append(one)
            continue
        missing = steps / usual_step(steps) - 1
        for rows in np.split(np.arange(len(one.frame)), np.flatnonzero(missing > frames_per_second) + 1):
            parts.append(replace(one, frame=one.frame[rows], joints=one.joints[rows], row=one.row[rows]))
    return parts


def write_bvh_clips(
    folder: Path,
    sequences: list[Sequence],
    skeleton: Skeleton,
    frames_per_second: float,
    *,
    record: dict[str, Any],
    overwrite: bool,
    inputs: Iterable[Path],
) -> int:
    """Write SUBJECT_ACTION.bvh for each sequence; returns how many frames in them were interpolated.

    The rate is that of the store's rows, whose frame numbers may go in steps of more than one, and of unequal ones (15 of 50 a
    second): the mean step is the time between two frames of the file. Frames that are missing between others are interpolated.

    Args:
        folder: to make.
        sequences: poses in the world.
        skeleton: of the sequences, a kinematic one.
        frames_per_second: of the rows.
        record: how they came about, for the folder's settings.json.
        overwrite: replace a folder that was made by evolift.
        inputs: files that are read and must not lie in the folder.

    Raises:
        InputError: a frame has two poses, or frames are too far apart.
        OutputError: the skeleton's bones cannot be rotated, or the folder cannot be written.
    """
    require_kinematic(skeleton)
    grids = [_grid(one) for one in sequences]
    interpolated = 0
    with output_folder(folder, overwrite=overwrite, inputs=inputs):
        write_json(folder / SETTINGS, record)
        for one, places in zip(sequences, grids, strict=True):
            every = np.arange(int(np.round(places[-1])) + 1)
            joints = at_frames(one.joints.astype(np.float64), places, every) @ FROM_WORLD
            text = bvh_text(skeleton, joints, frames_per_second)
            write_text(free_path(folder, f"{one.subject}_{one.action}", ".bvh"), text, overwrite=False)
            interpolated += len(every) - len(places)
    return interpolated


def _grid(sequence: Sequence) -> np.ndarray:
    """Place in the file of each pose, in frames from 0."""
    what = f"{sequence.subject} {sequence.action}"
    steps = np.diff(sequence.frame)
    if (steps == 0).any():
        raise InputError(
            f"{what}: frame {sequence.frame[int((steps == 0).argmax())]} has two poses, so that it is no clip over time, which BVH is of: write .npz or .csv"
        )
    places: np.ndarray = (sequence.frame - sequence.frame[0]) / (usual_step(steps) if len(steps) else 1)
    require_near_frames(np.round(places).astype(np.int64), f"{what}, bvh")
    return places
