"""Frames, times and ids of files of keypoints as their makers write them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evolift.posedata.keypoint_formats.keypoint_files import read_keypoints
from evolift.posedata.skeleton import COCO17

_POINTS = np.arange(34.0).reshape(17, 2) + 10
_FLAT = [value for point in _POINTS.tolist() for value in (*point, 0.9)]
_HEADER = ",".join(f"{joint}_{axis}" for joint in COCO17.joints for axis in "xy")
_CELLS = ",".join(str(value) for value in _POINTS.ravel())


def _alphapose(folder: Path, images: list[str], ids: list[Any]) -> Path:
    path = folder / "a.json"
    pairs = zip(images, ids, strict=True)
    path.write_text(
        json.dumps([{"image_id": i, "keypoints": _FLAT, "idx": one, "score": 1} for i, one in pairs])
    )
    return path


def _csv(folder: Path, columns: str, rows: list[str]) -> Path:
    path = folder / "a.csv"
    lines = [f"{row},{_CELLS}" if columns else _CELLS for row in rows]
    path.write_text("\n".join([f"{columns},{_HEADER}" if columns else _HEADER, *lines]))
    return path


def _npz(folder: Path, **arrays: Any) -> Path:
    np.savez(folder / "a.npz", keypoints=np.stack([_POINTS] * 3), skeleton="COCO17", **arrays)
    return folder / "a.npz"


def _json(folder: Path, values: Any) -> Path:
    (folder / "a.json").write_text(json.dumps(values))
    return folder / "a.json"


def _coco(folder: Path, images: list[dict[str, Any]], of_people: list[int] | None = None) -> Path:
    numbered = [{"id": number, **image} for number, image in enumerate(images)]
    people = [{"image_id": number, "keypoints": _FLAT} for number in of_people or range(len(images))]
    return _json(folder, {"images": numbered, "annotations": people})


def _openpose(folder: Path, names: list[str]) -> Path:
    for name in names:
        people = [{"person_id": [-1], "pose_keypoints_2d": _FLAT}]
        (folder / f"{name}_keypoints.json").write_text(json.dumps({"people": people}))
    return folder


def _mediapipe(people: int = 1, **more: Any) -> dict[str, Any]:
    landmarks = [{"x": 0.01 + number / 40, "y": 0.5, "visibility": 1.0} for number in range(33)]
    return {"width": 640, "height": 480, "pose_landmarks": [landmarks] * people} | more


def _mmpose(frame: int, **more: Any) -> dict[str, Any]:
    return {"frame_id": frame, "instances": [{"keypoints": _POINTS.tolist(), **more}]}


_YOLO = {
    "box": dict.fromkeys(("x1", "y1", "x2", "y2"), 1),
    "keypoints": dict(zip("xy", _POINTS.T.tolist(), strict=True)),
}


ONE = ("1", "1", "1")
CASES: dict[str, tuple[Callable[[Path], Path], list[int], tuple[str, ...], bool]] = {
    "gaps in names": (lambda f: _alphapose(f, ["0.jpg", "2.jpg", "10.jpg"], [1, 1, 1]), [0, 2, 10], ONE, True),
    "text order": (lambda f: _alphapose(f, ["1.jpg", "10.jpg", "2.jpg"], [1, 1, 1]), [1, 10, 2], ONE, True),
    "ids in lists": (lambda f: _alphapose(f, ["1", "2", "3"], [[4.0], [[4]], 4]), [1, 2, 3], ("4",) * 3, True),
    "shared ids": (lambda f: _alphapose(f, ["1", "1", "2"], [0, 0, 0]), [1, 1, 2], ("1", "2", "1"), False),
    "some ids": (lambda f: _alphapose(f, ["1", "1", "2"], [3, [], 3]), [1, 1, 2], ("1", "2", "1"), False),
    "coco names": (
        lambda f: _coco(f, [{"file_name": name} for name in ("f1.jpg", "f10.jpg", "f2.jpg")]),
        [1, 10, 2], ONE, True,
    ),
    "coco frame_id": (lambda f: _coco(f, [{"frame_id": 5}, {"frame_id": 9}]), [5, 9], ("1", "1"), True),
    "coco two people": (lambda f: _coco(f, [{"frame_id": 5}, {"frame_id": 9}], [0, 1, 1]), [5, 9, 9], ("1", "1", "2"), False),
    "coco results": (lambda f: _json(f, [{"image_id": n, "keypoints": _FLAT} for n in (3, 9)]), [3, 9], ("1", "1"), True),
    "alphapose without ids": (lambda f: _alphapose(f, ["1.jpg", "2.jpg", "4.jpg"], [None] * 3), [1, 2, 4], ONE, True),
    "alphapose with some ids": (lambda f: _alphapose(f, ["1.jpg", "2.jpg"], [None, 3]), [1, 2], ("1", "1"), False),
    "openpose": (lambda f: _openpose(f, ["a_3", "a_5"]), [3, 5], ("1", "1"), True),
    "openpose of two clips": (lambda f: _openpose(f, ["a_3", "b_5"]), [3, 5], ("1", "1"), False),
    "openpose of images": (lambda f: _openpose(f, ["cat", "dog"]), [0, 1], ("1", "1"), False),
    "mediapipe": (lambda f: _json(f, [_mediapipe(), _mediapipe()]), [0, 1], ("1", "1"), True),
    "mediapipe of images": (lambda f: _json(f, [_mediapipe(image="cat"), _mediapipe(image="dog")]), [0, 1], ("1", "1"), False),
    "mediapipe of two people": (lambda f: _json(f, [_mediapipe(), _mediapipe(2)]), [0, 1, 1], ("1", "1", "2"), False),
    "mmpose": (lambda f: _json(f, [_mmpose(4), _mmpose(7)]), [4, 7], ("1", "1"), True),
    "mmpose with some ids": (lambda f: _json(f, [_mmpose(4, track_id=2), _mmpose(7)]), [4, 7], ("1", "1"), False),
    "dwpose": (lambda f: _json(f, [{"people": [{"pose_keypoints_2d": _FLAT + [5.0] * 3}]}] * 2), [0, 1], ("1", "1"), True),
    "yolo": (lambda f: _json(f, [[_YOLO], [], [_YOLO]]), [0, 2], ("1", "1"), True),
    "yolo with some ids": (lambda f: _json(f, [[_YOLO], [], [_YOLO | {"track_id": 4}]]), [0, 2], ("1", "1"), False),
    "photographs": (lambda f: _coco(f, [{"file_name": "b.jpg"}, {"file_name": "a.jpg"}]), [0, 1], ("1", "1"), False),
    "rows alone": (lambda f: _csv(f, "", ["", "", ""]), [0, 1, 2], ONE, True),
    "capital": (lambda f: _csv(f, "Frame", ["3", "1", "7"]), [3, 1, 7], ONE, True),
    "two in a frame": (lambda f: _csv(f, "frame_idx", ["3", "3", "7"]), [3, 3, 7], ("1", "2", "1"), False),
    "times": (lambda f: _csv(f, "timestamp", ["0.5", "0.5333", "0.6333"]), [0, 1, 4], ONE, True),
    "milliseconds": (lambda f: _csv(f, "Time_ms", ["0", "33", "133"]), [0, 1, 4], ONE, True),
    "persons alone": (lambda f: _csv(f, "Person", ["a", "b", "a"]), [0, 0, 1], ("a", "b", "a"), True),
    "ids of rows": (lambda f: _csv(f, "id", ["0", "1", "2"]), [0, 1, 2], ONE, True),
    "ids beside frames": (lambda f: _csv(f, "frame,id", ["0,5", "0,6", "1,5"]), [0, 0, 1], ("5", "6", "5"), True),
    "images": (lambda f: _csv(f, "image", ["x9.png", "x10.png", "x12.png"]), [9, 10, 12], ONE, True),
    "arrays": (_npz, [0, 1, 2], ONE, True),
    "arrays with Frame": (lambda f: _npz(f, Frame=np.array([4, 8, 9])), [4, 8, 9], ONE, True),
    "arrays with times": (lambda f: _npz(f, timestamps=np.array([0, 0.04, 0.2])), [0, 1, 5], ONE, True),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_frames_and_people(tmp_path: Path, name: str) -> None:
    write, frames, people, is_tracked = CASES[name]
    has_names = name.startswith(("mediapipe", "dwpose"))
    read = read_keypoints(write(tmp_path), skeleton=None if has_names else COCO17)
    assert (read.frame.tolist(), read.person, read.is_tracked) == (frames, people, is_tracked)


def test_what_was_assumed_is_told(tmp_path: Path) -> None:
    notes = read_keypoints(_alphapose(tmp_path, ["1", "1", "2"], [0, 0, 0])).notes
    assert any("two people of frame 1 have the id '0'" in note for note in notes)
    notes = read_keypoints(_csv(tmp_path, "timestamp", ["0", "0.04", "0.2"]), skeleton=COCO17).notes
    assert any("25 frames per second over 0.2 s" in note for note in notes)
    assert any("3 rows are taken to be frames of one person" in note for note in notes)
