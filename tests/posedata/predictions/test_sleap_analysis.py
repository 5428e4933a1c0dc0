from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from evolift.posedata.errors import InputError, OutputError
from evolift.posedata.predictions.sleap_analysis import write_sleap_analysis
from tests.posedata.predictions.test_prediction_files import made


def test_tracks_stand_where_their_frames_are(tmp_path: Path) -> None:
    whole = made(5)
    person, frame = ("b", "a", "b", "a", "b"), np.array([3, 3, 7, 4, 5], np.int64)
    predictions = replace(whole, person=person, frame=frame, root_3d=np.ones((5, 3), np.float32))
    path = write_sleap_analysis(tmp_path, "my/clip", predictions)
    assert path.name == "my_clip.analysis.h5"
    with h5py.File(path) as file:
        tracks, scores = file["tracks"][:], file["point_scores"][:]
        assert [name.decode() for name in file["track_names"]] == ["b", "a"]
        assert [name.decode() for name in file["node_names"]] == list(whole.skeleton.joints)
        assert file["tracks"].attrs["frame_of_reference"] == "camera"
        assert file["tracks"].attrs["first_frame"] == 3
    assert tracks.shape == (2, 3, 17, 5)
    for row, (name, number) in enumerate(zip(person, frame.tolist(), strict=True)):
        track = ["b", "a"].index(name)
        np.testing.assert_array_equal(tracks[track, :, :, number - 3].T, whole.joints_3d[row] + 1)
        np.testing.assert_array_equal(scores[track, :, number - 3], whole.confidence[row])
    assert np.isnan(tracks[1, :, :, 2:]).all()
    assert np.isnan(scores[0, :, 1]).all()


def test_without_places_poses_are_relative_and_a_person_is_once_in_a_frame(tmp_path: Path) -> None:
    whole = replace(made(2), person=("a", "a"), root_3d=np.full((2, 3), np.nan, np.float32))
    predictions = replace(whole, frame=np.array([0, 1], np.int64))
    with h5py.File(write_sleap_analysis(tmp_path, "clip", predictions)) as file:
        assert file["tracks"].attrs["frame_of_reference"] == "camera, relative to the root joint"
        np.testing.assert_array_equal(file["tracks"][0, :, :, 1].T, whole.joints_3d[1])
    with pytest.raises(OutputError, match="'a' of clip is twice in one frame"):
        write_sleap_analysis(tmp_path, "clip", replace(whole, frame=np.zeros(2, np.int64)))


def test_frames_that_are_too_far_apart_are_refused(tmp_path: Path) -> None:
    predictions = replace(made(3), person=("a", "b", "a"), frame=np.array([5, 10**12, 7]))
    with pytest.raises(InputError, match=f"clip, sleap: frames 7 and {10**12} are too far apart"):
        write_sleap_analysis(tmp_path, "clip", predictions)
    assert not list(tmp_path.iterdir())
