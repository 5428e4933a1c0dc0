"""Keypoints of MediaPipe's pose landmarker, as JSON.

MediaPipe has no file format of its own; what is read is its result object written as JSON, in each of these forms::

    {"image": "photo.jpg", "width": 640, "height": 480, "pose_landmarks": [PERSON, ...]}     one image
    {"width": 640, "height": 480, "frames": [{"frame": 0, "pose_landmarks": [PERSON, ...]}]}  a video
    [FRAME, FRAME, ...]                                                                       a list of images

PERSON is a list of 33 objects {"x", "y", "visibility"} (more keys are passed over), x and y as parts of the image's
width and height. A single PERSON may stand for the list of people, `poseLandmarks` or `landmarks` for
`pose_landmarks`, and `image_width` and `image_height` for the size. The size may also be given from outside.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from evolift.posedata.checked_json import expect, number_table, whole_number
from evolift.posedata.errors import InputError
from evolift.posedata.keypoint_formats.keypoints import Keypoints, hidden_below, keypoints_of
from evolift.posedata.skeleton import MEDIAPIPE33

LANDMARK_KEYS = ("pose_landmarks", "poseLandmarks", "landmarks")
IN_SIGHT = 0.5
"""Landmarks whose `visibility` is lower are marked hidden: MediaPipe guesses them."""


def keypoints_of_mediapipe(
    values: Any, where: str, *, image_size: tuple[int, int] | None = None
) -> Keypoints:
    """People of MediaPipe results.

    Args:
        values: from `read_json`.
        where: the file, for messages.
        image_size: (width, height) of the images, for results that do not tell it.

    Raises:
        InputError: something is missing or of the wrong kind, no size is known, or nobody is in it.
    """
    points, places, images, frames, sizes = [], [], [], [], []
    for number, (frame, at) in enumerate(_frames(values, where)):
        people = _people(frame, at)
        size = _size(frame, values, image_size, at) if people else (0, 0)
        for index, person in enumerate(people):
            place = f"{at}.pose_landmarks[{index}]"
            points.append(_landmarks(person, place))
            places.append(place)
            images.append(expect(frame.get("image", ""), str, f"{at}.image"))
            frames.append(whole_number(frame.get("frame", number), f"{at}.frame"))
            sizes.append(size)
    if not points:
        raise InputError(f"{where} holds no person with landmarks")
    table = number_table(points, 3 * len(MEDIAPIPE33), places)
    table = table.reshape(len(points), len(MEDIAPIPE33), 3)
    pixel_sizes = np.array(sizes, np.float64)
    with np.errstate(over="ignore"):  # numbers beyond float64 become infinite, and their joints unlabelled
        corners = table[..., :2] * pixel_sizes[:, None]
    return keypoints_of(
        MEDIAPIPE33,
        corners - 0.5,  # ours has the centre of the first pixel at 0, theirs its corner
        format="mediapipe",
        confidence=np.maximum(table[..., 2], 1e-6),
        visibility=hidden_below(table[..., 2], IN_SIGHT),
        image=images,
        frame=frames,
        image_size=pixel_sizes,
    )


def _frames(values: Any, where: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Each frame's object, with its place in the file for messages."""
    if isinstance(values, dict) and "frames" in values:
        for number, frame in enumerate(expect(values["frames"], list, f"{where}: frames")):
            yield expect(frame, dict, f"{where}: frames[{number}]"), f"{where}: frames[{number}]"
    elif isinstance(values, list) and values and isinstance(values[0], dict) and "x" in values[0]:
        yield {"pose_landmarks": values}, f"{where}: "
    elif isinstance(values, list):
        for number, frame in enumerate(values):
            yield expect(frame, dict, f"{where}: [{number}]"), f"{where}: [{number}]"
    else:
        yield expect(values, dict, where), f"{where}: "


def _people(frame: dict[str, Any], where: str) -> list[Any]:
    key = next((key for key in LANDMARK_KEYS if key in frame), None)
    if key is None:
        raise InputError(f"{where} has no pose_landmarks")
    people: list[Any] = expect([] if frame[key] is None else frame[key], list, f"{where}.{key}")
    return [people] if people and isinstance(people[0], dict) else people


def _size(frame: dict[str, Any], whole: Any, given: tuple[int, int] | None, where: str) -> tuple[int, int]:
    """(width, height) of a frame: its own, else the file's, else the given one."""
    for holder in (frame, whole if isinstance(whole, dict) else {}):
        for width, height in (("width", "height"), ("image_width", "image_height")):
            if width in holder and height in holder:
                sides = (holder[width], holder[height])
                if not all(isinstance(s, int) and not isinstance(s, bool) and 0 < s < 2**31 for s in sides):
                    raise InputError(f"{where}: {width} and {height} must be positive whole numbers")
                return sides
    if given is None:
        raise InputError(
            f"{where} has no width and height, and MediaPipe's coordinates are parts of the image: add `image_size` WIDTH HEIGHT"
        )
    return given


def _landmarks(person: Any, where: str) -> list[Any]:
    """x, y and visibility of all landmarks in one flat list."""
    landmarks = expect(person, list, where)
    if len(landmarks) != len(MEDIAPIPE33):
        raise InputError(f"{where} must have {len(MEDIAPIPE33)} landmarks, has {len(landmarks)}")
    flat: list[Any] = []
    for number, point in enumerate(landmarks):
        expect(point, dict, f"{where}[{number}]")
        if "x" not in point or "y" not in point:
            raise InputError(f"{where}[{number}] lacks x or y")
        flat += [point["x"], point["y"], point.get("visibility", 1.0)]
    return flat
