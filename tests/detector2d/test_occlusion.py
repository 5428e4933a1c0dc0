from __future__ import annotations

import numpy as np
import pytest

from evolift.detector2d.occlusion import Occluder, occlude, paste, synthetic_occluders
from evolift.detector2d.settings import OcclusionSettings
from evolift.posedata.errors import InputError


def plain_paste(image: np.ndarray, rgb: np.ndarray, opacity: np.ndarray, left: int, top: int) -> np.ndarray:
    """Blend pixel by pixel in floating point."""
    result = image.astype(float)
    for row in range(rgb.shape[0]):
        for column in range(rgb.shape[1]):
            v, u = top + row, left + column
            if 0 <= v < image.shape[0] and 0 <= u < image.shape[1]:
                share = opacity[row, column] / 255
                result[v, u] = share * rgb[row, column] + (1 - share) * result[v, u]
    return result


@pytest.mark.parametrize("place", [(10, 12), (-3, 5), (25, -4), (28, 30)])
def test_paste_against_plain_blending(place: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (36, 32, 3), dtype=np.uint8)
    rgb = rng.integers(0, 256, (9, 7, 3), dtype=np.uint8)
    opacity = rng.integers(0, 256, (9, 7), dtype=np.uint8)
    expected = plain_paste(image, rgb, opacity, *place)
    clear = np.full((36, 32), 255, np.uint8)
    paste(image, Occluder.from_rgb(rgb, opacity), (place[0] + 3.0, place[1] + 4.0), 1.0, clear)
    assert np.abs(image - expected).max() <= 1.6
    white = np.zeros((36, 32, 3), np.uint8)
    share = plain_paste(white, np.full((9, 7, 3), 255, np.uint8), opacity, *place)[..., 0]
    np.testing.assert_array_equal(clear, 255 - np.rint(share))


def test_paste_outside_changes_nothing() -> None:
    image = np.zeros((10, 10, 3), np.uint8)
    occluder = Occluder.from_rgb(np.full((4, 4, 3), 200, np.uint8), np.full((4, 4), 255, np.uint8))
    paste(image, occluder, (-10.0, 5.0), 1.0)
    assert not image.any()


def test_scale_is_that_of_the_occluder() -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    occluder = Occluder.from_rgb(np.full((80, 40, 3), 200, np.uint8), np.full((80, 40), 255, np.uint8))
    for scale, size in ((0.5, (40, 20)), (1.0, (80, 40)), (0.1, (8, 4)), (1.2, (96, 48))):
        image[:] = 0
        paste(image, occluder, (49.5, 49.5), scale)
        rows, columns = np.nonzero(image[..., 0])
        assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == size
        assert rows.mean() == columns.mean() == 49.5


@pytest.mark.parametrize("scale", [0.9, 0.45, 0.23, 0.08])
def test_shrunk_occluders_are_averaged(scale: float) -> None:
    rng = np.random.default_rng(0)
    occluder = Occluder.from_rgb(
        rng.integers(0, 256, (90, 110, 3), dtype=np.uint8), np.full((90, 110), 255, np.uint8)
    )
    image = np.zeros((128, 128, 3), np.uint8)
    paste(image, occluder, (63.5, 63.5), scale)
    pasted = image[image.any(-1)].astype(float)
    assert pasted.mean() == pytest.approx(127.5, abs=5)
    assert pasted.std() < 75 * scale + 12  # single pixels taken from noise would spread by 74


def test_joints_under_the_occluder_become_hidden() -> None:
    occluder = Occluder.from_rgb(np.full((64, 64, 3), 9, np.uint8), np.full((64, 64), 255, np.uint8))
    image = np.full((128, 128, 3), 100, np.uint8)
    joints = np.random.default_rng(0).uniform(-10, 138, (60, 2))
    visibility = np.tile(np.array([0, 1, 2], np.uint8), 20)
    settings = OcclusionSettings(
        occlusion_probability=1.0, max_occluders=3, min_occluder_scale=1.0, max_occluder_scale=2.0
    )
    changed, hidden = occlude(image, joints, visibility, [occluder], np.random.default_rng(4), settings)
    assert (image == 100).all()
    covered = (changed == 9).all(-1)
    for (u, v), before, after in zip(joints, visibility, hidden, strict=True):
        inside = 0 <= round(u) < 128 and 0 <= round(v) < 128
        under = inside and bool(covered[round(v), round(u)])
        assert after == (1 if before == 2 and under else before)
    assert (hidden != visibility).any()


def test_number_of_occluders_reaches_both_ends() -> None:
    dot = Occluder.from_rgb(np.full((1, 1, 3), 255, np.uint8), np.full((1, 1), 255, np.uint8))
    image = np.zeros((512, 512, 3), np.uint8)
    generator = np.random.default_rng(0)
    settings = OcclusionSettings(occlusion_probability=1.0, min_occluder_scale=0.5, max_occluder_scale=0.5)
    counts = {
        int(
            (occlude(image, np.zeros((1, 2)), np.zeros(1, np.uint8), [dot], generator, settings)[0] > 0).sum()
            / 3
        )
        for _ in range(150)
    }
    assert counts == set(range(1, 9))


def test_synthetic_occluders_differ_and_have_soft_edges() -> None:
    occluders = synthetic_occluders(12, seed=1)
    again = synthetic_occluders(12, seed=1)
    other = synthetic_occluders(1, seed=2)[0]
    for one, same in zip(occluders, again, strict=True):
        np.testing.assert_array_equal(one.colour, same.colour)
        assert one.transparency.min() == 0  # solid inside
        levels = np.unique(one.transparency)
        assert len(levels) > 20  # a gradual edge
    assert other.colour.shape != occluders[0].colour.shape or (other.colour != occluders[0].colour).any()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"min_occluders": 3, "max_occluders": 2}, "`min_occluders` 3 is above `max_occluders` 2"),
        (
            {"occlusion_probability": 2.0},
            "`occlusion_probability` must be a number of at least 0 and at most 1, not 2.0",
        ),
        ({"min_occluder_scale": 0.0}, "`min_occluder_scale` must be a number above 0, not 0.0"),
        ({"max_occluder_scale": 0.1}, "`min_occluder_scale` 0.2 is above `max_occluder_scale` 0.1"),
    ],
)
def test_bad_settings(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        OcclusionSettings(**wrong)  # type: ignore[arg-type]
