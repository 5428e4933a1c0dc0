"""Projects of SLEAP (.slp), written as sleap-io does."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from evolift.posedata.keypoint_formats.keypoint_files import read_keypoints
from evolift.posedata.skeleton import COCO17
from tests.posedata.keypoint_samples import points

PEOPLE = points(COCO17, people=6)
_INSTANCE = [
    ("instance_id", "i8"), ("instance_type", "u1"), ("frame_id", "u8"), ("skeleton", "u4"), ("track", "i4"),
    ("from_predicted", "i8"), ("score", "f4"), ("point_id_start", "u8"), ("point_id_end", "u8"), ("tracking_score", "f4"),
]  # fmt: skip
_FRAME = [(name, "u8") for name in ("frame_id", "video", "frame_idx", "instance_id_start", "instance_id_end")]
_POINT = [("x", "f8"), ("y", "f8"), ("visible", "?"), ("complete", "?")]
Person = tuple[int, int, int, int]
"""Instance type (0 labelled, 1 predicted), track, id of the instance that it was predicted as, skeleton; -1 for none."""


def slp(
    path: Path, frames: Sequence[tuple[int, int, Sequence[Person]]], *, format_id: float = 1.4, **more: Any
) -> Path:
    """A project of `PEOPLE` in the order of the instances.

    Args:
        path: to write.
        frames: video, number and people of each.
        format_id: of the file.
        more: data sets.
    """
    tables: dict[str, list[tuple[Any, ...]]] = {
        name: [] for name in ("frames", "instances", "points", "pred_points")
    }
    for number, (video, frame, people) in enumerate(frames):
        first = len(tables["instances"])
        for kind, track, origin, skeleton in people:
            identity = len(tables["instances"])
            rows = tables["pred_points" if kind else "points"]
            start = len(rows)
            rows += [
                (x, y, True, True, score)[: 5 if kind else 4] for x, y, score in PEOPLE[identity].tolist()
            ]
            entry = (identity, kind, number, skeleton, track, origin, 0.5, start, len(rows), 0.0)
            tables["instances"].append(entry)
        tables["frames"].append((number, video, frame, first, len(tables["instances"])))
    # Nodes are of all skeletons, and each skeleton has them in an order of its own.
    nodes = [{"name": joint, "weight": 1.0} for joint in reversed(COCO17.joints)]
    links = {
        "directed": True,
        "graph": {"name": "a"},
        "links": [],
        "nodes": [{"id": 16 - n} for n in range(17)],
    }
    metadata = {"version": "2.0.0", "skeletons": [links, {"nx_graph": links}], "nodes": nodes}
    types = {
        "frames": _FRAME,
        "instances": _INSTANCE,
        "points": _POINT,
        "pred_points": [*_POINT, ("score", "f8")],
    }
    with h5py.File(path, "w") as file:
        file.create_group("metadata").attrs["format_id"] = format_id
        file["metadata"].attrs["json"] = np.bytes_(json.dumps(metadata))
        for name, rows in tables.items():
            file[name] = np.array(rows, types[name])
        file["tracks_json"] = [np.bytes_(json.dumps([0, name])) for name in ("anna", "ben")]
        file["videos_json"] = [
            np.bytes_(json.dumps({"filename": ".", "backend": {"filename": "C:\\films\\clip.mp4"}}))
        ]
        file["video0/video"] = [1]
        for name, values in more.items():
            file[name] = values
    return path


@pytest.mark.parametrize("skeleton", [0, 1])
def test_predicted_tracks(tmp_path: Path, skeleton: int) -> None:
    frames = [(0, 3, [(1, 0, -1, skeleton), (1, 1, -1, skeleton)]), (0, 7, [(1, 1, -1, skeleton)])]
    read = read_keypoints(slp(tmp_path / "k.slp", frames, embeddings=[1], suggestions_json=[b"{}"]))
    assert (read.format, read.skeleton, read.image) == ("sleap", COCO17, ("clip.mp4",) * 3)
    assert (read.frame.tolist(), read.person, read.is_tracked) == ([3, 3, 7], ("anna", "ben", "ben"), True)
    np.testing.assert_allclose(read.joints_2d, PEOPLE[:3, :, :2], atol=1e-4)
    np.testing.assert_allclose(read.confidence, PEOPLE[:3, :, 2], atol=1e-6)
    assert [note for note in read.notes if "not read" in note] == ["data sets that are not read: embeddings"]


def test_labels_stand_for_the_predictions_that_they_mend(tmp_path: Path) -> None:
    """Instance 1 was mended as 2, by its id; 3 is of the track of 4; 5 is another person."""
    frames = [
        (0, 0, [(1, -1, -1, 0), (1, -1, -1, 0), (0, -1, 1, 0)]),
        (0, 1, [(1, 0, -1, 0), (0, 0, -1, 0), (1, 1, -1, 0)]),
    ]
    read = read_keypoints(slp(tmp_path / "k.slp", frames))
    np.testing.assert_allclose(read.joints_2d, PEOPLE[[0, 2, 4, 5], :, :2], atol=1e-4)
    np.testing.assert_allclose(read.confidence[[1, 2]], 1)
    assert (read.person, read.is_tracked) == (("1", "2", "1", "2"), False)
    assert "2 of 4 poses have no track" in read.notes


def test_people_without_tracks_and_invisible_joints(tmp_path: Path) -> None:
    path = slp(tmp_path / "k.slp", [(0, 2, [(1, -1, -1, 0)]), (0, 4, [(1, -1, -1, 0)])])
    with h5py.File(path, "r+") as file:
        table = file["pred_points"][()]
        table["visible"][5] = False
        file["pred_points"][...] = table
    read = read_keypoints(path)
    assert (read.person, read.is_tracked, read.frame.tolist()) == (("1", "1"), True, [2, 4])
    assert np.argwhere(read.visibility == 0).tolist() == [[0, 5]]


@pytest.mark.parametrize(("format_id", "shift"), [(1.0, 0.5), (1.1, 0), (2.8, 0)])
def test_where_the_first_pixel_lies(tmp_path: Path, format_id: float, shift: float) -> None:
    read = read_keypoints(slp(tmp_path / "k.slp", [(0, 0, [(0, -1, -1, 0)])], format_id=format_id))
    np.testing.assert_allclose(read.joints_2d, PEOPLE[:1, :, :2] - shift, atol=1e-4)
