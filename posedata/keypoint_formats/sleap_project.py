"""Keypoints of SLEAP's projects (NAME.slp): HDF5 of labels and predictions, as SLEAP and sleap-io write it.

    metadata      attributes `json` (`nodes` with names; `skeletons`, whose `nodes` are numbers into these) and `format_id`
    frames        frame_id, video, frame_idx, instance_id_start, instance_id_end
    instances     instance_type (0 labelled, 1 predicted), skeleton, track (-1: none), from_predicted, point_id_start, point_id_end
    points        x, y in pixels, visible: of labelled instances
    pred_points   the same, and score: of predicted ones
    tracks_json   texts of JSON [.., name]
    videos_json   texts of JSON {"backend": {"filename": ...}}

Before format 1.1, (0, 0) is the corner of the first pixel, and since then its centre. An instance that was predicted and then
labelled is in the file twice: the labelled one counts. Sources: sleap-io's `io/slp.py` (format 1.0 to 2.8) and its documentation.
"""

from __future__ import annotations

import json
import re
from pathlib import Path, PureWindowsPath
from typing import Any

import h5py
import numpy as np
from jaxtyping import Bool, Float64

from evolift.posedata.errors import InputError
from evolift.posedata.keypoint_formats.joint_columns import joint_columns
from evolift.posedata.keypoint_formats.keypoints import Keypoints, keypoints_of
from evolift.posedata.keypoint_formats.reading import Reading

MARKS = {"metadata", "frames", "instances", "points", "pred_points"}
"""What tells a project from other HDF5 files."""
_BESIDE_THE_POSE = {"suggestions_json", "negative_frames", "provenance_json", "sessions_json"}
_CENTRED = 1.1
_LABELLED = 0
_NO_TRACK = -1


def keypoints_of_sleap_project(file: h5py.File, path: Path, reading: Reading) -> Keypoints:
    """People of a project of one video.

    Args:
        file: opened.
        path: of it.
        reading: of it.

    Raises:
        InputError: its people are of several videos or skeletons, its names mean nothing, or nobody is in it.
    """
    frames, instances = (np.asarray(file[name][()]) for name in ("frames", "instances"))
    held = [name for name in file if not re.fullmatch(r"video\d+", name)]  # embedded images
    reading.found("data sets", held, MARKS | {"tracks_json", "videos_json"} | _BESIDE_THE_POSE)
    video = {int(number) for number in frames["video"]}
    if len(video) > 1:
        raise InputError(
            f"{path} has frames of {len(video)} videos: export each as Analysis HDF5 (in SLEAP: File, Export Analysis HDF5)"
        )
    frame_of = np.full(len(instances), -1)
    for frame in frames:
        frame_of[int(frame["instance_id_start"]) : int(frame["instance_id_end"])] = int(frame["frame_idx"])
    rows = np.flatnonzero(_counts(instances, frame_of))
    if not len(rows):
        raise InputError(f"{path} holds nobody")
    if len(used := {int(number) for number in instances["skeleton"][rows]}) > 1:
        raise InputError(f"{path} has people of {len(used)} skeletons: leave one in the project")
    names = _names(json.loads(file["metadata"].attrs["json"]), used.pop())
    points = [np.asarray(file[name][()]) for name in ("points", "pred_points")]
    table = np.stack([_points(points, instances[row], len(names)) for row in rows])
    table[..., :2] -= 0.5 if float(file["metadata"].attrs.get("format_id", 1.0)) < _CENTRED else 0.0
    tracks = [json.loads(text)[1] for text in file["tracks_json"][()]] if "tracks_json" in file else []
    track = instances["track"][rows].astype(np.int64)
    is_tracked = bool((track > _NO_TRACK).all())
    if not is_tracked and (track > _NO_TRACK).any():
        reading.notes.append(f"{int((track < 0).sum())} of {len(track)} poses have no track")
    return keypoints_of(
        joint_columns(reading, str(path), len(names), names=names),
        table[..., :2],
        format="sleap",
        confidence=table[..., 2],
        image=[_video_name(file)] * len(rows),
        frame=frame_of[rows].tolist(),
        person=[str(tracks[number]) for number in track] if is_tracked else None,
        is_over_time=bool((track == _NO_TRACK).all()),
    )


def _counts(instances: np.ndarray, frame_of: np.ndarray) -> Bool[np.ndarray, "instances"]:
    """Instances of frames, without predictions in whose place there is a labelled one: made from it, or of its track."""
    is_labelled = instances["instance_type"] == _LABELLED
    origin, track = (instances[name].astype(np.int64) for name in ("from_predicted", "track"))
    mended = set(origin[is_labelled].tolist())
    taken = set(zip(frame_of[is_labelled].tolist(), track[is_labelled].tolist(), strict=True))
    replaced = [
        int(identity) in mended or (one != _NO_TRACK and (frame, one) in taken)
        for identity, frame, one in zip(
            instances["instance_id"], frame_of.tolist(), track.tolist(), strict=True
        )
    ]
    counts: np.ndarray = (frame_of >= 0) & (is_labelled | ~np.array(replaced, bool))
    return counts


def _names(metadata: dict[str, Any], number: int) -> list[str]:
    """Names of the nodes of a skeleton, in the order of its points."""
    skeleton = metadata["skeletons"][number]
    skeleton = skeleton.get("nx_graph", skeleton)
    return [str(metadata["nodes"][node["id"]]["name"]) for node in skeleton["nodes"]]


def _points(tables: list[np.ndarray], instance: np.void, count: int) -> Float64[np.ndarray, "nodes 3"]:
    """x, y and score of an instance; labelled joints are sure, and those that are not visible have no place."""
    is_labelled = instance["instance_type"] == _LABELLED
    first, last = int(instance["point_id_start"]), int(instance["point_id_end"])
    points = tables[0 if is_labelled else 1][first:last]
    if len(points) != count:
        raise ValueError(f"an instance has {len(points)} points, its skeleton {count}")
    score = np.ones(count) if is_labelled else points["score"].astype(np.float64)
    table = np.stack([points["x"], points["y"], score], -1).astype(np.float64)
    table[~points["visible"].astype(bool)] = np.nan
    return table


def _video_name(file: h5py.File) -> str:
    """File name of the only video; "" if the project does not tell it."""
    videos = [json.loads(text) for text in file["videos_json"][()]] if "videos_json" in file else []
    if len(videos) != 1:
        return ""
    name = videos[0].get("backend", {}).get("filename", "")
    return PureWindowsPath(name).name if isinstance(name, str) else ""  # "/" and "\\" alike
