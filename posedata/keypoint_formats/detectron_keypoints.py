"""Keypoints of Detectron2 as VideoPose3D's `inference/infer_video_d2.py` writes them: one NAME.mp4.npz for each video.

    keypoints[frame][1]   (people, 4, 17): x, y, logit, probability of COCO's joints; an empty list where nobody was found
    boxes[frame][1]       (people, 5): left, top, right, bottom, score
    metadata              {"w": width, "h": height}
    segments              not read

`[0]` in place of `[1]` stands for Detectron's background class and is always empty. The tables are pickled into the file,
of which nothing but arrays and containers is read (`evolift.posedata.plain_pickle`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from evolift.posedata.errors import InputError
from evolift.posedata.keypoint_formats.joint_columns import joint_columns
from evolift.posedata.keypoint_formats.keypoints import Keypoints, keypoints_of
from evolift.posedata.keypoint_formats.reading import Reading
from evolift.posedata.plain_pickle import names_of_npz, read_object_npz
from evolift.posedata.skeleton import COCO17

MEMBERS = frozenset({"keypoints.npy", "boxes.npy", "metadata.npy"})
"""Arrays by which such a file is told from other archives."""
_READ = {"keypoints", "boxes", "metadata", "segments"}
_ROWS = 4


def read_detectron2(path: Path, reading: Reading) -> Keypoints:
    """People of all frames of a video; who is who over frames is told only if there is nobody else.

    Args:
        path: of the file.
        reading: of the file.

    Raises:
        InputError: it is not such a file, is damaged, holds more than arrays, or nobody is in it.
    """
    frames = _frames(path, "keypoints")
    boxes = _frames(path, "boxes")
    if len(boxes) != len(frames):
        raise InputError(
            f"{path} has boxes of {len(boxes)} frames, keypoints of {len(frames)}: write it again"
        )
    people, corners, numbers = [], [], []
    for frame, (entry, box) in enumerate(zip(frames, boxes, strict=True)):
        found = _of_frame(entry, f"{path}: keypoints[{frame}]")
        if found.size == 0:
            continue
        if found.ndim != 3 or found.shape[1:] != (_ROWS, len(COCO17)):
            raise InputError(
                f"{path}: keypoints[{frame}][1] must have shape (people, {_ROWS}, {len(COCO17)}), has {found.shape}"
            )
        people.append(found)
        corners.append(_corners(_of_frame(box, f"{path}: boxes[{frame}]"), len(found)))
        numbers += [frame] * len(found)
    if not people:
        raise InputError(f"{path} holds nobody: Detectron found no person in it")
    table = np.concatenate(people)
    reading.found("arrays", names_of_npz(path), _READ)
    return keypoints_of(
        joint_columns(reading, str(path), len(COCO17), names=COCO17.joints),
        table[:, :2].transpose(0, 2, 1),
        format="detectron2",
        confidence=table[:, 3],
        image=[path.name.removesuffix(".npz")] * len(table),
        frame=numbers,
        box=np.concatenate(corners),
        image_size=np.tile(size_of(read_object_npz(path, "metadata")), (len(table), 1)),
        is_over_time=True,
    )


def size_of(metadata: Any) -> np.ndarray:
    """(width, height) by the keys w and h, or width and height, of a dictionary; zeros if it does not tell both."""
    if isinstance(metadata, dict):
        for keys in (("w", "h"), ("width", "height")):
            sides = [metadata.get(key) for key in keys]
            if all(isinstance(side, int | float | np.number) and 0 < side < 2**31 for side in sides):
                return np.array(sides, np.int32)
    return np.zeros(2, np.int32)


def _frames(path: Path, name: str) -> Any:
    frames = read_object_npz(path, name)
    if not isinstance(frames, list | np.ndarray) or (isinstance(frames, np.ndarray) and not frames.ndim):
        raise InputError(f"{path}: {name} must be a list of frames, as infer_video_d2.py writes it")
    return frames


def _of_frame(entry: Any, where: str) -> np.ndarray:
    """What was found of people in a frame, as numbers."""
    try:
        return np.asarray(entry[1], np.float64)
    except (IndexError, KeyError, TypeError, ValueError):
        raise InputError(f"{where} must be a pair of an empty list and an array of people") from None


def _corners(boxes: np.ndarray, people: int) -> np.ndarray:
    """(left, top, width, height) of each person; NaN where boxes do not belong to the people."""
    if boxes.ndim != 2 or len(boxes) != people or boxes.shape[1] < 4:
        return np.full((people, 4), np.nan)
    return np.concatenate([boxes[:, :2], boxes[:, 2:4] - boxes[:, :2]], 1)
