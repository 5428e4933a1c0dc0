from __future__ import annotations

import math

import numpy as np
import pytest

from evolift.detector2d.augmentation import (
    Photometric,
    change_colours,
    change_values,
    draw_augmentation,
    stretched,
)
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


def test_other_bodies_and_cameras_are_drawn_as_often_as_told_and_not_unless_asked() -> None:
    generator = np.random.default_rng(0)
    settings = AugmentationSettings(photometric=0.5, stretch=0.1)
    draws = [draw_augmentation(generator, settings) for _ in range(4000)]
    changes = [draw.photometric for draw in draws if draw.photometric is not None]
    assert len(changes) == 4000
    for share, expected in (
        (np.mean([c.contrast != 1 for c in changes]), 0.25),
        (np.mean([c.saturation != 1 for c in changes]), 0.2),
        (np.mean([c.saturation == 0 for c in changes]), 0.05),
        (np.mean([c.blur > 0 for c in changes]), 0.1),
        (np.mean([c.quality is not None for c in changes]), 0.075),
    ):
        assert share == pytest.approx(expected, abs=0.02)
    stretches = np.array([draw.stretch for draw in draws])
    assert np.abs(stretches).max() == pytest.approx(0.2)
    assert stretches.std() == pytest.approx(0.1, rel=0.08)
    directions = np.array([draw.direction for draw in draws])
    assert directions.min() >= 0
    assert directions.max() == pytest.approx(math.pi, abs=0.01)
    asked, plain = np.random.default_rng(1), np.random.default_rng(1)
    first, second = draw_augmentation(asked, settings), draw_augmentation(plain, AugmentationSettings())
    assert (first.angle, first.flip, first.scale, first.gains) == (
        second.angle,
        second.flip,
        second.scale,
        second.gains,
    )
    assert (second.stretch, second.photometric) == (0.0, None)


def test_a_stretch_draws_out_along_its_direction_and_keeps_areas_and_the_middle() -> None:
    affine = np.array([[2.0, 0.5, 3.0], [-0.5, 2.0, 1.0]])
    direction, stretch, size = 0.7, 0.2, (40, 30)
    moved = stretched(affine, stretch, direction, size)
    assert np.linalg.det(moved[:, :2]) == pytest.approx(np.linalg.det(affine[:, :2]))
    points = np.random.default_rng(0).uniform(0, 30, (5, 2))
    middle = np.array([19.5, 14.5])
    before, after = (points @ m[:, :2].T + m[:, 2] - middle for m in (affine, moved))
    along, across = np.array([math.cos(0.7), math.sin(0.7)]), np.array([-math.sin(0.7), math.cos(0.7)])
    np.testing.assert_allclose(after @ along, before @ along * math.exp(0.2))
    np.testing.assert_allclose(after @ across, before @ across * math.exp(-0.2))


def test_values_against_the_plain_formulas() -> None:
    image = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    np.testing.assert_array_equal(change_values(image, Photometric()), image)
    values = image.astype(float)
    expected = np.clip((values - values.mean()) * 0.7 + values.mean() + 20, 0, 255)
    found = change_values(image, Photometric(contrast=0.7, brightness=20))
    assert np.abs(found - expected).max() <= 0.51
    grey = change_values(image, Photometric(saturation=0.0))
    assert np.abs(grey - values.mean(2, keepdims=True)).max() <= 0.51
    assert change_values(image, Photometric(blur=1.0)).std() < 0.6 * image.std()
    red = np.zeros((16, 16, 3), np.uint8) + np.array([200, 30, 10], np.uint8)
    compressed = change_values(red, Photometric(quality=30)).astype(int)
    assert 0 < np.abs(compressed - red).max() < 12, "channels stay in their order"


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
