"""Keypoints of DWPose and OpenPose preprocessors as the ControlNet programs save them (POSE_KEYPOINT of ComfyUI).

A list with an object for each image or frame, or one such object::

    {"people": [{"pose_keypoints_2d": [x, y, score, ...]}], "canvas_width": 512, "canvas_height": 768, "animals": []}

18 joints are OpenPose's COCO model, 25 are BODY_25, as in OpenPose's own files. Coordinates are pixels of the canvas, or parts of it.
Joints of score 0 were not found. Faces, hands and animals are not read.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from evolift.posedata.checked_json import expect, number_table, whole_number
from evolift.posedata.errors import InputError
from evolift.posedata.keypoint_formats.joint_columns import joint_columns
from evolift.posedata.keypoint_formats.keypoints import Keypoints, keypoints_of
from evolift.posedata.keypoint_formats.openpose_keypoints import KEYS_OF_PEOPLE, SKELETON_OF_COUNT, track_of
from evolift.posedata.keypoint_formats.reading import Reading

_OF_FRAMES = {"people", "animals", "canvas_width", "canvas_height", "version"}


def is_dwpose(entry: dict[str, Any], *, is_listed: bool) -> bool:
    """Whether an object, or the first one of a list, is of this format; without a canvas one object alone is OpenPose's."""
    return "people" in entry and (is_listed or "canvas_width" in entry)


def keypoints_of_dwpose(values: Any, reading: Reading) -> Keypoints:
    """People of all frames; who is who over frames is told only by a `person_id`.

    Args:
        values: from `read_json`.
        reading: of the file.

    Raises:
        InputError: something is missing or of the wrong kind, or nobody is in it.
    """
    where = reading.where
    entries = [values] if isinstance(values, dict) else expect(values, list, where)
    flats, places, frames, sizes, ids, animals = [], [], [], [], [], 0
    for number, entry in enumerate(entries):
        at = f"{where}: [{number}]" if isinstance(values, list) else where
        size = [
            whole_number(expect(entry, dict, at).get(key, 0), f"{at}.{key}", below=2**31)
            for key in ("canvas_width", "canvas_height")
        ]
        reading.found("keys of frames", entry, _OF_FRAMES)
        animals += len(expect(entry.get("animals") or [], list, f"{at}.animals"))
        for index, person in enumerate(expect(entry.get("people"), list, f"{at}.people")):
            place = f"{at}.people[{index}]"
            flat = expect(person, dict, place).get("pose_keypoints_2d")
            if flat:  # else only hands or a face were found
                reading.found("keys of people", person, KEYS_OF_PEOPLE)
                flats.append(flat)
                ids.append(track_of(person, place))
                places.append(f"{place}.pose_keypoints_2d")
                frames.append(number)
                sizes.append(size if min(size) > 0 else [0, 0])
    if not flats:
        raise InputError(f"{where} holds nobody: its people have no pose_keypoints_2d")
    width = len(expect(flats[0], list, places[0]))
    if width % 3:
        raise InputError(f"{places[0]} has {width} numbers, which are not three for each joint")
    columns = joint_columns(reading, places[0], width // 3, known=SKELETON_OF_COUNT)
    table = number_table(flats, width, places).reshape(len(flats), -1, 3)
    notes = [f"{animals} animals are left out"] if animals else []
    tracks = [identity for identity in ids if identity is not None]
    return keypoints_of(
        columns,
        table[..., :2],
        format="dwpose",
        confidence=table[..., 2],
        frame=frames,
        person=tracks if len(tracks) == len(ids) else None,
        image_size=np.array(sizes),
        notes=notes,
        is_over_time=not tracks,
    )
