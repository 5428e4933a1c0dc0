"""An image sheet that shows what augmentation and occlusion do to crops and their labels."""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import UInt8

from evolift.detector2d.image_source import ImageSource
from evolift.detector2d.samples import CropSettings, Sample, make_sample
from evolift.drawing.image_sheet import image_sheet
from evolift.drawing.overlay import draw_joints
from evolift.posedata.seeds import numpy_generator_at


def augmentation_sheet(
    source: ImageSource, settings: CropSettings, rows: int = 6, columns: int = 5, seed: int = 0
) -> UInt8[np.ndarray, "_height _width 3"]:
    """Crops of some rows with their labels drawn in; the first of each row is plain, the others are draws.

    Args:
        source: rows are taken evenly from it.
        settings: of the crops.
        rows: of the sheet, at most as many as the source has.
        columns: draws of each.
        seed: of chance.

    Raises:
        InputError: an image cannot be read.
    """
    chosen = np.unique(np.linspace(0, len(source) - 1, rows).round().astype(int))
    plain = dataclasses.replace(settings, augmentation=None, occlusion=None)
    images = []
    for index in chosen:
        images.append(_drawn(make_sample(source, int(index), plain), settings))
        for draw in range(columns):
            generator = numpy_generator_at(seed, int(index), draw)
            images.append(_drawn(make_sample(source, int(index), settings, generator), settings))
    return image_sheet(images, columns=columns + 1, tile=settings.size)


def _drawn(sample: Sample, settings: CropSettings) -> np.ndarray:
    pixels = (sample.joints[:, :2] + 0.5) * np.array(settings.size) - 0.5
    return draw_joints(sample.image, pixels, settings.skeleton, visibility=sample.visibility)
