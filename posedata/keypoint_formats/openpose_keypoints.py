"""Keypoints as OpenPose writes them: one `NAME_NUMBER_keypoints.json` per image or video frame.

Each file has `people`, and each person `pose_keypoints_2d`: x, y, score for the 25 joints of BODY_25, zeros where none
was found. `person_id` is -1 unless OpenPose tracked.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evolift.posedata.checked_json import expect, number_table, read_json
from evolift.posedata.errors import InputError
from evolift.posedata.keypoint_formats.keypoints import Keypoints, keypoints_of
from evolift.posedata.skeleton import BODY25

FILE_PATTERN = "*_keypoints.json"
_NAME = re.compile(r"(?P<name>.*?)(?:_(?P<number>\d+))?_keypoints\.json")
_OTHER_MODELS = {54: "COCO", 45: "MPI", 75: "BODY_25"}


def read_openpose_folder(folder: Path) -> Keypoints:
    """People of all frames of a folder, in the order of the frames.

    Raises:
        InputError: there are no such files, one is damaged or of another body model, or nobody is in any.
    """
    paths = sorted(folder.glob(FILE_PATTERN), key=lambda path: (_frame_of(path), path.name))
    if not paths:
        raise InputError(f"{folder} holds no {FILE_PATTERN} files")
    return keypoints_of_openpose([(path, read_json(path)) for path in paths], str(folder))


def keypoints_of_openpose(files: Sequence[tuple[Path, Any]], where: str) -> Keypoints:
    """People of OpenPose files that are read already.

    Args:
        files: path and values of each.
        where: the folder or file, for messages.

    Raises:
        InputError: see `read_openpose_folder`.
    """
    rows, places, images, frames, ids = [], [], [], [], []
    for number, (path, values) in enumerate(files):
        people = expect(expect(values, dict, str(path)).get("people"), list, f"{path}: people")
        for index, person in enumerate(people):
            at = f"{path}: people[{index}]"
            flat = expect(expect(person, dict, at).get("pose_keypoints_2d"), list, f"{at}.pose_keypoints_2d")
            if not flat:  # only hands or a face were found
                continue
            if len(flat) != 3 * len(BODY25) and len(flat) in _OTHER_MODELS:
                raise InputError(
                    f"{at} has the body model {_OTHER_MODELS[len(flat)]}: run OpenPose with BODY_25, its default"
                )
            rows.append(flat)
            places.append(f"{at}.pose_keypoints_2d")
            match = _NAME.fullmatch(path.name)
            images.append(match["name"] if match else path.stem)
            frames.append(_frame_of(path) if match and match["number"] else number)
            ids.append(_track_of(person, at))
    if not rows:
        raise InputError(f"{where} holds nobody: OpenPose found no person in it")
    table = number_table(rows, 3 * len(BODY25), places).reshape(len(rows), len(BODY25), 3)
    tracks = [identity for identity in ids if identity is not None]
    return keypoints_of(
        BODY25,
        table[..., :2],
        format="openpose",
        confidence=table[..., 2],
        image=images,
        frame=frames,
        person=tracks if len(tracks) == len(ids) else None,
    )


def _frame_of(path: Path) -> int:
    match = _NAME.fullmatch(path.name)
    return int(match["number"][-18:]) if match and match["number"] else 0


def _track_of(person: dict[str, Any], where: str) -> str | None:
    """The id of a tracked person, None for -1 or none."""
    value = person.get("person_id", [-1])
    identity = value[0] if isinstance(value, list) and value else value
    if identity == [] or identity is None:
        return None
    expect(identity, int, f"{where}.person_id")
    return None if identity < 0 else str(identity)
