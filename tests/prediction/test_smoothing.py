from __future__ import annotations

import numpy as np
import pytest

from evolift.posedata.errors import InputError
from evolift.posedata.smoothing import smoothed
from evolift.prediction.clip import Clip
from evolift.prediction.smoothing import smoothed_predictions, smoothing_notes
from tests.posedata.predictions.test_prediction_files import made


def test_people_are_smoothed_apart_whatever_their_order() -> None:
    rows = 40
    person = tuple("ab"[n % 2] for n in range(rows))
    frame = np.arange(rows, dtype=np.int64) // 2
    images = tuple(f"{n // 2}.jpg" for n in range(rows))  # frames may be images of their own names
    whole = made(rows, image=images, person=person, frame=frame)
    smooth = smoothed_predictions(whole, 25.0)
    only = [n for n in range(rows) if person[n] == "b"]
    times = frame[only] / 25
    np.testing.assert_array_equal(smooth.joints_3d[only], smoothed(whole.joints_3d[only], times))
    np.testing.assert_array_equal(smooth.root_3d[only], smoothed(whole.root_3d[only], times))
    assert np.isnan(smooth.joints_3d[0, 3]).all()
    assert (smooth.joints_2d[1:] == whole.joints_2d[1:]).all()
    backwards = smoothed_predictions(whole[::-1], 25.0)[::-1]
    np.testing.assert_array_equal(backwards.joints_3d, smooth.joints_3d)


def test_bad_settings() -> None:
    with pytest.raises(InputError, match="frame rate must be positive"):
        smoothed_predictions(made(), 0.0)
    with pytest.raises(InputError, match="person 'a' is twice in one frame"):
        smoothed_predictions(made(2, image=("v",) * 2, person=("a",) * 2, frame=np.zeros(2, np.int64)), 25.0)
    times = np.array([0.0, 0.04, 0.04])
    told = made(3, image=("v",) * 3, person=("a",) * 3, frame=np.arange(3, dtype=np.int64), time=times)
    with pytest.raises(InputError, match="person 'a': frame 2 is not later than frame 1 by the times given"):
        smoothed_predictions(told, 25.0)


def test_where_smoothing_does_little_that_is_said() -> None:
    rows = 10
    person = tuple("aaab"[n % 4] for n in range(rows))
    whole = made(rows, image=("v",) * rows, person=person, frame=np.arange(rows, dtype=np.int64))
    assert smoothing_notes(whole, 25.0) == [
        "3D poses are smoothed over time.",
        "1 of 2 tracks have fewer than 5 frames and stay as they are.",
    ]
    only = [n for n in range(rows) if person[n] == "b"]
    np.testing.assert_array_equal(smoothed_predictions(whole, 25.0).joints_3d[only], whole.joints_3d[only])
    assert "at 5 frames a second smoothing changes little" in smoothing_notes(whole, 5.0)[-1]
    unasked = smoothing_notes(whole, 25.0, is_asked=False)
    assert unasked[0].endswith("as those of videos are if nothing else is said (`smooth`).")
    assert unasked[1:] == smoothing_notes(whole, 25.0)[1:]
    short = whole[:3]
    assert len(short)
    assert smoothing_notes(short, 25.0, is_asked=False) == [], "nothing is smoothed"
    assert len(smoothing_notes(short, 25.0)) == 2


def test_large_numbers_of_frames_are_told_apart() -> None:
    frame = np.arange(12, dtype=np.int64)
    person, image = ("a",) * 12, ("v",) * 12
    near, far = (made(12, image=image, person=person, frame=frame + first) for first in (0, 2**60))
    np.testing.assert_array_equal(
        smoothed_predictions(far, 25.0).joints_3d, smoothed_predictions(near, 25.0).joints_3d
    )
    frame[[0, -1]] = -(2**63), 2**63 - 1
    with pytest.raises(
        InputError, match="frames -9223372036854775808 and 9223372036854775807 are too far apart"
    ):
        smoothed_predictions(made(12, image=image, person=person, frame=frame), 25.0)


def test_a_refusal_names_the_input() -> None:
    frames = made(2, image=("v",) * 2, person=("a",) * 2, frame=np.arange(2), time=np.zeros(2))
    with pytest.raises(InputError, match=r"^film\.csv: person 'a': frame 1 is not later than frame 0"):
        Clip("film.csv", frames, 25.0).smoothed()
