"""What stands at the head of every file of predictions, and how one person is written in JSON.

The header (schema version 1) is an object::

    format              "evolift-predictions"
    schema_version      1
    skeleton            name, joints, parents, is_kinematic
    units               {"joints_2d": "px", "joints_3d": "mm", "root_3d": "mm"}
    frame_of_reference  a sentence
    camera_assumption   a sentence, "" if there are no cameras
    cameras             [{"name", "width", "height", "K", "distortion"}, ...]
    provenance          an object

and a person is an object with `image`, `frame`, `time` (seconds or null), `person`, `camera` (index or null), `box` (four numbers or null),
`joints_2d` and `joints_3d` (one list of numbers per joint, null where unknown), `confidence` (one number per joint),
`root_3d` (three numbers or null) and, if the lifter tells how sure it is of each joint, `sigma_mm` (one number per joint, or null; the
standard deviation along each axis of `joints_3d`, and `units` has it too). Numbers have three decimals.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import orjson
from jaxtyping import Float32

from evolift.posedata.camera import Camera
from evolift.posedata.checked_json import expect, number_table, whole_number
from evolift.posedata.errors import InputError
from evolift.posedata.poses import NO_CAMERA
from evolift.posedata.predictions.predictions import Predictions
from evolift.posedata.skeleton import Skeleton

FORMAT = "evolift-predictions"
SCHEMA_VERSION = 1
DECIMALS = 3
"""Of numbers in text."""
TIME_DECIMALS = 6
_ROWS_AT_ONCE = 1024


def header_of(predictions: Predictions) -> dict[str, Any]:
    """The header as plain JSON values."""
    root = predictions.skeleton.joints[predictions.skeleton.root]
    return {
        "format": FORMAT,
        "schema_version": SCHEMA_VERSION,
        "skeleton": predictions.skeleton.to_dict(),
        "units": {"joints_2d": "px", "joints_3d": "mm", "root_3d": "mm"}
        | ({} if predictions.sigma_mm is None else {"sigma_mm": "mm"}),
        "frame_of_reference": "camera: x right, y down, z forward (OpenCV); joints_3d are relative to the joint "
        f"{root!r}, root_3d is that joint in the camera's frame; pixel (0, 0) is the centre of the top-left one",
        "camera_assumption": predictions.camera_assumption,
        "cameras": [
            {
                "name": camera.name,
                "width": camera.width,
                "height": camera.height,
                "K": camera.K.tolist(),
                "distortion": camera.distortion.tolist(),
            }
            for camera in predictions.cameras
        ],
        "provenance": dict(predictions.provenance),
    }


def people_json(predictions: Predictions) -> Iterator[bytes]:
    """Each person as JSON in UTF-8, on one line, without line end."""
    names = {name: _text(name) for name in {*predictions.image, *predictions.person}}
    for start in range(0, len(predictions), _ROWS_AT_ONCE):
        part = predictions[start : start + _ROWS_AT_ONCE]
        camera = [None if index == NO_CAMERA else index for index in part.camera.tolist()]
        columns: dict[str, Sequence[Any]] = {
            "image": [names[name] for name in part.image],
            "frame": part.frame.tolist(),
            "time": [
                round(time, TIME_DECIMALS) if math.isfinite(time) else None for time in part.time.tolist()
            ],
            "person": [names[name] for name in part.person],
            "camera": camera,
            "box": _points(part.box),
            "joints_2d": _points(part.joints_2d),
            "joints_3d": _points(part.joints_3d),
            "confidence": _points(np.nan_to_num(part.confidence)),
            "root_3d": _points(part.root_3d),
        }
        if part.sigma_mm is not None:
            columns["sigma_mm"] = _numbers(part.sigma_mm)
        for person in zip(*columns.values(), strict=True):
            yield orjson.dumps(dict(zip(columns, person, strict=True)), option=orjson.OPT_SERIALIZE_NUMPY)


def _points(values: Float32[np.ndarray, "rows *points axes"]) -> list[Any]:
    """Of each row its numbers, rounded, with None for a point that is not known."""
    rounded = np.round(values.astype(np.float64), DECIMALS)
    known = np.asarray(np.isfinite(rounded).all(-1))
    rows: list[Any] = list(rounded)
    for row in np.flatnonzero(~known.reshape(len(rows), -1).all(1)):
        if rounded.ndim == 2:
            rows[row] = None
        else:
            seen = known[row].tolist()
            rows[row] = [
                point if is_seen else None for point, is_seen in zip(rows[row].tolist(), seen, strict=True)
            ]
    return rows


def _numbers(values: Float32[np.ndarray, "rows joints"]) -> list[Any]:
    """Of each row its numbers, rounded, with None for one that is not known, or for all of them."""
    rows: list[Any] = list(np.round(values.astype(np.float64), DECIMALS))
    for row in np.flatnonzero(~np.isfinite(values).all(1)):
        known = np.isfinite(rows[row])
        rows[row] = (
            [value if is_known else None for value, is_known in zip(rows[row].tolist(), known, strict=True)]
            if known.any()
            else None
        )
    return rows


def _text(name: str) -> orjson.Fragment:
    """A name as JSON; orjson refuses those of files that are not UTF-8, which become the escapes that read back."""
    return orjson.Fragment(json.dumps(name, ensure_ascii=False).encode("utf-8", "backslashreplace"))


def read_header(values: Any, where: str) -> dict[str, Any]:
    """Fields of `Predictions` that a header tells: skeleton, cameras, camera_assumption and provenance.

    Raises:
        InputError: it is no such header, or of another version.
    """
    expect(values, dict, where)
    if values.get("format") != FORMAT:
        raise InputError(f"{where} has no header of evolift predictions (format must be {FORMAT!r})")
    if values.get("schema_version") != SCHEMA_VERSION:
        raise InputError(
            f"{where} has schema version {values.get('schema_version')!r}, this evolift reads {SCHEMA_VERSION}"
        )
    cameras = expect(values.get("cameras", []), list, f"{where}: cameras")
    return {
        "skeleton": _skeleton(values.get("skeleton"), f"{where}: skeleton"),
        "cameras": tuple(_camera(camera, f"{where}: cameras[{n}]") for n, camera in enumerate(cameras)),
        "camera_assumption": expect(values.get("camera_assumption", ""), str, f"{where}: camera_assumption"),
        "provenance": expect(values.get("provenance", {}), dict, f"{where}: provenance"),
    }


def read_people(people: Sequence[Any], places: Sequence[str], header: dict[str, Any]) -> Predictions:
    """People as `people_of` gave them.

    Args:
        people: objects.
        places: file and place of each, for messages.
        header: from `read_header`.

    Raises:
        InputError: something is missing or of the wrong kind.
    """
    joints = len(header["skeleton"])
    for person, at in zip(people, places, strict=True):
        expect(person, dict, at)
    camera = [
        NO_CAMERA if person.get("camera") is None else expect(person["camera"], int, f"{at}.camera")
        for person, at in zip(people, places, strict=True)
    ]
    for index, at in zip(camera, places, strict=True):
        if not NO_CAMERA <= index < len(header["cameras"]):
            raise InputError(f"{at}.camera is {index}, which is not one of its cameras")
    return Predictions(
        joints_2d=_joints(people, "joints_2d", joints, 2, places),
        joints_3d=_joints(people, "joints_3d", joints, 3, places),
        confidence=_vectors(people, "confidence", joints, places),
        image=_labels(people, "image", places),
        frame=np.array(
            [
                whole_number(person.get("frame", 0), f"{at}.frame")
                for person, at in zip(people, places, strict=True)
            ],
            np.int64,
        ),
        person=_labels(people, "person", places),
        root_3d=_vectors(people, "root_3d", 3, places),
        box=_vectors(people, "box", 4, places),
        camera=np.array(camera, np.int32),
        time=number_table([[person.get("time")] for person in people], 1, [f"{at}.time" for at in places])[
            :, 0
        ],
        sigma_mm=_vectors(people, "sigma_mm", joints, places)
        if any(person.get("sigma_mm") is not None for person in people)
        else None,
        **header,
    )


def _labels(people: Sequence[Any], key: str, places: Sequence[str]) -> tuple[str, ...]:
    return tuple(
        expect(person.get(key, ""), str, f"{at}.{key}") for person, at in zip(people, places, strict=True)
    )


def _vectors(
    people: Sequence[Any], key: str, width: int, places: Sequence[str]
) -> Float32[np.ndarray, "rows width"]:
    none = [None] * width
    rows = [none if person.get(key) is None else person[key] for person in people]
    return number_table(rows, width, [f"{at}.{key}" for at in places]).astype(np.float32)


def _joints(
    people: Sequence[Any], key: str, joints: int, axes: int, places: Sequence[str]
) -> Float32[np.ndarray, "rows joints axes"]:
    none = [None] * axes
    points, point_places = [], []
    for person, at in zip(people, places, strict=True):
        row = expect(person.get(key), list, f"{at}.{key}")
        if len(row) != joints:
            raise InputError(f"{at}.{key} must have {joints} joints, has {len(row)}")
        points += [none if point is None else point for point in row]
        point_places += [f"{at}.{key}[{joint}]" for joint in range(joints)]
    table = number_table(points, axes, point_places).reshape(len(people), joints, axes)
    return table.astype(np.float32)


def _skeleton(values: Any, where: str) -> Skeleton:
    expect(values, dict, where)
    try:
        return Skeleton.from_dict(values)
    except (InputError, TypeError) as error:
        raise InputError(f"{where}: {error}") from None


def _camera(values: Any, where: str) -> Camera:
    expect(values, dict, where)
    K = number_table(expect(values.get("K"), list, f"{where}.K"), 3, f"{where}.K")
    distortion = number_table([values.get("distortion", [0] * 5)], 5, [f"{where}.distortion"])[0]
    width, height = (
        whole_number(values.get(side), f"{where}.{side}", below=2**31) for side in ("width", "height")
    )
    name = expect(values.get("name", ""), str, f"{where}.name")
    try:
        return Camera(K, width, height, distortion=distortion, name=name)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
