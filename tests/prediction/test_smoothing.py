from __future__ import annotations

import numpy as np
import pytest

from evolift.posedata.errors import InputError
from evolift.posedata.smoothing import smoothed
from evolift.prediction.smoothing import smoothed_predictions
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
