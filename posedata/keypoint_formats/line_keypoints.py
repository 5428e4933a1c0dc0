"""Keypoints as JSON lines, for streams: one person a line.

A line is an object with `joints_2d` (a list of [u, v] or null per joint, pixels), and if known `confidence` (a number
per joint), `image`, `frame`, `person`, `box` (left, top, width, height) and `skeleton` (a name). The first line may be
the header of a file of predictions, which then tells the skeleton: what `evolift predict` writes can be read back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from evolift.posedata.checked_json import expect, number_table, parse_json, whole_number
from evolift.posedata.errors import InputError
from evolift.posedata.keypoint_formats.keypoints import Keypoints, keypoints_of
from evolift.posedata.predictions.prediction_header import FORMAT, read_header
from evolift.posedata.predictions.predictions import Predictions
from evolift.posedata.skeleton import Skeleton, skeleton_by_name

_MIN_CONFIDENCE = (
    1e-6  # a joint with coordinates is labelled however low its confidence is; an unlabelled one has none
)


def read_keypoint_lines(
    lines: Iterable[str], where: str, *, skeleton: Skeleton | None = None, rows: int = 1024, first: int = 1
) -> Iterator[Keypoints]:
    """People of a stream, some at a time, as they come.

    Args:
        lines: text lines; empty ones are passed over.
        where: the stream or file, for messages.
        skeleton: of lines that do not name one.
        rows: maximum number of people in one part; 1 answers every line at once.
        first: number of the first line.

    Raises:
        InputError: a line is no such object, or its skeleton is not known.
    """
    people: list[tuple[dict[str, Any], Skeleton, str, int]] = []
    for number, line in enumerate(lines, first):
        if not line.strip():
            continue
        at = f"{where} line {number}"
        values = expect(parse_json(line, at), dict, at)
        if values.get("format") == FORMAT:
            skeleton = read_header(values, at)["skeleton"]
            continue
        of_line = _skeleton_of(values, skeleton, at)
        if people and (len(people) >= rows or people[-1][1] != of_line):
            yield _people(people)
            people = []
        people.append((values, of_line, at, number))
        if len(people) >= rows:
            yield _people(people)
            people = []
    if people:
        yield _people(people)


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
    )


def _skeleton_of(values: dict[str, Any], otherwise: Skeleton | None, where: str) -> Skeleton:
    if "skeleton" in values:
        return skeleton_by_name(expect(values["skeleton"], str, f"{where}: skeleton"))
    if otherwise is None:
        raise InputError(f"{where} names no skeleton: add it to the line, or say which with `skeleton`")
    return otherwise


def _people(people: list[tuple[dict[str, Any], Skeleton, str, int]]) -> Keypoints:
    skeleton = people[0][1]
    joints = len(skeleton)
    points, places, scores = [], [], []
    for values, _, at, _ in people:
        row = expect(values.get("joints_2d"), list, f"{at}: joints_2d")
        if len(row) != joints:
            raise InputError(
                f"{at}: joints_2d must have the {joints} joints of {skeleton.name}, has {len(row)}"
            )
        points += [[None, None] if point is None else point for point in row]
        places += [f"{at}: joints_2d[{joint}]" for joint in range(joints)]
        scores.append(values.get("confidence") or [1.0] * joints)
    tracked = all("person" in values for values, *_ in people)
    return keypoints_of(
        skeleton,
        number_table(points, 2, places).reshape(len(people), joints, 2),
        format="jsonl",
        confidence=np.maximum(
            number_table(scores, joints, [f"{at}: confidence" for _, _, at, _ in people]), _MIN_CONFIDENCE
        ),
        image=[expect(values.get("image", ""), str, f"{at}: image") for values, _, at, _ in people],
        frame=[whole_number(values.get("frame", line), f"{at}: frame") for values, _, at, line in people],
        person=[str(expect(v["person"], (str, int), f"{at}: person")) for v, _, at, _ in people]
        if tracked
        else None,
        box=number_table(
            [values.get("box") or [None] * 4 for values, *_ in people],
            4,
            [f"{at}: box" for _, _, at, _ in people],
        ),
    )
