"""An image sheet of what a detector found, from its best people to its worst."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from evolift.detector2d.crop import apply_affine, crop_from_image, warp_crop
from evolift.detector2d.evaluation import Detections
from evolift.detector2d.image_source import ImageSource
from evolift.detector2d.settings import DetectorSettings
from evolift.drawing.image_sheet import image_sheet
from evolift.drawing.overlay import draw_joints
from evolift.posedata.image_file import read_image
from evolift.posedata.skeleton import Skeleton

TILE = 240
"""Side of a crop on the sheet, pixels."""
PAIRS = 4
"""People in a row of the sheet."""


def relative_errors(found: Detections) -> Float[Tensor, "rows"]:
    """Mean distance of each row's labelled joints, in longer sides of their bounds; NaN without any."""
    labelled = found.visibility > 0
    distance = torch.linalg.vector_norm(found.joints - found.truth, dim=-1)
    distance = torch.where(labelled, distance, torch.nan)
    lower = torch.where(labelled[..., None], found.truth, torch.inf).amin(1)
    upper = torch.where(labelled[..., None], found.truth, -torch.inf).amax(1)
    return distance.nanmean(1) / (upper - lower).amax(-1).clamp(min=1)


def evenly_ranked(errors: Float[Tensor, "rows"], count: int) -> Int64[Tensor, "chosen"]:
    """Positions of the best, the worst, and so many in even steps between them; rows that are not finite are left out."""
    order = torch.argsort(torch.nan_to_num(errors, nan=torch.inf), stable=True)
    ranked = order[: int(errors.isfinite().sum())]
    places = np.unique(np.linspace(0, len(ranked) - 1, min(count, len(ranked))).round().astype(int))
    return ranked[torch.from_numpy(places)]


def detection_sheet(
    found: Detections, source: ImageSource, skeleton: Skeleton, count: int = 20
) -> UInt8[np.ndarray, "_height _width 3"]:
    """People in pairs, labels on the left and what was found on the right; the best first, the worst last.

    Captions tell the row of the store and the mean distance of its joints in parts of the person's size.

    Args:
        found: of all rows of `source`, in its order.
        source: gives the images.
        skeleton: of the joints.
        count: people, see `evenly_ranked`.

    Raises:
        InputError: an image cannot be read.
    """
    errors = relative_errors(found)
    images, captions = [], []
    for index in evenly_ranked(errors, count).tolist():
        affine = crop_from_image(source.boxes[index], (TILE, TILE), padding=DetectorSettings().padding)
        crop = warp_crop(read_image(source.paths[index]), affine, (TILE, TILE))
        truth, joints = (
            apply_affine(affine, points[index].numpy()) for points in (found.truth, found.joints)
        )
        images.append(draw_joints(crop, truth, skeleton, visibility=found.visibility[index].numpy()))
        images.append(draw_joints(crop, joints, skeleton, confidence=found.confidence[index].numpy()))
        captions += [f"row {source.rows[index]}: labelled", f"found, {float(errors[index]):.1%} away"]
    return image_sheet(images, captions, columns=2 * PAIRS, tile=(TILE, TILE))
