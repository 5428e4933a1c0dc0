"""Keypoints of MediaPipe's pose landmarker, as JSON.

MediaPipe has no file format of its own; what is read is its result object written as JSON, in each of these forms::

    {"image": "photo.jpg", "width": 640, "height": 480, "pose_landmarks": [PERSON, ...]}     one image
    {"width": 640, "height": 480, "frames": [{"frame": 0, "pose_landmarks": [PERSON, ...]}]}  a video
    [FRAME, FRAME, ...]                                                                       a list of images

PERSON is a list of 33 objects {"x", "y", "visibility"}, x and y as parts of the image's
width and height. A single PERSON may stand for the list of people, `poseLandmarks` or `landmarks` for
`pose_landmarks`, and `image_width` and `image_height` for the size. The size may also be given from outside.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from evolift.posedata.checked_json import expect, number_table, whole_number
from evolift.posedata.errors import InputError
from evolift.posedata.frame_numbers import frames_of_names
from evolift.posedata.keypoint_formats.image_units import pixels_of_parts
from evolift.posedata.keypoint_formats.joint_columns import joint_columns
from evolift.posedata.keypoint_formats.keypoints import Keypoints, hidden_below, keypoints_of
from evolift.posedata.keypoint_formats.reading import Reading
from evolift.posedata.skeleton import MEDIAPIPE33

LANDMARK_KEYS = ("pose_landmarks", "poseLandmarks", "landmarks")
_OF_FRAMES = {
    *LANDMARK_KEYS,
    "image",
    "frame",
    "timestamp_ms",
    "width",
    "height",
    "image_width",
    "image_height",
}
_OF_LANDMARKS = {"x", "y", "visibility"}
_MS_PER_SECOND = 1e3
IN_SIGHT = 0.5
"""Landmarks whose `visibility` is lower are marked hidden: MediaPipe guesses them."""


def keypoints_of_mediapipe(values: Any, reading: Reading) -> Keypoints:
    """People of MediaPipe results.

    Args:
        values: from `read_json`.
        reading: of the file; its size of images stands for those that the results do not tell.

    Raises:
        InputError: something is missing or of the wrong kind, no size is known, or nobody is in it.
    """
    where = reading.where
    points, places, images, frames, sizes, stamps = [], [], [], [], [], []
    is_numbered = False
    for number, (frame, at) in enumerate(_frames(values, where)):
        people = _people(frame, at)
        size = _size(frame, values, reading.image_size, at) if people else (0, 0)
        reading.found("keys of frames", frame, _OF_FRAMES)
        for index, person in enumerate(people):
            place = f"{at}.pose_landmarks[{index}]"
            points.append(_landmarks(person, place))
            reading.found("keys of landmarks", person[0], _OF_LANDMARKS)
            places.append(place)
            images.append(expect(frame.get("image", ""), str, f"{at}.image"))
            frames.append(whole_number(frame.get("frame", number), f"{at}.frame"))
            sizes.append(size)
            is_numbered = is_numbered or "frame" in frame
            stamps.append(frame.get("timestamp_ms"))
    if not points:
        raise InputError(f"{where} holds no person with landmarks")
    table = number_table(points, 3 * len(MEDIAPIPE33), places)
    table = table.reshape(len(points), len(MEDIAPIPE33), 3)
    numbers = frames if is_numbered else frames_of_names(images)
    parts = keypoints_of(
        joint_columns(reading, where, len(MEDIAPIPE33), names=MEDIAPIPE33.joints),
        table[..., :2],
        format="mediapipe",
        confidence=table[..., 2],
        visibility=hidden_below(table[..., 2], IN_SIGHT),
        image=images,
        frame=numbers or frames,
        image_size=np.array(sizes),
        time=_times(stamps, places),
        is_over_time=numbers is not None or not any(images),
    )
    return pixels_of_parts(parts)


def _times(stamps: list[Any], places: list[str]) -> np.ndarray | None:
    """Seconds since the first frame, None unless every frame has `timestamp_ms`, as MediaPipe is given for videos."""
    if None in stamps:
        return None
    rows = number_table([[stamp] for stamp in stamps], 1, [f"{at}: timestamp_ms" for at in places])
    return np.asarray((rows[:, 0] - rows[:, 0].min()) / _MS_PER_SECOND)


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
