"""An image of the cases that a lifter finds ordinary and hard; importing it loads matplotlib."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

from evolift.drawing.figures import (
    draw_joints,
    figure_image,
    image_sheet,
    new_figure,
    plot_pose,
    pose_axes,
)
from evolift.lifter.evaluation import TestSet
from evolift.posedata.metrics import joint_errors


def case_figure(
    prediction: Float[Tensor, "pairs joints 3"], tests: TestSet, *, each: int = 4
) -> UInt8[np.ndarray, "height width 3"]:
    """The median cases above the worst: the 2D input, then the lifted pose in colour over the true one, faint.

    Args:
        prediction: of `predict`.
        tests: the poses.
        each: how many of either kind.
    """
    errors = joint_errors(prediction, tests.truth).nanmean(-1)
    order = errors.argsort()
    each = min(each, len(order))
    middle = max(0, min(len(order) // 2 - each // 2, len(order) - each))
    chosen = [*order[middle : middle + each].tolist(), *order.flip(0)[:each].tolist()]
    images, captions = [], []
    for number, pair in enumerate(chosen):
        kind = "median" if number < each else "worst"
        images += [_input(tests, pair), _lifted(prediction[pair], tests, pair)]
        captions += [
            f"{kind}: {errors[pair]:.0f} mm",
            f"{tests.subject[pair]}, {tests.action[pair]}",
        ]
    return image_sheet(images, captions, columns=2 * each, tile=(230, 230))


def _input(tests: TestSet, pair: int) -> np.ndarray:
    """The 2D joints, cropped to the person."""
    pixels = tests.pairs.pixels[pair].numpy()
    visibility = tests.pairs.visibility[pair].numpy()
    seen = pixels[visibility > 0] if (visibility > 0).any() else pixels
    low, high = seen.min(0), seen.max(0)
    scale = 200 / max(float((high - low).max()), 1.0)
    at = ((pixels - (low + high) / 2) * scale + 115).astype(np.float32)
    paper = np.full((230, 230, 3), 255, np.uint8)
    return draw_joints(paper, at, tests.skeleton, visibility=visibility)


def _lifted(prediction: Tensor, tests: TestSet, pair: int) -> np.ndarray:
    figure = new_figure(3.0, 3.0)
    figure.set_layout_engine("none")  # laying out would take longer than drawing
    axes = pose_axes(figure)
    truth, lifted = tests.truth[pair].numpy(), prediction.numpy()
    known = truth[np.isfinite(truth).all(-1)]
    radius = float(max(np.ptp(known, axis=0).max(), np.ptp(lifted, axis=0).max())) * 0.55
    plot_pose(axes, truth, tests.skeleton, opacity=0.25, radius=radius)
    plot_pose(axes, lifted, tests.skeleton, radius=radius)
    axes.set_position((0.02, 0.02, 0.96, 0.96))
    return figure_image(figure)
