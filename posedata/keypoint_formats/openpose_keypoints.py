"""Keypoints as OpenPose writes them: one `NAME_NUMBER_keypoints.json` per image or video frame.

Each file has `people`, and each person `pose_keypoints_2d`: x, y, score for each joint, zeros where none was found. Joints
have no names; by their number they are BODY_25, the COCO model (18), the MPI model (15), or what other programs write in this
layout: Halpe (26, 136), COCO (17) and COCO-WholeBody (133). `person_id` is -1 unless OpenPose tracked.

The MPI model's order is POSE_MPI_BODY_PARTS of openpose/pose/poseParameters.cpp. It learnt from MPII, whose head top is its "Head",
whose upper neck is its "Neck", and whose middle of pelvis and thorax is its "Chest" (`TransformJoints` of OpenPose's training
code): the place of the spine in the mapping of MPII's joints here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evolift.posedata.checked_json import expect, number_table, read_json, whole_number
from evolift.posedata.errors import InputError
from evolift.posedata.keypoint_formats.joint_columns import joint_columns
from evolift.posedata.keypoint_formats.keypoints import Keypoints, keypoints_of
from evolift.posedata.keypoint_formats.reading import Reading
from evolift.posedata.keypoint_formats.track_ids import track_ids
from evolift.posedata.skeleton import BODY25, COCO17, HALPE26, OPENPOSE18, Skeleton

FILE_PATTERN = "*_keypoints.json"
_NAME = re.compile(r"(?P<name>.*?)(?:_(?P<number>\d+))?_keypoints\.json")
SKELETON_OF_COUNT: dict[int, Skeleton] = {
    25: BODY25,
    18: OPENPOSE18,
    26: HALPE26,
    136: HALPE26,
    17: COCO17,
    133: COCO17,
}
MPI15 = (
    "head_top", "upper_neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
    "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "spine",
)  # fmt: skip
"""OpenPose's MPI model, under the names of MPII's joints."""
_OTHERS = ("face", "hand_left", "hand_right")
KEYS_OF_PEOPLE = {"person_id"} | {
    f"{part}_keypoints_{axes}d" for part in ("pose", *_OTHERS) for axes in (2, 3)
}
"""What is read, and what lies beside the pose."""


def read_openpose_folder(folder: Path, reading: Reading) -> Keypoints:
    """People of all frames of a folder, in the order of the frames.

    Args:
        folder: of the files.
        reading: of the folder.

    Raises:
        InputError: there are no such files, one is damaged or of another body model, or nobody is in any.
    """
    paths = sorted(folder.glob(FILE_PATTERN), key=lambda path: (_frame_of(path), path.name))
    if not paths:
        raise InputError(f"{folder} holds no {FILE_PATTERN} files")
    return keypoints_of_openpose([(path, read_json(path)) for path in paths], reading)


def keypoints_of_openpose(files: Sequence[tuple[Path, Any]], reading: Reading) -> Keypoints:
    """People of OpenPose files that are read already.

    Args:
        files: path and values of each.
        reading: of the folder or file.

    Raises:
        InputError: see `read_openpose_folder`.
    """
    rows, places, images, frames, ids, sizes = [], [], [], [], [], []
    keys: dict[str, None] = {}
    is_numbered = True
    for number, (path, values) in enumerate(files):
        people = expect(expect(values, dict, str(path)).get("people"), list, f"{path}: people")
        for index, person in enumerate(people):
            at = f"{path}: people[{index}]"
            flat = expect(expect(person, dict, at).get("pose_keypoints_2d"), list, f"{at}.pose_keypoints_2d")
            if not flat:  # only hands or a face were found
                continue
            rows.append(flat)
            places.append(f"{at}.pose_keypoints_2d")
            match = _NAME.fullmatch(path.name)
            images.append(match["name"] if match else path.stem)
            is_numbered = is_numbered and match is not None and match["number"] is not None
            frames.append(_frame_of(path) if match and match["number"] else number)
            ids.append(person.get("person_id"))
            sizes.append(_canvas(values, str(path)))
            keys.update(dict.fromkeys(person))
    if not rows:
        raise InputError(f"{reading.where} holds nobody: OpenPose found no person in it")
    reading.found("keys of people", keys, KEYS_OF_PEOPLE)
    width = len(rows[0])
    if width % 3:
        raise InputError(f"{places[0]} has {width} numbers, which are not three for each joint")
    is_mpi = width // 3 == len(MPI15) and reading.mapping is None
    if is_mpi:
        reading.notes.append("15 joints without names are taken to be those of OpenPose's MPI model")
    names = MPI15 if is_mpi else None
    columns = joint_columns(reading, places[0], width // 3, names=names, known=SKELETON_OF_COUNT)
    table = number_table(rows, width, places).reshape(len(rows), width // 3, 3)
    tracks, said = track_ids(ids)
    reading.notes += said
    return keypoints_of(
        columns,
        table[..., :2],
        format="openpose",
        confidence=table[..., 2],
        image=images,
        frame=frames,
        person=tracks,
        image_size=np.array(sizes),
        is_over_time=is_numbered and len(set(images)) == 1 and not said,
    )


def _canvas(values: dict[str, Any], where: str) -> tuple[int, int]:
    """(width, height) of the image, which DWPose and ControlNet tell; zeros if the file does not."""
    sides = [whole_number(values.get(key, 0), f"{where}: {key}") for key in ("canvas_width", "canvas_height")]
    return (sides[0], sides[1]) if all(0 < side < 2**31 for side in sides) else (0, 0)


def _frame_of(path: Path) -> int:
    match = _NAME.fullmatch(path.name)
    return int(match["number"][-18:]) if match and match["number"] else 0


def track_of(person: dict[str, Any], where: str) -> str | None:
    """The id of a tracked person, None for -1 or none."""
    value = person.get("person_id", [-1])
    identity = value[0] if isinstance(value, list) and value else value
    if identity == [] or identity is None:
        return None
    expect(identity, int, f"{where}.person_id")
    return None if identity < 0 else str(identity)
