"""Keypoints as MMPose's inferencer and demos write them.

An image's file is a list of instances, a video's a list of {"frame_id", "instances"}; the demos wrap either as
{"meta_info", "instance_info"}. An instance has `keypoints` (a list of [x, y]), `keypoint_scores`, and `bbox` (left, top,
right, bottom; inside another list in most versions). `meta_info.keypoint_id2name` names the joints; the inferencer writes
none, and then their number tells which they are.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

import numpy as np

from evolift.posedata.checked_json import expect, number_table, whole_number
from evolift.posedata.errors import InputError
from evolift.posedata.keypoint_formats.joint_columns import joint_columns
from evolift.posedata.keypoint_formats.keypoints import Keypoints, keypoints_of
from evolift.posedata.keypoint_formats.reading import Reading
from evolift.posedata.keypoint_formats.track_ids import track_ids
from evolift.posedata.skeleton import COCO17, HALPE26, Skeleton

_SKELETON_OF: dict[int, Skeleton] = {17: COCO17, 133: COCO17, 26: HALPE26}
_READ = {"keypoints", "keypoint_scores", "bbox", "bbox_score", "track_id"}


def keypoints_of_mmpose(values: Any, reading: Reading) -> Keypoints:
    """People of an MMPose file.

    Args:
        values: from `read_json`.
        reading: of the file; its stem is the name of the image.

    Raises:
        InputError: something is missing or of the wrong kind, it cannot be told which joints these are, or nobody is in it.
    """
    where = reading.where
    instances = _instances(values, where)
    if not instances:
        raise InputError(f"{where} holds no person")
    count = len(expect(instances[0][1].get("keypoints"), list, f"{instances[0][2]}.keypoints"))
    names = _names(values, where)
    columns = joint_columns(
        reading,
        f"{where}: meta_info" if names else f"{instances[0][2]}.keypoints",
        count,
        names=names or None,
        known=_SKELETON_OF,
    )
    points = np.stack([_points(entry, count, at) for _, entry, at in instances])
    scores = number_table(
        [entry.get("keypoint_scores", [1.0] * count) for _, entry, _ in instances],
        count,
        [f"{at}.keypoint_scores" for _, _, at in instances],
    )
    ids, said = track_ids([entry.get("track_id") for _, entry, _ in instances])
    reading.notes += said
    reading.found("keys of people", dict.fromkeys(key for _, entry, _ in instances for key in entry), _READ)
    return keypoints_of(
        columns,
        points,
        format="mmpose",
        confidence=scores,
        image=[PurePath(where).stem] * len(instances),
        frame=[frame for frame, _, _ in instances],
        person=ids,
        box=_boxes(instances),
        is_over_time=not said,
    )


def _names(values: Any, where: str) -> list[str]:
    """Names of the joints in their order, from `keypoint_id2name` or `keypoint_name2id`; none if the file has neither."""
    meta = values.get("meta_info") if isinstance(values, dict) else None
    if not isinstance(meta, dict):
        return []
    place = f"{where}: meta_info.keypoint_id2name"
    table = expect(meta.get("keypoint_id2name") or {}, dict, place)
    if not table:
        place = f"{where}: meta_info.keypoint_name2id"
        by_name = expect(meta.get("keypoint_name2id") or {}, dict, place)
        table = {str(identity): name for name, identity in by_name.items()}
    if set(table) != {str(number) for number in range(len(table))}:
        raise InputError(f"{place} must name the joints 0, 1, 2, ... without gaps")
    return [expect(table[str(n)], str, f"{place}[{n}]") for n in range(len(table))]


def _instances(values: Any, where: str) -> list[tuple[int, dict[str, Any], str]]:
    """(frame number, instance, place in the file for messages) of every person."""
    if isinstance(values, dict):
        values = values.get("instance_info")
    found = []
    for number, entry in enumerate(expect(values, list, f"{where}: instance_info")):
        at = f"{where}: [{number}]"
        expect(entry, dict, at)
        if "instances" not in entry:
            found.append((0, entry, at))
            continue
        frame = whole_number(entry.get("frame_id", number), f"{at}.frame_id")
        for index, instance in enumerate(expect(entry["instances"], list, f"{at}.instances")):
            place = f"{at}.instances[{index}]"
            found.append((frame, expect(instance, dict, place), place))
    return found


def _points(entry: dict[str, Any], joints: int, where: str) -> np.ndarray:
    points = expect(entry.get("keypoints"), list, f"{where}.keypoints")
    if len(points) != joints:
        raise InputError(f"{where}.keypoints must have {joints} joints, has {len(points)}")
    return number_table(points, 2, f"{where}.keypoints")


def _boxes(instances: list[tuple[int, dict[str, Any], str]]) -> np.ndarray:
    rows = []
    for _, entry, _ in instances:
        box = entry.get("bbox") or [None] * 4
        rows.append(box[0] if isinstance(box, list) and box and isinstance(box[0], list) else box)
    corners = number_table(rows, 4, [f"{at}.bbox" for _, _, at in instances])
    with np.errstate(over="ignore", invalid="ignore"):  # sides that make no sense are left out below
        boxes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], 1)
    boxes[~(boxes[:, 2:] > 0).all(1)] = np.nan
    return boxes
