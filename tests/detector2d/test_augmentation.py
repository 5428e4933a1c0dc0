from __future__ import annotations

import math

import numpy as np
import pytest

from evolift.detector2d.augmentation import change_colours, draw_augmentation
from evolift.detector2d.settings import AugmentationSettings
from evolift.posedata.errors import InputError


def test_ranges_and_frequencies_are_those_of_the_report() -> None:
    generator = np.random.default_rng(0)
    draws = [draw_augmentation(generator, AugmentationSettings()) for _ in range(4000)]
    angles = np.degrees([draw.angle for draw in draws])
    assert np.abs(angles).max() == pytest.approx(30)
    assert np.mean(angles != 0) == pytest.approx(0.6, abs=0.03)
    assert abs(angles.mean()) < 1
    assert np.mean([draw.flip for draw in draws]) == pytest.approx(0.5, abs=0.03)
    scales = np.array([draw.scale for draw in draws])
    assert (scales.min(), scales.max()) == (0.75, 1.25)
    gains = np.array([draw.gains for draw in draws])
    assert 0.8 <= gains.min() < 0.81
    assert 1.19 < gains.max() <= 1.2
    assert abs(np.corrcoef(gains.T)[0, 1]) < 0.05


def test_wider_rotation() -> None:
    generator = np.random.default_rng(0)
    settings = AugmentationSettings(rotation_clip=2.0, rotation_probability=1.0)
    angles = [draw_augmentation(generator, settings).angle for _ in range(1000)]
    assert max(angles) == pytest.approx(math.radians(60))


def test_same_generator_same_draw_and_a_fixed_number_of_draws() -> None:
    first, second = np.random.default_rng(3), np.random.default_rng(3)
    calm = AugmentationSettings(
        rotation=0.0, rotation_probability=0.0, flip_probability=0.0, scale=0.0, colour=0.0
    )
    assert draw_augmentation(first, AugmentationSettings()) != draw_augmentation(second, calm)
    assert first.random() == second.random()


def test_colours_against_the_plain_product() -> None:
    image = np.random.default_rng(0).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    gains = (0.8, 1.0, 1.2)
    expected = np.clip(np.rint(image * np.array(gains)), 0, 255)
    np.testing.assert_array_equal(change_colours(image, gains), expected)
    assert change_colours(image, (1.0, 1.0, 1.0)) is image


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            {"flip_probability": 1.5},
            "`flip_probability` must be a number of at least 0 and at most 1, not 1.5",
        ),
        ({"scale": 1.0}, "`scale` must be a number of at least 0 and below 1, not 1.0"),
        ({"rotation": -1.0}, "`rotation` must be a number of at least 0, not -1.0"),
    ],
)
def test_bad_settings(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        AugmentationSettings(**wrong)
