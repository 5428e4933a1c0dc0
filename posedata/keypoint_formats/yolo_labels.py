"""Pose labels of YOLO: text files of data sets, and what Ultralytics' `save_txt` writes of predictions.

One file for each image, a person a line::

    class  centre_x centre_y width height  x y [v] for each joint  [score of the box] [track]

All but class, score and track are parts of the image's width and height. `v` is 0, 1 or 2 as in COCO in data sets, and
a score in predictions. (0, 0) is a joint that was not found. Videos give NAME_FRAME.txt, counted from 1. Files tell neither names nor the
number of joints: they are COCO's 17, or those of the skeleton that is given. The centre of the top-left pixel is (0.5, 0.5) there.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from evolift.posedata.errors import InputError
from evolift.posedata.input_file import read_text
from evolift.posedata.keypoint_formats.image_units import pixels_of_parts
from evolift.posedata.keypoint_formats.joint_columns import joint_columns
from evolift.posedata.keypoint_formats.keypoints import Keypoints, keypoints_of
from evolift.posedata.keypoint_formats.reading import Reading
from evolift.posedata.skeleton import COCO17

_BOX = 5  # class, and four of the box
_LEAST = _BOX + 2
_NAME = re.compile(r"(?P<name>.*?)_?(?P<number>\d{1,18})")
_OTHER_FILES = ("classes.txt", "labels.txt")  # names of classes, which labelling programs put beside


class _Person(NamedTuple):
    image: str
    frame: int
    values: list[float]
    place: str


def is_label_line(line: str) -> bool:
    """Whether a line of text is one of these labels: a whole number, and at least six numbers more."""
    cells = line.split()
    return len(cells) >= _LEAST and cells[0].isdigit() and all(map(_is_number, cells))


def label_files(folder: Path) -> list[Path]:
    """The files of a folder of labels in the order of their names, none if it is no such folder."""
    files = [path for path in folder.glob("*.txt") if path.name not in _OTHER_FILES]
    for path in files:
        try:
            first = read_text(path).strip().partition("\n")[0]
        except InputError:
            return []
        if first:
            return sorted(files) if is_label_line(first) else []
    return []  # nobody is in any


def read_yolo_labels(path: Path, reading: Reading) -> Keypoints:
    """People of a file, or of all files of a folder.

    Args:
        path: of the file or folder.
        reading: of the file or folder; labels do not tell the size of the images.

    Raises:
        InputError: a line is no such label, joints do not fit the skeleton, no size is known, or nobody is in it.
    """
    files = label_files(path) if path.is_dir() else [path]
    people = [person for numbered in _numbered(files) for person in _people(*numbered)]
    if not people:
        raise InputError(f"{path} holds nobody: its labels are empty")
    if reading.image_size is None:
        raise InputError(
            f"{path} does not tell the size of its images, and YOLO's coordinates are parts of the image: add `image_size` WIDTH HEIGHT"
        )
    count = _joint_count(people, reading)
    axes = _axes(people, count)
    columns = joint_columns(reading, str(path), count, known={len(COCO17): COCO17})
    end = _BOX + axes * count
    table = np.array([one.values[:end] for one in people])
    joints = table[:, _BOX:].reshape(len(people), count, axes)
    third = joints[..., 2] if axes == 3 else np.ones(joints.shape[:2])
    has_flags = bool(np.isin(third, (0, 1, 2)).all() and (third == 2).any())
    centre, size = table[:, 1:3], table[:, 3:5]
    classes = sorted({int(label) for label in table[:, 0]})
    parts = keypoints_of(
        columns,
        joints[..., :2],
        format="yolo",
        confidence=np.minimum(third, 1.0),
        visibility=third if has_flags else None,
        image=[one.image for one in people],
        frame=[one.frame for one in people],
        person=_tracks(people, end),
        box=np.concatenate([centre - size / 2, size], 1),
        image_size=np.tile(np.array(reading.image_size, np.int32), (len(people), 1)),
        notes=[f"classes {', '.join(map(str, classes))} are all read as people"] if len(classes) > 1 else [],
        # Frames of one video have one name; lines of other lengths than others have ids of some people only.
        is_over_time=len({one.image for one in people}) == len({len(one.values) for one in people}) == 1,
    )
    return pixels_of_parts(parts)


def _numbered(files: Sequence[Path]) -> list[tuple[Path, int, str]]:
    """Files with the numbers and names of their images: of one video if their names say so, else of as many images."""
    matches = [_NAME.fullmatch(file.stem) for file in files]
    found = [
        (file, int(m["number"]), m["name"] or file.stem) for file, m in zip(files, matches, strict=True) if m
    ]
    is_video = len({match["name"] for match in matches if match}) == 1
    if is_video and len(found) == len(files) == len({number for _, number, _ in found}):
        return sorted(found, key=lambda one: one[1])
    return [(file, number, file.stem) for number, file in enumerate(files)]


def _people(file: Path, frame: int, image: str) -> list[_Person]:
    people = []
    for number, line in enumerate(read_text(file).splitlines(), 1):
        cells = line.split()
        if not cells:
            continue
        place = f"{file} line {number}"
        if not all(map(_is_number, cells)) or not cells[0].isdigit():
            raise InputError(f"{place} must hold numbers, a whole one first: class, box and joints")
        if len(cells) < _LEAST:
            raise InputError(f"{place} has a box alone: predict with a model of the pose task")
        people.append(_Person(image, frame, [float(cell) for cell in cells], place))
    return people


def _joint_count(people: Sequence[_Person], reading: Reading) -> int:
    """Number of joints: of the given skeleton; else COCO's, unless a mapping says what others are."""
    if reading.skeleton is not None:
        return len(reading.skeleton)
    fewest = min(len(one.values) for one in people)
    if reading.mapping is None or 0 <= fewest - _BOX - 3 * len(COCO17) <= 2:
        return len(COCO17)
    return (fewest - _BOX) // 3


def _axes(people: Sequence[_Person], count: int) -> int:
    """Numbers of each joint: 3, or 2 without `v`; behind them a line may have the score of the box and the track."""
    for axes in (3, 2):
        least = _BOX + axes * count
        if all(least <= len(one.values) <= least + 2 for one in people):
            return axes
    for one in people:
        if not any(0 <= len(one.values) - _BOX - axes * count <= 2 for axes in (3, 2)):
            raise InputError(
                f"{one.place} has {len(one.values)} numbers, which {count} joints do not make: say which with `skeleton`"
            )
    raise InputError(
        f"{people[0].place} has joints with another number of values than other lines: write them again"
    )


def _tracks(people: Sequence[_Person], end: int) -> list[str] | None:
    """Ids of tracks: the last number where two follow the joints, or one that is a whole number in all lines."""
    extra = [one.values[end:] for one in people]
    is_track = all(values and values[-1].is_integer() and values[-1] >= 1 for values in extra)
    has_both = all(len(values) == 2 for values in extra)
    return (
        [str(int(values[-1])) for values in extra] if is_track and (has_both or _are_alone(extra)) else None
    )


def _are_alone(extra: Sequence[Sequence[float]]) -> bool:
    """Whether single numbers are ids and no scores, which are 1 at most."""
    return all(len(values) == 1 for values in extra) and any(values[0] > 1 for values in extra)


def _is_number(cell: str) -> bool:
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False
