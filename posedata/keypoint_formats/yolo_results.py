"""Keypoints of Ultralytics' pose models as `Results.to_json()` (formerly `tojson`) gives them.

A list with an object for each person of an image, or a list of such lists, one for each frame::

    [{"name": "person", "class": 0, "confidence": 0.9, "box": {"x1", "y1", "x2", "y2"}, "track_id": 1,
      "keypoints": {"x": [...], "y": [...], "visible": [...]}}]

Coordinates are pixels, as the model has them, of `to_json(normalize=False)`, the default. 17 joints are COCO's; (0, 0) is a joint that was
not found. `confidence` of the box is not read, nor is `class`.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

import numpy as np

from evolift.posedata.checked_json import expect, number_table
from evolift.posedata.errors import InputError
from evolift.posedata.keypoint_formats.joint_columns import joint_columns
from evolift.posedata.keypoint_formats.keypoints import Keypoints, keypoints_of
from evolift.posedata.keypoint_formats.reading import Reading
from evolift.posedata.skeleton import COCO17

_READ = {"name", "class", "confidence", "box", "keypoints"}
_CORNERS = ("x1", "y1", "x2", "y2")


def is_yolo_result(entry: dict[str, Any]) -> bool:
    """Whether the first object of a list is of this format."""
    keypoints = entry.get("keypoints")
    return (isinstance(keypoints, dict) and {"x", "y"} <= set(keypoints)) or (
        isinstance(entry.get("box"), dict) and set(_CORNERS) <= set(entry["box"])
    )


def keypoints_of_yolo_results(values: Any, reading: Reading) -> Keypoints:
    """People of an image, or of all frames.

    Args:
        values: from `read_json`.
        reading: of the file; its stem is the name of the image.

    Raises:
        InputError: something is missing or of the wrong kind, or nobody is in it.
    """
    where = reading.where
    people = _people(values, where)
    posed = [one for one in people if one[1].get("keypoints") is not None]
    if not posed:
        raise InputError(
            f"{where} holds nobody with keypoints: predict with a model of the pose task, for example yolo11n-pose"
        )
    place = f"{posed[0][2]}.keypoints"
    joints = len(expect(expect(posed[0][1]["keypoints"], dict, place).get("x"), list, f"{place}.x"))
    columns = joint_columns(reading, place, joints, known={len(COCO17): COCO17})
    table = _table(posed, joints)
    ids = [entry.get("track_id") for _, entry, _ in posed]
    keys = dict.fromkeys(key for _, entry, _ in people for key in entry)
    reading.found("keys of people", keys, _READ | ({"track_id"} if None not in ids else set()))
    unposed = len(people) - len(posed)
    notes = [f"{unposed} of its {len(people)} boxes have no keypoints and are left out"] if unposed else []
    return keypoints_of(
        columns,
        table[..., :2],
        format="yolo",
        confidence=table[..., 2],
        image=[PurePath(where).stem] * len(posed),
        frame=[frame for frame, _, _ in posed],
        person=[str(identity) for identity in ids] if None not in ids else None,
        box=_boxes(posed),
        notes=notes,
        is_over_time=all(identity is None for identity in ids),
    )


def _people(values: Any, where: str) -> list[tuple[int, dict[str, Any], str]]:
    """(frame, object, place for messages) of each person."""
    entries = expect(values, list, where)
    is_video = any(isinstance(entry, list) for entry in entries)
    found = []
    for frame, people in enumerate(entries if is_video else [entries]):
        at = f"{where}: [{frame}]" if is_video else f"{where}: "
        for index, person in enumerate(expect(people, list, at)):
            place = f"{at}[{index}]"
            found.append((frame, expect(person, dict, place), place))
    return found


def _table(people: list[tuple[int, dict[str, Any], str]], joints: int) -> np.ndarray:
    """x, y and score of each joint, NaN where it was not found."""
    columns = []
    for key in ("x", "y", "visible"):
        rows = []
        for _, entry, at in people:
            keypoints = expect(entry["keypoints"], dict, f"{at}.keypoints")
            rows.append(keypoints.get(key) if key != "visible" or key in keypoints else [1.0] * joints)
            if key == "x" and isinstance(rows[-1], list) and len(rows[-1]) != joints:
                raise InputError(f"{at}.keypoints has {len(rows[-1])} joints, not {joints} as others")
        columns.append(number_table(rows, joints, [f"{at}.keypoints.{key}" for _, _, at in people]))
    table = np.stack(columns, -1)
    table[(table[..., :2] == 0).all(-1)] = np.nan
    return table


def _boxes(people: list[tuple[int, dict[str, Any], str]]) -> np.ndarray:
    rows = []
    for _, entry, at in people:
        box = expect(entry.get("box", {}), dict, f"{at}.box")
        rows.append([box.get(side) for side in _CORNERS])
    corners = number_table(rows, 4, [f"{at}.box" for _, _, at in people])
    return np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], 1)
