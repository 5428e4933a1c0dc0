from __future__ import annotations

import numpy as np
import pytest

from evolift.drawing.image_sheet import fit_image, image_sheet


def _plain(colour: tuple[int, int, int], height: int = 20, width: int = 20) -> np.ndarray:
    return np.full((height, width, 3), colour, np.uint8)


def test_images_stand_in_reading_order() -> None:
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    sheet = image_sheet([_plain(colour) for colour in colours], columns=2, tile=(50, 40))
    assert sheet.shape == (2 * 48 + 8, 2 * 58 + 8, 3)
    assert tuple(sheet[28, 33]) == (255, 0, 0)
    assert tuple(sheet[28, 91]) == (0, 255, 0)
    assert tuple(sheet[76, 33]) == (0, 0, 255)
    assert tuple(sheet[76, 91]) == (255, 255, 255)


def test_captions_are_written_below_and_long_ones_do_not_run_into_the_next() -> None:
    plain = image_sheet([_plain((0, 0, 0))] * 2, ["", ""], columns=2, tile=(80, 40))
    captioned = image_sheet([_plain((0, 0, 0))] * 2, ["größe " * 40, ""], columns=2, tile=(80, 40))
    changed = np.argwhere((plain != captioned).any(-1))
    assert len(changed) > 50
    assert changed[:, 0].min() >= 48
    assert changed[:, 1].max() < 8 + 80 + 8


def test_proportions_are_kept() -> None:
    assert fit_image(_plain((1, 2, 3), 100, 50), 40, 40).shape == (40, 20, 3)
    assert fit_image(_plain((1, 2, 3), 5, 10), 40, 40).shape == (20, 40, 3)
    assert fit_image(_plain((1, 2, 3), 1, 5000), 40, 40).shape == (1, 40, 3)


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="at least one image"):
        image_sheet([])
    with pytest.raises(ValueError, match=r"1 images need as many captions \(got 2\)"):
        image_sheet([_plain((0, 0, 0))], ["a", "b"])
    with pytest.raises(ValueError, match="must be positive"):
        image_sheet([_plain((0, 0, 0))], columns=0)
