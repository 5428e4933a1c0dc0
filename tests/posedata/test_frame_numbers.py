from __future__ import annotations

import numpy as np
import pytest

from evolift.posedata.errors import InputError
from evolift.posedata.frame_numbers import frames_of_names, is_even, numbered_by_names, rate_of, seconds_of


@pytest.mark.parametrize(
    ("names", "frames"),
    [
        (["0.jpg", "10.jpg", "2.jpg"], [0, 10, 2]),
        (["a/img_007.png", "a/img_12.jpg", "a/img_007.png"], [7, 12, 7]),
        (["cam1_f3_r90", "cam1_f14_r90"], [3, 14]),
        (["000000000139.jpg", "000000000285.jpg"], [139, 285]),
        (["one.jpg", "two.jpg"], None),
        (["a_1.jpg", "b_1.jpg"], None),
        (["s1_f1.jpg", "s1_f2.jpg", "s2_f1.jpg"], None),
        (["07.jpg", "7.jpg"], None),
        (["7.jpg"], None),
        (["", ""], None),
    ],
)
def test_numbers_in_names(names: list[str], frames: list[int] | None) -> None:
    assert frames_of_names(names) == frames


def test_images_that_are_no_series_are_numbered_as_they_come() -> None:
    assert numbered_by_names(["b", "a", "b"]) == [0, 1, 0]


@pytest.mark.parametrize("unit", [1, 1e3, 1e6, 1e9])
def test_units_of_time_stamps(unit: float) -> None:
    stamps = (17 + np.array([0, 1, 2, 6]) / 30) * unit
    np.testing.assert_allclose(seconds_of(stamps, "t") * 30, [0, 1, 2, 6], atol=1e-3)


def test_a_missing_time_stamp_is_refused() -> None:
    with pytest.raises(InputError, match=r"a\.csv: time must hold a number in each row"):
        seconds_of(np.array([0.0, np.nan]), "a.csv: time")


def test_rate_of_short_steps() -> None:
    shown = np.array([0, 33, 67, 100, 400, 433, 467, 500, 800, 833]) / 1e3
    assert rate_of(shown) == pytest.approx(30, rel=0.005)
    assert not is_even(shown, np.arange(10), 1 / 0.0917)
    assert is_even(shown[:4], np.arange(4), 30)
