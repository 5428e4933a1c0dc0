from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evolift.posedata.errors import InputError, OutputError
from evolift.posedata.importers.bvh import import_bvh
from evolift.posedata.importers.bvh_file import parse_bvh
from evolift.posedata.poses import Poses
from evolift.posedata.predictions.bvh_tracks import write_bvh_tracks
from evolift.posedata.predictions.predictions import Predictions
from evolift.posedata.skeleton import COCO17
from evolift.posedata.store import PoseStore
from tests.posedata.predictions.test_prediction_files import made


def moving(make_poses: Callable[..., Poses], frames: int = 40) -> np.ndarray:
    """Poses of constant bone lengths in a camera's axes, absolute mm, wildly different from frame to frame."""
    joints = make_poses(frames).joints_3d
    assert joints is not None
    return (joints[..., [1, 2, 0]] * [-1, -1, 1] + [0, 0, 4000]).astype(np.float32)


def clip(joints: np.ndarray, **changes: object) -> Predictions:
    rows = len(joints)
    values = {
        "joints_3d": joints - joints[:, :1],
        "root_3d": joints[:, 0],
        "image": ("film.mp4",) * rows,
        "person": ("1",) * rows,
        "frame": np.arange(rows, dtype=np.int64),
    }
    return replace(made(rows), **(values | changes))  # type: ignore[arg-type]  # of tests


def test_what_is_written_is_imported_again(make_poses: Callable[..., Poses], tmp_path: Path) -> None:
    joints = moving(make_poses)
    (track,) = write_bvh_tracks(tmp_path, "film", clip(joints), 25.0)
    assert (track.path.name, track.frames, track.interpolated) == ("film_1.bvh", 40, 0)
    summary = import_bvh(track.path, tmp_path / "back.h5", names="evolift", up="y", mirrored=False)
    assert (summary.poses, summary.millimetres) == (40, 10.0)
    with PoseStore(tmp_path / "back.h5") as store:
        back = store.read().joints_3d
    assert back is not None
    # Camera (x, y, z) is (x, -y, -z) in the file, and z up again (x, z, -y) in the store; the first root is over the origin.
    again = back[..., [0, 2, 1]] * [1, -1, 1]
    np.testing.assert_allclose(again - again[:1, :1], joints - joints[:1, :1], atol=0.1)
    np.testing.assert_allclose(back[0, 0, :2], 0, atol=0.1)


def test_a_track_is_a_file_and_frames_without_the_person_are_interpolated(
    make_poses: Callable[..., Poses], tmp_path: Path
) -> None:
    joints = moving(make_poses, 5)
    frames = np.array([3, 4, 7, 0, 1])
    predictions = clip(
        joints,
        frame=frames,
        person=("a/b", "a/b", "a/b", "c", "c"),
        root_3d=np.full((5, 3), np.nan, np.float32),
    )
    first, second = write_bvh_tracks(tmp_path, "film", predictions, 25.0)
    assert [(t.path.name, t.frames, t.interpolated) for t in (first, second)] == [
        ("film_a_b.bvh", 5, 2),
        ("film_c.bvh", 2, 0),
    ]
    motion = parse_bvh(first.path.read_bytes(), "a")
    values = motion.values(np.arange(5), [])
    # Its place is not known, so the root goes up and down only.
    np.testing.assert_array_equal(values[:, [0, 2]], 0)
    assert (values[:, 1] > 0).all()
    again = write_bvh_tracks(tmp_path, "film", predictions, 25.0)
    assert [track.path.name for track in again] == ["film_a_b_2.bvh", "film_c_2.bvh"]


def test_what_bvh_cannot_hold_is_refused(make_poses: Callable[..., Poses], tmp_path: Path) -> None:
    predictions = clip(moving(make_poses, 2))
    with pytest.raises(OutputError, match="twice in one frame"):
        write_bvh_tracks(tmp_path, "film", replace(predictions, frame=np.array([1, 1])), 25.0)
    for frame in ([0, 10**9], [-(2**63), 2**63 - 1]):
        message = f"film, bvh: frames {frame[0]} and {frame[1]} are too far apart for this format"
        with pytest.raises(InputError, match=message):
            write_bvh_tracks(tmp_path, "film", replace(predictions, frame=np.array(frame)), 25.0)
    still = replace(predictions, frame=np.array([0, 1]), time=np.array([0.3, 0.3]))
    with pytest.raises(InputError, match="film: person '1': frame 1 is not later than frame 0 by the times"):
        write_bvh_tracks(tmp_path, "film", still, 25.0)
    with pytest.raises(OutputError, match="COCO17 is a drawing tree"):
        write_bvh_tracks(tmp_path, "film", made(2, skeleton=COCO17), 25.0)
