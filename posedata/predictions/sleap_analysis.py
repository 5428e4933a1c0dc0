"""Predicted tracks in the layout of SLEAP's analysis files, for programs of movement science: one HDF5 file for each clip.

The `movement` package reads it (`movement.io.load_poses.from_sleap_file`) as positions with the axes x, y, z, with names of
keypoints and individuals, and confidence. Datasets, S tracks, J joints, F frames from the first to the last:

    tracks        (S, 3, J, F)  mm, camera frame: x right, y down, z forward; NaN where a person was not seen
    point_scores  (S, J, F)     confidence of the 2D joints; NaN where a person was not seen
    track_names, node_names     texts
    edge_inds     (E, 2)        parent and child of each bone
    provenance                  JSON: the header of `evolift.posedata.predictions.prediction_header`

Joints are in the camera's frame where the root's place is known of all rows, otherwise relative to the root joint; the
attribute `frame_of_reference` of `tracks` says which. SLEAP itself has two axes there, pixels.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from evolift.posedata.errors import OutputError
from evolift.posedata.hdf5_output import whole_hdf5
from evolift.posedata.output_file import free_path
from evolift.posedata.predictions.prediction_header import header_of
from evolift.posedata.predictions.predictions import Predictions, require_near_frames


def write_sleap_analysis(folder: Path, name: str, predictions: Predictions) -> Path:
    """Write NAME.analysis.h5; a name that is taken gets a number.

    Args:
        folder: that exists.
        name: of the clip, without ending.
        predictions: of its tracked people, at least one; frame 0 of the file is the first frame with anybody.

    Raises:
        InputError: frames are too far apart.
        OutputError: a person is twice in one frame, or the file cannot be written.
    """
    require_near_frames(predictions.frame, f"{name}, sleap")
    tracks = predictions.tracks()
    first, last = int(predictions.frame.min()), int(predictions.frame.max())
    shape = (len(tracks), last - first + 1, len(predictions.skeleton))
    joints = np.full((*shape, 3), np.nan, np.float32)
    scores = np.full(shape, np.nan, np.float32)
    is_placed = bool(np.isfinite(predictions.root_3d).all())
    for number, (person, rows) in enumerate(tracks.items()):
        frames = predictions.frame[rows] - first
        if (np.diff(frames) == 0).any():
            raise OutputError(
                f"person {person!r} of {name} is twice in one frame, which files of tracks cannot hold"
            )
        place = predictions.root_3d[rows][:, None] if is_placed else np.float32(0)
        joints[number, frames] = predictions.joints_3d[rows] + place
        scores[number, frames] = predictions.confidence[rows]
    path = free_path(folder, name, ".analysis.h5")
    with whole_hdf5(path) as file:
        table = file.create_dataset("tracks", data=joints.transpose(0, 3, 2, 1), compression="gzip")
        table.attrs["units"], table.attrs["first_frame"] = "mm", first
        table.attrs["frame_of_reference"] = "camera" if is_placed else "camera, relative to the root joint"
        file.create_dataset("point_scores", data=scores.transpose(0, 2, 1), compression="gzip")
        file["track_names"] = np.array(
            [person.encode(errors="backslashreplace") for person in tracks], np.bytes_
        )
        file["node_names"] = np.array([joint.encode() for joint in predictions.skeleton.joints], np.bytes_)
        file["edge_inds"] = np.array(predictions.skeleton.bones)
        file["provenance"] = json.dumps(header_of(predictions), default=str)
    return path
