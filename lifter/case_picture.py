"""A picture of the cases that a lifter finds ordinary and hard; importing it loads matplotlib."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

from lifter.evaluation import TestSet
from posedata.figures import draw_joints, figure_picture, new_figure, picture_sheet, plot_pose, pose_axes
from posedata.metrics import mpjpe


def case_picture(
    prediction: Float[Tensor, "pairs joints 3"], tests: TestSet, *, each: int = 4
) -> UInt8[np.ndarray, "height width 3"]:
    """The median cases above the worst: the 2D input, then the lifted pose in colour over the true one, faint.

    Args:
        prediction: of `predict`.
        tests: the poses.
        each: how many of either kind.
    """
    errors = mpjpe(prediction, tests.truth)
    order = errors.argsort()
    each = min(each, len(order))
    middle = max(0, min(len(order) // 2 - each // 2, len(order) - each))
    chosen = [*order[middle : middle + each].tolist(), *order.flip(0)[:each].tolist()]
    pictures, captions = [], []
    for number, pair in enumerate(chosen):
        kind = "median" if number < each else "worst"
        pictures.append(_case(prediction[pair], tests, pair))
        captions.append(f"{kind}: {errors[pair]:.0f} mm, {tests.subject[pair]}, {tests.action[pair]}")
    return picture_sheet(pictures, captions, columns=each, tile=(420, 260))


def _case(prediction: Tensor, tests: TestSet, pair: int) -> np.ndarray:
    pairs = tests.pairs
    width, height = (int(side) for side in pairs.cameras.size[pair])
    paper = np.full((height, width, 3), 255, np.uint8)
    drawn = draw_joints(
        paper, pairs.pixels[pair].numpy(), tests.skeleton, visibility=pairs.visibility[pair].numpy()
    )
    figure = new_figure(7.0, 4.0)
    flat = figure.add_subplot(1, 2, 1)
    flat.imshow(drawn)
    flat.set_axis_off()
    axes = pose_axes(figure, 1, 2, 2)
    truth = tests.truth[pair].numpy()
    radius = float(max(np.ptp(truth, axis=0).max(), np.ptp(prediction.numpy(), axis=0).max())) * 0.55
    plot_pose(axes, truth, tests.skeleton, opacity=0.25, radius=radius)
    plot_pose(axes, prediction.numpy(), tests.skeleton, radius=radius)
    picture: np.ndarray = figure_picture(figure)
    return picture
