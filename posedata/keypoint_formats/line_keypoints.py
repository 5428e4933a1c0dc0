"""Keypoints as JSON lines, for streams: one person a line.

A line is an object with `joints_2d` (a list of [u, v] or null per joint, pixels), and if known `confidence` (a number
per joint), `image`, `frame`, `time` (seconds), `person`, `box` (left, top, width, height), `image_size` (width, height) and `skeleton` (a
name) or `joint_names` (a list). The first line may be the header of a file of predictions, which then tells the skeleton: what `evolift predict` writes can be read back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from evolift.posedata.checked_json import expect, number_table, parse_json, whole_number
from evolift.posedata.errors import InputError, within
from evolift.posedata.keypoint_formats.joint_columns import joint_columns
from evolift.posedata.keypoint_formats.keypoints import Keypoints, keypoints_of
from evolift.posedata.keypoint_formats.name_mapping import NamedColumns
from evolift.posedata.keypoint_formats.reading import Reading
from evolift.posedata.predictions.prediction_header import FORMAT, read_header
from evolift.posedata.predictions.predictions import Predictions
from evolift.posedata.skeleton import Skeleton, skeleton_by_name

_MIN_CONFIDENCE = 1e-6  # in predictions a joint with coordinates is labelled, however low its confidence is
_READ = {
    "joints_2d",
    "confidence",
    "image",
    "frame",
    "time",
    "person",
    "box",
    "image_size",
    "skeleton",
    "joint_names",
}


def read_keypoint_lines(
    lines: Iterable[str], reading: Reading, *, rows: int = 1024, first: int = 1, is_whole: bool = False
) -> Iterator[Keypoints]:
    """People of a stream, some at a time, as they come.

    Args:
        lines: text lines; empty ones are passed over.
        reading: of the stream or file; its skeleton or mapping is that of lines that do not tell theirs.
        rows: maximum number of people in one part; 1 answers every line at once.
        first: number of the first line.
        is_whole: these are all lines of a file, so that images without frame numbers are numbered by their names, and
            lines without ids may be frames of one person.

    Raises:
        InputError: a line is no such object, or it cannot be told which joints it has.
    """
    people: list[tuple[dict[str, Any], NamedColumns, str, int]] = []
    header: Skeleton | None = None
    for number, line in enumerate(lines, first):
        if not line.strip():
            continue
        at = f"{reading.where} line {number}"
        values = expect(parse_json(line, at), dict, at)
        if values.get("format") == FORMAT:
            header = read_header(values, at)["skeleton"]
            continue
        reading.found("keys of lines", values, _READ)
        columns = _columns_of(values, reading, header, at)
        if people and (len(people) >= rows or people[-1][1] is not columns):
            yield _people(people, is_whole=is_whole)
            people = []
        people.append((values, columns, at, number))
        if len(people) >= rows:
            yield _people(people, is_whole=is_whole)
            people = []
    if people:
        yield _people(people, is_whole=is_whole)


def keypoints_of_predictions(predictions: Predictions) -> Keypoints:
    """The 2D joints of predictions, to lift them again."""
    sizes = np.array([(camera.width, camera.height) for camera in predictions.cameras] + [(0, 0)])
    return keypoints_of(
        predictions.skeleton,
        predictions.joints_2d,
        format="evolift",
        confidence=np.maximum(predictions.confidence, _MIN_CONFIDENCE),
        image=predictions.image,
        frame=predictions.frame.tolist(),
        person=predictions.person,
        box=predictions.box,
        image_size=sizes[predictions.camera],  # the last one stands for no camera (-1)
        time=predictions.time.astype(np.float64) if np.isfinite(predictions.time).all() else None,
    )


def _columns_of(
    values: dict[str, Any], reading: Reading, header: Skeleton | None, where: str
) -> NamedColumns:
    """What the joints of a line are, the same object for lines that have the same."""
    names = expect(values.get("joint_names", []), list, f"{where}: joint_names")
    told = expect(values["skeleton"], str, f"{where}: skeleton") if "skeleton" in values else header
    row = expect(values.get("joints_2d"), list, f"{where}: joints_2d")
    known = reading.columns
    by_number = told is None and not names
    key = (len(row) if by_number else None, told, *(expect(n, str, f"{where}: joint_names") for n in names))
    if key not in known:
        if names:
            known[key] = joint_columns(reading, f"{where}: joint_names", len(names), names=names)
        elif told is not None:
            with within(f"{where}: skeleton"):
                skeleton = skeleton_by_name(told) if isinstance(told, str) else told
            reading.tells(skeleton, f"{where}: skeleton")
            known[key] = joint_columns(reading, f"{where}: skeleton", len(skeleton), names=skeleton.joints)
        else:
            if reading.skeleton is None and reading.mapping is None:
                raise InputError(
                    f"{where} names no skeleton: add it to the line, or say which with `skeleton`, or what its joints mean "
                    "with `mapping`"
                )
            known[key] = joint_columns(reading, f"{where}: joints_2d", len(row))
    return known[key]


def _people(people: list[tuple[dict[str, Any], NamedColumns, str, int]], *, is_whole: bool) -> Keypoints:
    columns = people[0][1]
    joints = len(columns.names)
    points, places, scores = [], [], []
    for values, _, at, _ in people:
        row = expect(values.get("joints_2d"), list, f"{at}: joints_2d")
        if len(row) != joints:
            raise InputError(
                f"{at}: joints_2d must have the {joints} joints of {columns.mapping.skeleton.name}, has {len(row)}"
            )
        points += [[None, None] if point is None else point for point in row]
        places += [f"{at}: joints_2d[{joint}]" for joint in range(joints)]
        scores.append(values.get("confidence") or [1.0] * joints)
    confidence = number_table(scores, joints, [f"{at}: confidence" for _, _, at, _ in people])
    # Each line for itself, so that answers of a stream do not depend on which lines arrive together.
    confidence[(confidence == 0).all(1)] = 1
    is_ours = np.array(["joints_3d" in values for values, *_ in people])  # null is what is not seen in these
    confidence[is_ours] = np.maximum(confidence[is_ours], _MIN_CONFIDENCE)
    by_names = is_whole and all("frame" not in values and values.get("image") for values, *_ in people)
    tracked = all("person" in values for values, *_ in people)
    sizes = [values.get("image_size") or [0, 0] for values, *_ in people]
    size = number_table(sizes, 2, [f"{at}: image_size" for _, _, at, _ in people])
    return keypoints_of(
        columns,
        number_table(points, 2, places).reshape(len(people), joints, 2),
        format="jsonl",
        confidence=confidence,
        image=[expect(values.get("image", ""), str, f"{at}: image") for values, _, at, _ in people],
        frame=None
        if by_names
        else [whole_number(values.get("frame", line), f"{at}: frame") for values, _, at, line in people],
        person=[str(expect(v["person"], (str, int), f"{at}: person")) for v, _, at, _ in people]
        if tracked
        else None,
        box=number_table(
            [values.get("box") or [None] * 4 for values, *_ in people],
            4,
            [f"{at}: box" for _, _, at, _ in people],
        ),
        image_size=np.where((size > 0) & (size < 2**31), size, 0),
        is_over_time=is_whole,
        time=_times(people),
    )


def _times(people: list[tuple[dict[str, Any], NamedColumns, str, int]]) -> np.ndarray | None:
    """Seconds as the lines tell them; None if one does not."""
    if any(values.get("time") is None for values, *_ in people):
        return None
    return number_table(
        [[values["time"]] for values, *_ in people], 1, [f"{at}: time" for _, _, at, _ in people]
    )[:, 0]
