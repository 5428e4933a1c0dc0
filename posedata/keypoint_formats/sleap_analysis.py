"""Keypoints of SLEAP's analysis files (NAME.analysis.h5), which SLEAP recommends for work outside of it.

    tracks        (tracks, 2, nodes, frames)   x, y in pixels, NaN where an animal was not seen
    point_scores  (tracks, nodes, frames)
    node_names, track_names                    texts
    video_path                                 gives the name of the image

Files that are written without SLEAP's usual transposition, (frames, nodes, 2, tracks), are read too. Frames count from 0.
`instance_scores`, `tracking_scores`, `track_occupancy` and the skeleton's edges are not read. Other HDF5 files that
people of this work have are told by name: DeepLabCut's tables, and pose stores. SLEAP's projects (.slp) are read by
`evolift.posedata.keypoint_formats.sleap_project`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath

import h5py
import numpy as np

from evolift.posedata.errors import InputError, reason_of
from evolift.posedata.hdf5_file import require_sound_file, require_stored
from evolift.posedata.keypoint_formats.joint_columns import joint_columns
from evolift.posedata.keypoint_formats.keypoints import Keypoints, keypoints_of
from evolift.posedata.keypoint_formats.reading import Reading
from evolift.posedata.keypoint_formats.sleap_project import MARKS as PROJECT_MARKS
from evolift.posedata.keypoint_formats.sleap_project import keypoints_of_sleap_project

MAGIC = b"\x89HDF\r\n\x1a\n"
_READ = {"tracks", "node_names", "track_names", "point_scores", "video_path"}
_BESIDE_THE_POSE = {
    "instance_scores", "tracking_scores", "track_occupancy", "edge_inds", "edge_names", "labels_path", "provenance", "video_ind",
}  # fmt: skip
_OTHERS = (
    ({"df_with_missing"}, "is a DeepLabCut .h5 file: give the .csv of the same name (analyze_videos_converth5_to_csv writes it)"),
    ({"keypoints"}, "is a DeepLabCut .h5 file: give the .csv of the same name"),
    ({"joints_3d"}, "is a pose store, which holds 3D poses already: give a file of 2D keypoints"),
)  # fmt: skip


def read_sleap_hdf5(path: Path, reading: Reading) -> Keypoints:
    """People of an analysis file or a project; a person that is nowhere in a frame is left out of it.

    Args:
        path: of the file.
        reading: of the file.

    Raises:
        InputError: it is no such file, its names mean nothing, or nobody is in it.
    """
    with _opened(path) as file:
        if set(file) >= PROJECT_MARKS:
            return keypoints_of_sleap_project(file, path, reading)
        _require_analysis(path, file)
        names = _texts(file["node_names"])
        reading.found("data sets", file, _READ | _BESIDE_THE_POSE)
        ids = _texts(file["track_names"]) if "track_names" in file else []
        tracks = _arranged(path, np.asarray(file["tracks"][()], np.float64), len(names))
        scores = _scores(path, file, tracks)
        video = PurePath(_text(file["video_path"][()])).name if "video_path" in file else ""
    # (frames, tracks, nodes, 3), so that people of a frame are together
    table = np.concatenate([tracks.transpose(3, 0, 2, 1), scores.transpose(2, 0, 1)[..., None]], -1)
    frame, track = np.nonzero(np.isfinite(table[..., :2]).all(-1).any(-1))
    if not len(frame):
        raise InputError(f"{path} holds nobody")
    ids = ids if len(ids) == len(tracks) and len(set(ids)) == len(ids) else []
    values = table[frame, track]
    return keypoints_of(
        joint_columns(reading, str(path), len(names), names=names),
        values[..., :2],
        format="sleap",
        confidence=values[..., 2],
        image=[video] * len(frame),
        frame=frame.tolist(),
        person=[ids[number] if ids else str(number + 1) for number in track],
    )


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    try:
        require_sound_file(path, InputError)
        size = path.stat().st_size
        with h5py.File(path, "r") as file:
            for item in file.values():
                if isinstance(item, h5py.Dataset):
                    require_stored(path, item, size, InputError)
            yield file
    except (OSError, LookupError, RuntimeError, ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is not a sound SLEAP file ({reason_of(error)}): write it again") from None


def _require_analysis(path: Path, file: h5py.File) -> None:
    """Refuse other HDF5 files, each with what it is."""
    held = set(file)
    if {"tracks", "node_names"} <= held:
        return
    for marks, what in _OTHERS:
        if marks <= held:
            raise InputError(f"{path} {what}")
    raise InputError(
        f"{path} is an HDF5 file without the tracks and node_names of a SLEAP analysis (it has {', '.join(sorted(held)) or 'nothing'}): give a file of keypoints"
    )


def _arranged(path: Path, tracks: np.ndarray, nodes: int) -> np.ndarray:
    """(tracks, 2, nodes, frames)."""
    for axes in ((0, 1, 2, 3), (3, 2, 1, 0)):
        if tracks.ndim == 4 and tracks.transpose(axes).shape[1:3] == (2, nodes):
            return tracks.transpose(axes)
    if tracks.ndim == 4 and 3 in (tracks.shape[1], tracks.shape[2]):
        raise InputError(f"{path} holds 3D joints: give a file of 2D keypoints")
    raise InputError(f"{path}: tracks must have shape (tracks, 2, {nodes} nodes, frames), has {tracks.shape}")


def _scores(path: Path, file: h5py.File, tracks: np.ndarray) -> np.ndarray:
    """(tracks, nodes, frames); 1 for joints without a score of joints that are there, as those labelled by hand are."""
    shape = (tracks.shape[0], tracks.shape[2], tracks.shape[3])
    if "point_scores" not in file:
        return np.ones(shape)
    scores = np.asarray(file["point_scores"][()], np.float64)
    scores = scores if scores.shape == shape else scores.transpose()
    if scores.shape != shape:
        raise InputError(f"{path}: point_scores must have shape {shape}, has {scores.shape[::-1]}")
    return np.where(np.isnan(scores), 1.0, scores)


def _texts(values: h5py.Dataset) -> list[str]:
    return [_text(value) for value in np.ravel(values[()])]


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
